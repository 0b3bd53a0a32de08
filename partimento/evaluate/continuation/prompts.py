"""Which held-out performances become prompts, and which other piece each is compared with.

    prompts = choose(Path("midi"), Span(), labels=Labels.load(csv=Path("labels.csv")), split="validation", files=40)
    others(len(prompts), seed=0)        # array([2, 0, 3, 1 ...]): prompt 0 beside the music of prompt 2

A prompt is long enough, and of another piece than all others, so that another prompt's continuation is unrelated music.
What a model makes of it is no business of this file (`run.py`).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from partimento.corpus.survey.labels import Labels
from partimento.corpus.survey.metadata import words
from partimento.errors import UserError
from partimento.evaluate.tasks import contents
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError

Half = Literal["all", "first", "second"]
"""Which files by their content: choose how to sample on the first half, report on the second."""

LEAST_NOTES: Final = 8
"""Notes without which nothing can be said of a prompt."""
_LIVE: Final = re.compile(r" - live\b.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Seconds: where a prompt begins after the first note, how long it is, and how long what follows it is."""

    start: float = 0.0
    prompt: float = 15.0
    seconds: float = 45.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and self.start >= 0):
            raise UserError(f"a prompt begins 0 s or more after the first note, not {self.start}")
        if not (math.isfinite(self.prompt) and self.prompt > 0):
            raise UserError(f"prompts must be longer than 0 s, not {self.prompt}")
        if not (math.isfinite(self.seconds) and self.seconds > 0 and (self.seconds / self.prompt).is_integer()):
            raise UserError(
                f"what follows is compared in windows as long as the prompt, so seconds must be {self.prompt:g} s "
                f"or twice, three times ... as long, not {self.seconds:g}"
            )

    @property
    def end(self) -> float:
        """Where the comparison ends on the prompt's clock."""
        return self.prompt + self.seconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """A performance from the start of the prompt on (`music`), and what of it a model is given."""

    sha256: str
    path: Path
    collection: str
    music: Performance
    given: Performance


def choose(
    folder: Path,
    span: Span,
    *,
    labels: Labels | None = None,
    split: str | None = None,
    half: Half = "all",
    files: int | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Prompt]:
    """The prompts of a folder: long enough, a file of each piece, the collections by turns, ordered by content.

    Labels give split, collection and title; without, a file's folder is its collection and its name the title. Asking
    for more `files` adds to the end. Raises `UserError` where there are not even two.
    """
    by_collection: dict[str, list[tuple[str, Path, str, str]]] = defaultdict(list)
    for sha256, path in sorted(contents(folder).items()):
        inside = path.relative_to(folder)
        said = {name: value for name, (value, _) in (labels or Labels()).of(str(folder), inside.as_posix()).items()}
        if split is None or said.get("declared_split") == split:
            piece = " ".join(words(_LIVE.sub("", said.get("title", path.stem)))) or path.stem
            collection = said.get("collection", [folder.name, *inside.parts][-2])
            by_collection[collection].append((sha256, path, collection, piece))
    pieces: set[str] = set()
    turns = [_suiting(found, span, pieces, half, say) for _, found in sorted(by_collection.items())]
    chosen = list(islice(_by_turns(turns), files))
    if len(chosen) < 2:
        raise UserError(
            f"{folder}: {len(chosen)} files{f' of split {split!r}' if split else ''} are long enough "
            f"({span.start + span.end:g} s from their first note); it takes two of different pieces"
        )
    return chosen


def _suiting(
    found: Sequence[tuple[str, Path, str, str]],
    span: Span,
    pieces: set[str],
    half: Half,
    say: Callable[[str], None] | None,
) -> Iterator[Prompt]:
    for sha256, path, collection, piece in found:
        if piece in pieces:
            continue
        try:
            whole = Performance.from_midi(path)
        except MidiError as error:
            if say is not None:
                say(f"left out: {error}")
            continue
        later = whole.onset_seconds[whole.onset_seconds >= whole.onset_seconds[:1].sum() + span.start]
        if not len(later):
            continue
        music = whole.slice_time(later[0], math.inf)
        given = music.slice_time(0, span.prompt)
        if len(given) < LEAST_NOTES or music.onset_seconds[-1] < span.end:
            continue
        pieces.add(piece)  # whichever half it is in, or a piece would be in both
        if half == "all" or (half == "first") == (int(sha256[-1], 16) < 8):
            yield Prompt(sha256=sha256, path=path, collection=collection, music=music, given=given)


def _by_turns(turns: list[Iterator[Prompt]]) -> Iterator[Prompt]:
    while turns:
        for turn in list(turns):
            following = next(turn, None)
            if following is None:
                turns.remove(turn)
            else:
                yield following


def others(prompts: int, *, seed: int, step: int = 1) -> NDArray[np.int64]:
    """For each of n prompts another one, all of them once [n]: in a random circle, so many steps on."""
    order = np.random.default_rng(seed).permutation(prompts)
    other_n = np.empty(prompts, np.int64)
    other_n[order] = np.roll(order, -step)
    return other_n
