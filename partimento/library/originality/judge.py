"""Music beside an index -> the passages that both have, and what to make of them.

Knows which of what an index finds is looked at note by note, when a shared passage is a quotation, when it is
repertoire, and when it is long enough to be said aloud. Refuses to know where the index and the notes of its files
come from (`against.py`) and how passages are found (`corpus/duplicates/`). docs/originality.md says what this cannot
see.

    >>> found = originality(Performance.from_midi("take.mid"), against=index, prompt_seconds=15)  # doctest: +SKIP
    >>> found.flagged, found.longest                                                             # doctest: +SKIP
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any, Final, Literal

import numpy as np

from partimento.corpus.duplicates.chains import FURTHEST
from partimento.corpus.duplicates.copies import FEWEST, Copy, copies, sought
from partimento.corpus.duplicates.fingerprints import PASSAGE_NOTES
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.duplicates.note_by_note import compared
from partimento.library.originality.against import notes_at_hand
from partimento.library.originality.chance import Chance
from partimento.midi.performance import Performance
from partimento.midi.picture import Parted
from partimento.tokens.notes import Notes

FLAG_NOTES: Final = 50
FLAG_SECONDS: Final = 5.0
FLAG_P: Final = 0.001
"""A passage of at least so many notes and seconds that fewer than so many human stretches share is said aloud."""
REPERTOIRE: Final = 3
"""What stands in so many different performances is a work that many play."""
COMPARED: Final = 16
"""So many stretches are looked at note by note, the longest of each place first."""
_SAME_PLACE: Final = 0.5
"""Two stretches are one passage if they share this part of the shorter; a passage is from the prompt if so much is."""

Kind = Literal["copy", "quotation", "repertoire"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A passage that the music shares with a file; `copy` says where.

    `kind`: a "quotation" begins in the prompt or repeats it; "repertoire" stands in several `performances` of the index
    (counted up to `REPERTOIRE`); anything else is a "copy". `share` (0..1): the part of the music behind the prompt
    that it makes up, in notes. `p`: the share of human stretches of that length that go along with another work for as
    long; a quotation has none. `long`: too long for chance, and long enough to be said aloud.
    """

    copy: Copy
    kind: Kind
    performances: int
    share: float
    p: float | None
    long: bool

    @property
    def flagged(self) -> bool:
        """A copy that is too long for chance."""
        return self.long and self.kind == "copy"

    @property
    def notes(self) -> int:
        """From the first note to the last, in the music."""
        return self.copy.last_note - self.copy.first_note


@dataclass(frozen=True, slots=True, kw_only=True)
class Originality:
    """What music of `notes` notes and `seconds` behind a prompt of `prompt_seconds` shares with the files of an index.

    `passages`: the longest first, by their scores; no two lie in one place of the music. `windows` human stretches
    of `window_seconds` are what `p` compares with. `at_hand`: whether the notes of all files that were to be compared
    were to be had; of the others only passages are known, and short copies may be missed.
    """

    prompt_seconds: float
    notes: int
    seconds: float
    passages: tuple[Shared, ...]
    windows: int
    window_seconds: int
    at_hand: bool

    @property
    def longest(self) -> Shared | None:
        """The longest passage that is no quotation."""
        return next((passage for passage in self.passages if passage.kind != "quotation"), None)

    @property
    def quotation(self) -> Shared | None:
        """The longest passage that is one."""
        return next((passage for passage in self.passages if passage.kind == "quotation"), None)

    @property
    def quoted_seconds(self) -> float:
        """How long what begins in the prompt goes on behind it."""
        begun = [passage.copy.query_ms for passage in self.passages if passage.kind == "quotation"]
        behind = (last / 1000 - self.prompt_seconds for first, last in begun if first < 1000 * self.prompt_seconds)
        return max([0.0, *behind])

    @property
    def flagged(self) -> bool:
        """Whether any passage is."""
        return any(passage.flagged for passage in self.passages)

    @property
    def verdict(self) -> Literal["copy", "repertoire", "own"]:
        """In a word: a passage is flagged, a work that many play is, or nothing long is shared."""
        return "copy" if self.flagged else "repertoire" if any(passage.long for passage in self.passages) else "own"

    def facts(self) -> dict[str, Any]:
        """For JSON: times in seconds of the music and of the source."""
        return {
            "prompt_seconds": self.prompt_seconds,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
            "verdict": self.verdict,
            "flagged": self.flagged,
            "passages": [_facts(passage) for passage in self.passages],
            "human_windows": self.windows,
            "human_window_seconds": self.window_seconds,
            "source_notes_at_hand": self.at_hand,
        }


