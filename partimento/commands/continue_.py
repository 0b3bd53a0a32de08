"""`partimento continue`: MIDI files in, their continuations out, or what fills a gap in them.

Knows the flags, the names of the files it writes and how progress looks. Refuses to know how music is made
(`partimento.generate`). Everything that can be refused is refused before the first note is made; of several files, one
that cannot be continued does not cost the others.

    partimento continue nocturne.mid --seconds 60 --variations 3 --plot -o out
    partimento continue sketches/*.mid -o out
    partimento continue nocturne.mid --fill 12.5:20.0
    partimento continue nocturne.mid --like ballade.mid --guidance 2 --model runs/conditioned
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import (
    Candidates,
    CutTimes,
    Engine,
    Force,
    MinP,
    Model,
    Originality,
    Plot,
    PromptSeconds,
    Seconds,
    Seed,
    Strict,
    Temperature,
    TimeTemperature,
    TopP,
    VerbOptions,
    Window,
    warn,
)
from partimento.commands.common.outputs import folder_to_write
from partimento.commands.common.reading import read_midi
from partimento.commands.originality import what_was_learned
from partimento.commands.render import sound_file
from partimento.errors import UserError
from partimento.files import refuse_existing, replacing

if TYPE_CHECKING:
    from partimento.corpus.duplicates.index import PassageIndex
    from partimento.generate.engine import Engine as MusicEngine
    from partimento.generate.run import NoteHandler
    from partimento.generate.settings import Continuation, GeneratedNote, Settings
    from partimento.midi.performance import Performance


_ASKED = (
    "seconds", "notes", "end", "seed", "variations", "candidates", "density", "loudness",
    "temperature", "min_p", "top_p", "time_temperature", "cut_times",
)  # fmt: skip
"""Options that are settings of the same name."""
_PROMPT_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Continue performances: write MIDI files that begin as the prompt does and go on from there.

    With --fill, a stretch of each file is made anew instead, so that it joins what follows. Status: 0; 2 if some file
    could not be continued (standard error says which, and why; what could be is written).
    """

    prompts: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The MIDI files to continue."""
    fill: str | None = None
    """START:END in seconds: empty that stretch and fill it; the rest of the file stays (needs a model that can)."""
    prompt_seconds: PromptSeconds = None
    seconds: Seconds = None
    notes: int | None = None
    """Length of the continuation in notes, instead of seconds."""
    variations: int = 1
    """How many continuations to make."""
    like: Path | None = None
    """A MIDI file in whose manner to go on (needs a model that is conditioned on embeddings)."""
    guidance: float | None = None
    """How strongly: 0 not at all, 1 as the model learned to, more exaggerates; reached over the first 250 tokens, as
    published (1 unless given)."""
    like_model: str | None = None
    """The embedding model that reads the reference (unless given, the one that the model's file names)."""
    candidates: Candidates = None
    density: float = 1.0
    """Wish for so many times the prompt's notes per second; the candidates that come nearest are kept."""
    loudness: float = 1.0
    """Wish for so many times the prompt's loudness (mean velocity)."""
    temperature: Temperature = None
    min_p: MinP = None
    top_p: TopP = None
    time_temperature: TimeTemperature = None
    cut_times: CutTimes = None
    end: bool = False
    """Bring the piece to a close near the length given, within 20 % of it."""
    seed: Seed = 0
    model: Model = "bundled"
    engine: Engine = "auto"
    draft: str | None = None
    """A small model of the same vocabulary that writes ahead, for a large one to check several tokens at once: the same
    distribution, other numbers drawn. For one variation of a model of hundreds of millions of parameters."""
    window: Window = None
    continuation_only: bool = False
    """Write the new notes alone, beginning at once."""
    pedal: bool = True
    """Write keys as hands press them, with a pedal, where the model folds the pedal into durations; --no-pedal: plain
    durations, however long a hand would have to hold them."""
    originality: Originality = True
    plot: Plot = False
    render: bool = False
    """Also write the sound of each result (.wav), as partimento render does."""
    strict: Strict = False
    force: Force = False
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path()
    """Folder for what is written; it is made if there is none."""

    @property
    def span(self) -> tuple[float, float] | None:
        """What --fill says, in seconds."""
        if self.fill is None:
            return None
        for flag in ("prompt_seconds", "seconds", "notes"):
            if getattr(self, flag) is not None:
                raise UserError(f"--fill says where the new notes go; leave out --{flag.replace('_', '-')}")
        if self.end:
            raise UserError("--fill joins what follows, so the piece cannot end there; leave out --end")
        for flag in ("density", "loudness"):
            if getattr(self, flag) != 1:
                raise UserError(f"--{flag} is a wish for continuations; leave it out with --fill")
        if self.candidates is not None and self.candidates > 1:
            raise UserError("a filling has one candidate; leave out --candidates")
        start, _, end = self.fill.partition(":")
        try:
            span = float(start), float(end)
        except ValueError:
            raise UserError(f"--fill needs START:END in seconds, 12.5:20.0 for example, not {self.fill!r}") from None
        if not 0 <= span[0] < span[1] < math.inf:
            raise UserError(f"--fill needs a start of at least 0 and an end behind it, not {self.fill}")
        return span


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One file to continue, and the files to write of each variation."""

    whole: Performance
    targets: list[dict[str, Path]]


def main(argv: list[str]) -> int:
    """Run the verb with the arguments after its name; returns the exit status."""
    options = parse(Options, argv, verb="continue")
    if not options.prompts:
        raise UserError("name at least one MIDI file to continue")
    span = options.span
    prompt_seconds = _PROMPT_SECONDS if options.prompt_seconds is None else options.prompt_seconds
    if not (math.isfinite(prompt_seconds) and prompt_seconds > 0):
        raise UserError(f"--prompt-seconds must be above 0, not {prompt_seconds}")
    for flag in ("guidance", "like_model"):
        if options.like is None and getattr(options, flag) is not None:
            raise UserError(f"--{flag.replace('_', '-')} goes with a reference; give one with --like")
    folder_to_write(options.out)
    tasks, failed = _tasks(options)
    if options.render:
        from partimento.audio.samples import check_recordings

        check_recordings()

    # Only now: loading an engine takes longer than all of the refusals above.
    from partimento.generate.decode.sampling import Sampling
    from partimento.generate.engine import Engine as MusicEngine
    from partimento.generate.settings import Guidance, Settings

    asked = {name: getattr(options, name) for name in _ASKED} | ({"seconds": span[1] - span[0]} if span else {})
    Settings.of(Sampling(), **asked)
    guidance = Guidance() if options.guidance is None else Guidance(weight=options.guidance)
    learned = what_was_learned(options.model, options) if options.originality else None
    engine = MusicEngine.load(options.model, engine=options.engine, window=options.window, say=options.say)
    if options.like is not None:
        from partimento.generate.reference import like

        engine = like(engine, options.like, model=options.model, embedder=options.like_model, guidance=guidance)
    if options.draft is not None:
        engine = engine.drafted_by(MusicEngine.load(options.draft, say=lambda line: options.say(f"draft: {line}")))
    settings = engine.settings(filling=span is not None, **asked)
    if settings.candidates != 1:
        options.say(f"search: the best of {settings.candidates} candidates, a few seconds at a time")
    given: dict[str, Any] = {"fill": list(span)} if span else {"prompt_seconds": prompt_seconds}
    if options.like is not None:
        given["like"] = {"reference": options.like.name, **dataclasses.asdict(guidance)}
    records: list[dict[str, Any]] = []
    for prompt, task in tasks.items():
        try:
            results = _results(options, engine, settings, task.whole, asked)
        except UserError as error:
            if len(options.prompts) == 1:
                raise
            failed[prompt] = error
            warn(f"partimento: {prompt}: {error}")
            continue
        for files, result in zip(task.targets, results, strict=True):
            folded = not engine.abilities.pedal_tokens
            _write(options, files, result.with_pedal() if options.pedal and folded else result)
            record = _record(options, prompt, settings, result, given)
            if learned is not None:
                record["originality"] = _compared(options, files["mid"], result, learned)
            with replacing(files["json"]) as part:
                part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            records.append({"file": str(files["mid"])} | record)
    options.report({"continuations": records, "failed": {str(path): str(why) for path, why in failed.items()}})
    if failed:
        warn(f"partimento: {len(failed)} of {len(options.prompts)} files could not be continued")
    return 2 if failed else 0


def _tasks(options: Options) -> tuple[dict[Path, _Task], dict[Path, UserError]]:
    """What is to be done, and which files cannot be read; raises `UserError` if that is the only one, or all are."""
    tasks: dict[Path, _Task] = {}
    failed: dict[Path, UserError] = {}
    taken: dict[Path, Path] = {}
    for prompt in dict.fromkeys(options.prompts):
        targets = [_targets(options, prompt, number) for number in range(options.variations)]
        for path in (path for files in targets for path in files.values()):
            if path in taken:
                raise UserError(f"{taken[path]} and {prompt} would both become {path}; continue one of them elsewhere")
            taken[path] = prompt
            refuse_existing(path, force=options.force)
        try:
            tasks[prompt] = _Task(whole=read_midi(prompt, strict=options.strict), targets=targets)
        except (UserError, OSError) as error:
            if len(options.prompts) == 1:
                raise
            failed[prompt] = error if isinstance(error, UserError) else UserError(error.strerror or str(error))
            warn(f"partimento: {prompt}: {failed[prompt]}")
    if not tasks:
        raise UserError(f"none of the {len(options.prompts)} files can be continued")
    return tasks, failed


def _results(
    options: Options, engine: MusicEngine, settings: Settings, whole: Performance, asked: dict[str, Any]
) -> list[Continuation]:
    """The variations of one file."""
    span, prompt_seconds = options.span, options.prompt_seconds or _PROMPT_SECONDS
    begin = span[0] if span else min(prompt_seconds, whole.seconds)
    with _made(options.out), _progress(options, settings, begin) as on_note:
        if span:
            return engine.fill(whole, *span, on_note=on_note, **asked)
        return engine.continue_(whole, settings=settings, prompt_seconds=prompt_seconds, on_note=on_note)


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder, made before the music so that none is lost for want of it; taken back where none can be made."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except UserError:
        for path in made:
            path.rmdir()
        raise


def _targets(options: Options, prompt: Path, number: int) -> dict[str, Path]:
    made = "" if options.fill is None else "-filled"
    stem = f"{prompt.stem}{made}-{number + 1}"
    kinds = ["mid", "json", *(["png"] if options.plot else []), *(["wav"] if options.render else [])]
    return {kind: options.out / f"{stem}.{kind}" for kind in kinds}


def _write(options: Options, files: dict[str, Path], continuation: Continuation) -> None:
    continuation.write_midi(files["mid"], alone=options.continuation_only)
    if options.render:
        sound_file(options, files["mid"], files["wav"])
    if options.plot:
        continuation.draw(files["png"], alone=options.continuation_only)
    timings, music = continuation.timings, continuation.music(alone=options.continuation_only)
    said = [f"{len(continuation.generated)} new notes", f"{music.seconds:.1f} s in all"]
    if timings.first_note_s is not None:
        said.append(f"first note after {timings.first_note_s:.2f} s")
    said.append(f"{continuation.notes_per_s:.0f} notes/s ({timings.tokens_per_s:.0f} tokens/s)")
    if continuation.retries:
        said.append(f"{continuation.retries} loops taken back")
    if continuation.ended is False:
        said.append("stopped: the model came to no ending by itself")
    if timings.draft_accepted is not None:
        said.append(f"{timings.draft_accepted:.0%} of the draft accepted")
    options.say(f"{files['mid']}: {', '.join(said)}")
    if continuation.fallback is not None:
        options.say(f"{files['mid']}: {continuation.fallback}")


def _compared(options: Options, path: Path, continuation: Continuation, index: PassageIndex) -> dict[str, Any]:
    from partimento.library.originality import originality
    from partimento.library.originality.report import said

    found = originality(continuation, against=index)
    options.say(f"{path}: {said(found, beside='what the model learned from')}")
    return found.facts()


def _record(
    options: Options, prompt: Path, settings: Settings, continuation: Continuation, given: dict[str, Any]
) -> dict[str, Any]:
    return {
        "prompt": prompt.name,
        **given,
        "prompt_sha256": continuation.performance.source.sha256,
        "model": options.model,
        "engine": options.engine,
        "draft": options.draft,
        "seed": settings.seed,
        "settings": dataclasses.asdict(settings),
        **continuation.facts(),
    }


@contextmanager
def _progress(options: Options, settings: Settings, from_seconds: float) -> Iterator[NoteHandler]:
    """How far the variation is that is furthest behind, in seconds or notes."""
    done = [0.0] * settings.variations
    with options.counted("continuing", total=settings.notes or round(settings.seconds or 0)) as advance:

        def on_note(variation: int, note: GeneratedNote) -> None:
            before = min(done)
            done[variation] = done[variation] + 1 if settings.notes else max(0.0, note.onset_s - from_seconds)
            advance(min(done) - before)

        yield on_note
