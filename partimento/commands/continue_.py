"""`partimento continue`: a MIDI file in, its continuations out, or what fills a gap in it.

Knows the flags, the names of the files it writes and how progress looks. Refuses to know how music is made
(`partimento.generate`). Everything that can be refused is refused before the first note is made.

    partimento continue nocturne.mid --seconds 60 --variations 3 --plot -o out
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
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from partimento.commands.flags import parse
from partimento.commands.render import sound_file
from partimento.errors import UserError
from partimento.files import replacing
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from partimento.generate.settings import Continuation, GeneratedNote, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Continue a performance: write MIDI files that begin as the prompt does and go on from there.

    With --fill, a stretch of the file is made anew instead, so that it joins what follows.
    """

    prompt: tyro.conf.Positional[Path]
    """The MIDI file to continue."""
    fill: str | None = None
    """START:END in seconds: empty that stretch and fill it; the rest of the file stays (needs a model that can)."""
    prompt_seconds: float | None = None
    """How much of the file's beginning is the prompt (15 unless given)."""
    seconds: float | None = None
    """Length of the continuation in seconds (45 if neither this nor --notes is given)."""
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
    candidates: int | None = None
    """Of so many continuations keep the best, a few seconds at a time; 1: what the model says, as it comes (unless
    given, what the model's file says, else 8 for models of less than 100 million parameters, else 1)."""
    density: float = 1.0
    """Wish for so many times the prompt's notes per second; the candidates that come nearest are kept."""
    loudness: float = 1.0
    """Wish for so many times the prompt's loudness (mean velocity)."""
    temperature: float | None = None
    """Below 1 safer, above 1 wilder; 0 always takes the likeliest (unless given, what the model's file says, else 1 for
    small models and 0.98, as published, for others)."""
    min_p: float | None = None
    """Leave out whatever is less likely than this share of the likeliest; 0: nothing (unless given, what the model's
    file says, else 0.035, as published)."""
    top_p: float | None = None
    """Keep only the likeliest that together have this probability; 1: everything (unless given, what the model's file
    says, else 1)."""
    time_temperature: float | None = None
    """Temperature of onsets and durations (unless given, that of the notes)."""
    cut_times: bool | None = None
    """Whether --min-p and --top-p also cut onsets and durations, which makes them shorter (unless given, what the
    model's file says, else no for small models and yes, as published, for others)."""
    end: bool = False
    """Bring the piece to a close near the length given, within 20 % of it."""
    seed: int = 0
    """Another seed, another continuation; the same seed, the same."""
    model: str = "bundled"
    """Name of a bundled model, a .safetensors file, a folder, or a model of the hub such as loubb/aria-medium-gen."""
    engine: Literal["auto", "torch", "onnx", "onnx-int8", "onnx-int4"] = "auto"
    """What runs the model (auto: torch on a GPU, else ONNX Runtime with 8-bit weights, which are made once)."""
    draft: str | None = None
    """A small model of the same vocabulary that writes ahead, for a large one to check several tokens at once: the same
    distribution, other numbers drawn. For one variation of a model of hundreds of millions of parameters."""
    window: int | None = None
    """Let the model see only so many of the latest tokens: long pieces keep their pace, and forget sooner."""
    continuation_only: bool = False
    """Write the new notes alone, beginning at once."""
    pedal: bool = True
    """Write keys as hands press them, with a pedal, where the model folds the pedal into durations; --no-pedal: plain
    durations, however long a hand would have to hold them."""
    plot: bool = False
    """Also draw each result as a piano roll."""
    render: bool = False
    """Also write the sound of each result (.wav), as partimento render does."""
    force: bool = False
    """Overwrite files that exist."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path()
    """Folder for what is written; it is made if there is none."""


def main(argv: list[str]) -> None:
    """Run the verb with the arguments after its name."""
    options = parse(Options, argv, verb="continue")
    span = None if options.fill is None else _span(options)
    prompt_seconds = 15.0 if options.prompt_seconds is None else options.prompt_seconds
    if not (math.isfinite(prompt_seconds) and prompt_seconds > 0):
        raise UserError(f"--prompt-seconds must be above 0, not {prompt_seconds}")
    for flag in ("guidance", "like_model"):
        if options.like is None and getattr(options, flag) is not None:
            raise UserError(f"--{flag.replace('_', '-')} goes with a reference; give one with --like")
    whole = Performance.from_midi(options.prompt)
    targets = [_targets(options, number) for number in range(options.variations)]
    taken = [path for files in targets for path in files.values() if path.exists()]
    if taken and not options.force:
        raise UserError(f"{taken[0]} exists already; give --force to overwrite, or another folder with -o")
    if options.render:
        from partimento.audio.samples import check_recordings

        check_recordings()

    # Only now: loading an engine takes longer than all of the refusals above.
    from partimento.generate.decode.sampling import Sampling
    from partimento.generate.engine import Engine
    from partimento.generate.settings import Guidance, Settings, Wishes

    names = (field.name for field in dataclasses.fields(Sampling))
    changes: dict[str, Any] = {name: value for name in names if (value := getattr(options, name)) is not None}
    settings = Settings(
        seconds=span[1] - span[0] if span else options.seconds,
        notes=options.notes,
        end=options.end,
        seed=options.seed,
        variations=options.variations,
        sampling=Sampling(**changes),
        candidates=options.candidates,
        wishes=Wishes(density=options.density, loudness=options.loudness),
    )
    guidance = Guidance() if options.guidance is None else Guidance(weight=options.guidance)
    engine = Engine.load(options.model, engine=options.engine, window=options.window, say=print)
    if options.like is not None:
        from partimento.generate.reference import like

        engine = like(engine, options.like, model=options.model, embedder=options.like_model, guidance=guidance)
    if options.draft is not None:
        engine = engine.drafted_by(Engine.load(options.draft, say=lambda line: print(f"draft: {line}")))
    sampling = dataclasses.replace(engine.abilities.sampling, **changes)
    candidates = engine.candidates(settings, filling=span is not None)
    settings = dataclasses.replace(settings, sampling=sampling, candidates=candidates)
    if candidates > 1:
        print(f"search: the best of {candidates} candidates, a few seconds at a time")
    with _made(options.out):
        if span:
            with _Progress(settings, span[0]) as progress:
                results = engine.fill(
                    whole,
                    *span,
                    seed=settings.seed,
                    variations=settings.variations,
                    sampling=sampling,
                    on_note=progress.note,
                )
        else:
            prompt = whole.slice_time(0, prompt_seconds)
            split_seconds = min(prompt_seconds, prompt.seconds)
            with _Progress(settings, split_seconds) as progress:
                results = engine.continue_(prompt, settings=settings, from_seconds=split_seconds, on_note=progress.note)
    given: dict[str, Any] = {"fill": list(span)} if span else {"prompt_seconds": prompt_seconds}
    if options.like is not None:
        given["like"] = {"reference": options.like.name, **dataclasses.asdict(guidance)}
    for files, result in zip(targets, results, strict=True):
        folded = not engine.abilities.pedal_tokens
        _write(options, files, result.with_pedal() if options.pedal and folded else result, span)
        _write_json(files["json"], _record(options, settings, result, given))


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


def _span(options: Options) -> tuple[float, float]:
    """What --fill says, in seconds."""
    for flag in ("prompt_seconds", "seconds", "notes"):
        if getattr(options, flag) is not None:
            raise UserError(f"--fill says where the new notes go; leave out --{flag.replace('_', '-')}")
    if options.end:
        raise UserError("--fill joins what follows, so the piece cannot end there; leave out --end")
    for flag in ("density", "loudness"):
        if getattr(options, flag) != 1:
            raise UserError(f"--{flag} is a wish for continuations; leave it out with --fill")
    if options.candidates is not None and options.candidates > 1:
        raise UserError("a filling has one candidate; leave out --candidates")
    start, _, end = str(options.fill).partition(":")
    try:
        span = float(start), float(end)
    except ValueError:
        raise UserError(f"--fill needs START:END in seconds, 12.5:20.0 for example, not {options.fill!r}") from None
    if not 0 <= span[0] < span[1] < math.inf:
        raise UserError(f"--fill needs a start of at least 0 and an end behind it, not {options.fill}")
    return span


def _targets(options: Options, number: int) -> dict[str, Path]:
    stem = f"{options.prompt.stem}-{number + 1}"
    kinds = ["mid", "json", *(["png"] if options.plot else []), *(["wav"] if options.render else [])]
    return {kind: options.out / f"{stem}.{kind}" for kind in kinds}


def _write(
    options: Options, files: dict[str, Path], continuation: Continuation, span: tuple[float, float] | None
) -> None:
    generated = continuation.generated
    first = float(generated.onset_seconds[0]) if len(generated) else 0.0
    music = generated.shift(-first) if options.continuation_only else continuation.performance
    music.write_midi(files["mid"])
    if options.render:
        sound_file(files["mid"], files["wav"])
    if options.plot:
        from partimento.midi.picture import draw_piano_roll

        split, until = span or (first if len(generated) else None, None)
        if options.continuation_only:
            split, until = None, None
        title = f"{options.prompt.stem}, {'filled' if span else 'continued'}"
        draw_piano_roll(music, files["png"], split_seconds=split, until_seconds=until, title=title)
    print(
        f"{files['mid']}: {len(generated)} new notes, {music.seconds:.1f} s in all, "
        f"{_pace(continuation)}"
        + (f", {continuation.retries} loops taken back" if continuation.retries else "")
        + (", stopped: the model came to no ending by itself" if continuation.ended is False else "")
        + (f", {share:.0%} of the draft accepted" if (share := continuation.timings.draft_accepted) is not None else "")
    )
    if continuation.fallback is not None:
        print(f"{files['mid']}: {continuation.fallback}")


def _pace(continuation: Continuation) -> str:
    """`first note after 0.05 s, 61 notes/s (190 tokens/s)`; the pace is that of all variations together."""
    timings, tokens = continuation.timings, len(continuation.tokens) - continuation.prompt_tokens
    notes_per_s = timings.tokens_per_s * len(continuation.generated) / max(tokens, 1)
    first = "" if timings.first_note_s is None else f"first note after {timings.first_note_s:.2f} s, "
    return f"{first}{notes_per_s:.0f} notes/s ({timings.tokens_per_s:.0f} tokens/s)"


def _record(options: Options, settings: Settings, continuation: Continuation, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt": options.prompt.name,
        **given,
        "prompt_sha256": continuation.performance.source.sha256,
        "model": options.model,
        "engine": options.engine,
        "draft": options.draft,
        "seed": settings.seed,
        "settings": dataclasses.asdict(settings),
        "notes": len(continuation.generated),
        "retries": continuation.retries,
        "fallback": continuation.fallback,
        "prompt_tokens": continuation.prompt_tokens,
        "tokens": list(continuation.tokens),
        "timings": dataclasses.asdict(continuation.timings),
    }


def _write_json(path: Path, record: dict[str, Any]) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


class _Progress:
    """A bar with the time left, of the variation that is furthest behind; nothing where stderr is no terminal."""

    def __init__(self, settings: Settings, split_seconds: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._settings, self._split = settings, split_seconds
        self._done = [0.0] * settings.variations
        self._task = self._bar.add_task("continuing", total=settings.seconds or settings.notes)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def note(self, variation: int, note: GeneratedNote) -> None:
        """One more note."""
        in_notes = self._settings.seconds is None
        self._done[variation] = self._done[variation] + 1 if in_notes else note.onset_s - self._split
        self._bar.update(self._task, completed=max(0.0, min(self._done)))