def originality(
    performance: Performance | Parted[Performance],
    *,
    against: PassageIndex,
    prompt_seconds: float | None = None,
    without: Collection[int] = (),
) -> Originality:
    """Look for the passages of `performance` in the index; what begins before `prompt_seconds` is given, not made.

    Times are seconds of the performance. A `Continuation` says itself what is new in it, unless it is said here: behind
    the prompt, or in a gap, whose music is judged up to its end. Files whose numbers are in `without` are left out.
    """
    if not isinstance(performance, Performance):
        begin, end = performance.edges
        whole = performance.performance
        if prompt_seconds is None:
            prompt_seconds = whole.seconds + 1 if begin is None else begin  # without new notes all was given
        performance = whole if end is None else whole.slice_time(0, end)
    prompt_seconds = prompt_seconds or 0.0
    notes = Notes.from_performance(performance, remove_silence=False)
    split = int(np.searchsorted(notes.onset_ms, round(prompt_seconds * 1000)))
    made = notes.slice(split, len(notes))
    seconds = float(np.ptp(made.onset_ms)) / 1000 if len(made) else 0.0
    given = sought(notes.slice(0, split)) if split else np.empty(0, np.uint32)
    begun, all_read = stretches(notes, against, without, across=split) if split else ([], True)
    behind, all_read_too = stretches(made, against, without)
    chance = Chance.published()
    passages = []
    for place in _places([*begun, *(_moved(copy, split, notes) for copy in behind)]):
        copy = place[0]
        performances = _performances(place)
        kind: Kind = "repertoire" if performances >= REPERTOIRE else "copy"
        if copy.first_note < split or np.mean(np.isin(copy.passages, given)) >= _SAME_PLACE:
            kind = "quotation"
        p = None if kind == "quotation" else chance.p(copy.score, seconds=seconds, lasting=copy.seconds)
        enough = copy.last_note - copy.first_note >= FLAG_NOTES and copy.seconds >= FLAG_SECONDS
        passages.append(
            Shared(
                copy=copy,
                kind=kind,
                performances=performances,
                share=(copy.last_note - max(copy.first_note, split)) / len(made),
                p=p,
                long=enough and p is not None and p < FLAG_P,
            )
        )
    length, windows = chance.windows(seconds)
    return Originality(
        prompt_seconds=prompt_seconds,
        notes=len(made),
        seconds=seconds,
        passages=tuple(passages),
        windows=windows,
        window_seconds=length,
        at_hand=all_read and all_read_too,
    )


def stretches(
    notes: Notes, index: PassageIndex, without: Collection[int] = (), *, across: int | None = None
) -> tuple[list[Copy], bool]:
    """What the notes share with files, note by note where the file's can be read, and whether all of them could be.

    With `across` only what begins before that note and ends behind it.
    """
    found = copies(notes, index, without=without, fewest=PASSAGE_NOTES)
    if across is not None:
        found = [copy for copy in found if copy.first_note - FURTHEST < across < copy.last_note + FURTHEST]
    by_turns = (copy for turn in zip_longest(*_places(found)) for copy in turn if copy is not None)
    chosen = list(islice(by_turns, COMPARED))
    files = {copy.file for copy in chosen}
    sources = notes_at_hand(index, files)
    by_note = (compared(copy, notes, sources[copy.file]) if copy.file in sources else copy for copy in chosen)
    told = [copy for copy in by_note if copy is not None and copy.score >= FEWEST]
    if across is not None:
        told = [copy for copy in told if copy.first_note < across < copy.last_note]
    return told, len(sources) == len(files)


def _moved(copy: Copy, split: int, notes: Notes) -> Copy:
    """A stretch of what begins with note `split`, told of the whole."""
    wait = int(notes.onset_ms[split])
    first, last = copy.query_ms
    return dataclasses.replace(
        copy,
        first_note=copy.first_note + split,
        last_note=copy.last_note + split,
        query_ms=(first + wait, last + wait),
        anchors=copy.anchors + np.array([wait, 0]),
        pairs=copy.pairs + np.array([split, 0]),
    )


def _places(found: list[Copy]) -> Iterator[list[Copy]]:
    """Stretches of one place in the music together: the longest, and the others that lie there."""
    rest = sorted(found, key=lambda copy: (-copy.score, copy.file))
    while rest:
        leader = rest[0]
        here = [each for each in rest if each is leader or _overlap(each, leader) >= _SAME_PLACE]
        yield here
        rest = [each for each in rest if each not in here]


def _overlap(one: Copy, other: Copy) -> float:
    both = min(one.last_note, other.last_note) - max(one.first_note, other.first_note)
    return both / min(one.last_note - one.first_note, other.last_note - other.first_note)


def _performances(place: list[Copy]) -> int:
    """How many different performances these files are, counted up to `REPERTOIRE`."""
    different: list[Copy] = []
    for copy in place:
        if not any(copy.same_performance(other) for other in different):
            different.append(copy)
        if len(different) == REPERTOIRE:
            break
    return len(different)


def _facts(passage: Shared) -> dict[str, Any]:
    copy = passage.copy
    return {
        "kind": passage.kind,
        "flagged": passage.flagged,
        "source": copy.name,
        "notes": passage.notes,
        "notes_of_both": copy.notes,
        "different_notes": copy.different,
        "notes_of_one": copy.alone,
        "seconds": round(copy.seconds, 3),
        "at": [ms / 1000 for ms in copy.query_ms],
        "source_at": [ms / 1000 for ms in copy.file_ms],
        "transposition": copy.transposition,
        "tempo": round(copy.tempo, 3),
        "share": round(passage.share, 4),
        "performances": passage.performances,
        "p": None if passage.p is None else round(passage.p, 6),
    }
