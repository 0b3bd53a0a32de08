"""`partimento continue`: a MIDI file in, its continuations out.

Knows the flags, the names of the files it writes and how progress looks. Refuses to know how music is made
(`partimento.generate`). Everything that can be refused is refused before the first note is made.

    partimento continue nocturne.mid --seconds 60 --variations 3 --plot -o out
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from partimento.commands.flags import parse
from partimento.errors import UserError
from partimento.files import replacing
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from partimento.generate.settings import Continuation, GeneratedNote, Settings

# One token of a small model is too little work to share: on a busy machine threads that wait for each other made
# decoding 16 times slower.
_ONE_THREAD_BELOW = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Continue a performance: write MIDI files that begin as the prompt does and go on from there."""

    prompt: tyro.conf.Positional[Path]
    """The MIDI file to continue."""
    prompt_seconds: float = 15.0
    """How much of the file's beginning is the prompt."""
    seconds: float | None = None
    """Length of the continuation in seconds (45 if neither this nor --notes is given)."""
    notes: int | None = None
    """Length of the continuation in notes, instead of seconds."""
    variations: int = 1
    """How many continuations to make."""
    temperature: float = 0.98
    """Below 1 safer, above 1 wilder; 0 always takes the likeliest."""
    min_p: float = 0.035
    """Leave out whatever is less likely than this share of the likeliest (0: nothing)."""
    top_p: float = 1.0
    """Keep only the likeliest that together have this probability (1: everything)."""
    end: bool = False
    """Bring the piece to a close within the length given."""
    seed: int = 0
    """Another seed, another continuation; the same seed, the same."""
    model: str = "bundled"
    """Name of a bundled model, or the path of a .safetensors file."""
    continuation_only: bool = False
    """Write the new notes without the prompt, beginning at once."""
    plot: bool = False
    """Also draw each result as a piano roll."""
    force: bool = False
    """Overwrite files that exist."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path()
    """Folder for what is written; it is made if there is none."""


def main(argv: list[str]) -> None:
    """Run the verb with the arguments after its name."""
    options = parse(Options, argv, verb="continue")
    if not (math.isfinite(options.prompt_seconds) and options.prompt_seconds > 0):
        raise UserError(f"--prompt-seconds must be above 0, not {options.prompt_seconds}")
    whole = Performance.from_midi(options.prompt)
    prompt = whole.slice_time(0, options.prompt_seconds)
    targets = [_targets(options, number) for number in range(options.variations)]
    taken = [path for files in targets for path in files.values() if path.exists()]
    if taken and not options.force:
        raise UserError(f"{taken[0]} exists already; give --force to overwrite, or another folder with -o")

    # Only now: loading torch takes longer than all of the refusals above.
    import torch

    from partimento.generate.engine import Engine
    from partimento.generate.sampling import Sampling
    from partimento.generate.settings import Settings

    settings = Settings(
        seconds=options.seconds,
        notes=options.notes,
        end=options.end,
        seed=options.seed,
        variations=options.variations,
        sampling=Sampling(temperature=options.temperature, min_p=options.min_p, top_p=options.top_p),
    )
    engine = Engine.load(options.model)
    if engine.model.config.parameters < _ONE_THREAD_BELOW:
        torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    split_seconds = min(options.prompt_seconds, prompt.seconds)
    with _Progress(settings, split_seconds) as progress:
        continuations = engine.continue_(prompt, settings=settings, from_seconds=split_seconds, on_note=progress.note)
    for files, continuation in zip(targets, continuations, strict=True):
        _write(options, settings, files, continuation)


def _targets(options: Options, number: int) -> dict[str, Path]:
    stem = f"{options.prompt.stem}-{number + 1}"
    kinds = ["mid", "json", *(["png"] if options.plot else [])]
    return {kind: options.out / f"{stem}.{kind}" for kind in kinds}


def _write(options: Options, settings: Settings, files: dict[str, Path], continuation: Continuation) -> None:
    generated = continuation.generated
    first = float(generated.onset_seconds[0]) if len(generated) else 0.0
    music = generated.shift(-first) if options.continuation_only else continuation.performance
    music.write_midi(files["mid"])
    if options.plot:
        from partimento.midi.picture import draw_piano_roll

        split = None if options.continuation_only or not len(generated) else first
        draw_piano_roll(music, files["png"], split_seconds=split, title=f"{options.prompt.stem}, continued")
    _write_json(files["json"], _record(options, settings, continuation))
    print(
        f"{files['mid']}: {len(generated)} new notes, {music.seconds:.1f} s in all, "
        f"{continuation.timings.tokens_per_s:.0f} tokens/s"
        + (f", {continuation.retries} loops taken back" if continuation.retries else "")
    )


def _record(options: Options, settings: Settings, continuation: Continuation) -> dict[str, Any]:
    return {
        "prompt": options.prompt.name,
        "prompt_seconds": options.prompt_seconds,
        "prompt_sha256": continuation.performance.source.sha256,
        "model": options.model,
        "seed": settings.seed,
        "settings": dataclasses.asdict(settings),
        "notes": len(continuation.generated),
        "retries": continuation.retries,
        "prompt_tokens": continuation.prompt_ids,
        "tokens": list(continuation.ids),
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
