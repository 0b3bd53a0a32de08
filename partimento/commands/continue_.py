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
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from partimento.commands.flags import EngineName, parse
from partimento.commands.progress import counted
from partimento.commands.reading import read_midi
from partimento.commands.render import sound_file
from partimento.errors import UserError
from partimento.files import refuse_existing, replacing

if TYPE_CHECKING:
    from partimento.generate.run import NoteHandler
    from partimento.generate.settings import Continuation, GeneratedNote, Settings


_ASKED = (
    "seconds", "notes", "end", "seed", "variations", "candidates", "density", "loudness",
    "temperature", "min_p", "top_p", "time_temperature", "cut_times",
)  # fmt: skip
"""Options that are settings of the same name."""


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
    engine: EngineName = "auto"
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
    strict: bool = False
    """Refuse a damaged file instead of reading what can be read."""
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
    whole = read_midi(options.prompt, strict=options.strict)
    targets = [_targets(options, number) for number in range(options.variations)]
    if options.out.suffix.lower() in (".mid", ".midi", ".wav", ".png", ".json") and not options.out.is_dir():
        raise UserError(f"-o is the folder for what is written, not a file such as {options.out}")
    for files in targets:
        for path in files.values():
            refuse_existing(path, force=options.force)
    if options.render:
        from partimento.audio.samples import check_recordings

        check_recordings()

    # Only now: loading an engine takes longer than all of the refusals above.
    from partimento.generate.decode.sampling import Sampling
    from partimento.generate.engine import Engine
    from partimento.generate.settings import Guidance, Settings

    asked = {name: getattr(options, name) for name in _ASKED} | ({"seconds": span[1] - span[0]} if span else {})
    Settings.of(Sampling(), **asked)
    guidance = Guidance() if options.guidance is None else Guidance(weight=options.guidance)
    engine = Engine.load(options.model, engine=options.engine, window=options.window, say=print)
    if options.like is not None:
        from partimento.generate.reference import like

        engine = like(engine, options.like, model=options.model, embedder=options.like_model, guidance=guidance)
    if options.draft is not None:
        engine = engine.drafted_by(Engine.load(options.draft, say=lambda line: print(f"draft: {line}")))
    settings = engine.settings(filling=span is not None, **asked)
    if settings.candidates != 1:
        print(f"search: the best of {settings.candidates} candidates, a few seconds at a time")
    with _made(options.out), _progress(settings, span[0] if span else min(prompt_seconds, whole.seconds)) as on_note:
        if span:
            results = engine.fill(whole, *span, on_note=on_note, **asked)
        else:
            results = engine.continue_(whole, settings=settings, prompt_seconds=prompt_seconds, on_note=on_note)
    given: dict[str, Any] = {"fill": list(span)} if span else {"prompt_seconds": prompt_seconds}
    if options.like is not None:
        given["like"] = {"reference": options.like.name, **dataclasses.asdict(guidance)}
    for files, result in zip(targets, results, strict=True):
        folded = not engine.abilities.pedal_tokens
        _write(options, files, result.with_pedal() if options.pedal and folded else result)
        with replacing(files["json"]) as part:
            part.write_text(json.dumps(_record(options, settings, result, given), indent=1) + "\n", encoding="utf-8")


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
    made = "" if options.fill is None else "-filled"
    stem = f"{options.prompt.stem}{made}-{number + 1}"
    kinds = ["mid", "json", *(["png"] if options.plot else []), *(["wav"] if options.render else [])]
    return {kind: options.out / f"{stem}.{kind}" for kind in kinds}


def _write(options: Options, files: dict[str, Path], continuation: Continuation) -> None:
    continuation.write_midi(files["mid"], alone=options.continuation_only)
    if options.render:
        sound_file(files["mid"], files["wav"])
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
    print(f"{files['mid']}: {', '.join(said)}")
    if continuation.fallback is not None:
        print(f"{files['mid']}: {continuation.fallback}")


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
        **continuation.facts(),
    }


@contextmanager
def _progress(settings: Settings, from_seconds: float) -> Iterator[NoteHandler]:
    """How far the variation is that is furthest behind, in seconds or notes."""
    done = [0.0] * settings.variations
    with counted("continuing", total=settings.notes or round(settings.seconds or 0)) as advance:

        def on_note(variation: int, note: GeneratedNote) -> None:
            before = min(done)
            done[variation] = done[variation] + 1 if settings.notes else max(0.0, note.onset_s - from_seconds)
            advance(min(done) - before)

        yield on_note
