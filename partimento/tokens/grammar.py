"""What may follow what: the grammar of token sequences.

    sequence = PREFIX* <S> (<D> | event)* [<E>]
             | PREFIX* <S> <X> event+ <X> event* <E>      a gap is filled (`infill.py`)
    event    = <T> | NOTE ONSET DURATION | DRUM ONSET | PEDAL ONSET

Onsets do not run backwards inside a segment, and a segment begins at <T>; notes belong to the instruments that the
prefix names. Behind the second <X> every onset lies before the first one behind the first <X>, and <E> comes in the
segment of that one, neither earlier nor later. It knows which tokens may come next, as ranges, so that a sampler can
mask; it refuses to know about probabilities and about which of the allowed tokens a caller bans on top (an ending,
say).

    >>> from partimento.tokens.vocabulary import Vocabulary
    >>> grammar = Grammar(Vocabulary.piano())
    >>> state = grammar.run([6, 0])                       # piano prefix, <S>
    >>> grammar.allowed(state)                            # <E>, <D> and <T>, notes, pedal and <X>
    ((1, 2), (4, 6), (7, 1671), (2672, 2675))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from partimento.errors import UserError
from partimento.midi.instruments import INSTRUMENTS
from partimento.tokens.vocabulary import Kind, Vocabulary

TokenRanges = tuple[tuple[int, int], ...]


class Expect(Enum):
    """What the next token has to be."""

    PREFIX_OR_START = 0
    EVENT = 1
    NOTE_ONSET = 2
    LONE_ONSET = 3
    DURATION = 4
    NOTHING = 5


class Part(Enum):
    """Which part of a sequence we are in: of a plain one, or of one in which a gap is filled."""

    UNDECIDED = 0
    PLAIN = 1
    AFTER = 2
    STREAM = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where in a sequence we stand: what comes next, the segment's latest onset token, instruments named, <D> seen.

    Where a gap is filled, it ends at the onset token `gap_end` (None until it is known) of the segment that `segments`
    more <T> lead to.
    """

    expect: Expect
    onset: int
    instruments: frozenset[int]
    dimmed: bool = False
    part: Part = Part.UNDECIDED
    segments: int = 0
    gap_end: int | None = None

    @property
    def in_last_segment(self) -> bool:
        """Whether there is a gap and it ends in this segment."""
        return self.part is Part.STREAM and self.segments == 0


class Grammar:
    """The grammar over one vocabulary; states are values, so that going back is free."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._instrument_prefix = {vocabulary.prefix("instrument", INSTRUMENTS[i]): i for i in vocabulary.instruments}
        bases = vocabulary.note_bases()
        self._sounds = {i: (int(bases[i]), int(bases[i]) + 128 * 13) for i in vocabulary.instruments if bases[i] >= 0}
        drum_low, drum_high = vocabulary.drum
        if drum_high > drum_low:
            self._sounds[int(vocabulary.instrument_of[drum_low])] = (drum_low, drum_high)
        self._pedals = tuple(
            sorted((token, token + 1) for token in (vocabulary.pedal_on, vocabulary.pedal_off) if token is not None)
        )
        self._delimiter = [] if vocabulary.delimiter is None else [(vocabulary.delimiter, vocabulary.delimiter + 1)]
        self._durations = (vocabulary.duration[0] + 1, vocabulary.duration[1])  # a note of 0 ms is none
        self._after: dict[State, TokenRanges] = {}

    def start(self) -> State:
        """The state before the first token."""
        return State(expect=Expect.PREFIX_OR_START, onset=self.vocabulary.onset[0], instruments=frozenset())

    def allowed(self, state: State) -> TokenRanges:
        """Half-open token ranges of everything that may come next, ascending and disjoint; empty after <E>."""
        found = self._after.get(state)
        if found is None:
            found = self._after[state] = _joined(self._ranges_after(state))
        return found

    def step(self, state: State, token: int) -> State:
        """The state after `token`; raises `UserError` if the grammar forbids it."""
        if not any(low <= token < high for low, high in self.allowed(state)):
            raise UserError(
                f"token {self.vocabulary.text_of(token)!r} may not follow: expected {state.expect.name.lower()}"
            )
        kind = Kind(int(self.vocabulary.kind_of[token]))
        expect, onset, instruments, dimmed = state.expect, state.onset, state.instruments, state.dimmed
        part, segments, gap_end = state.part, state.segments, state.gap_end
        if part == Part.UNDECIDED and state.expect == Expect.EVENT and kind != Kind.DELIMITER:
            part = Part.PLAIN
        if kind == Kind.PREFIX:
            named = self._instrument_prefix.get(token)
            instruments = instruments if named is None else instruments | {named}
        elif kind == Kind.START:
            expect = Expect.EVENT
        elif kind == Kind.END:
            expect = Expect.NOTHING
        elif kind == Kind.DELIMITER:
            part = Part.STREAM if part == Part.AFTER else Part.AFTER
            onset = self.vocabulary.onset[0]
        elif kind == Kind.SEGMENT:
            onset = self.vocabulary.onset[0]
            if part == Part.STREAM:
                segments -= 1
            elif part == Part.AFTER and gap_end is None:
                segments += 1
        elif kind == Kind.DIM:
            dimmed = True
        elif kind == Kind.NOTE:
            expect = Expect.NOTE_ONSET
        elif kind in (Kind.DRUM, Kind.PEDAL_ON, Kind.PEDAL_OFF):
            expect = Expect.LONE_ONSET
        elif kind == Kind.ONSET:
            onset, expect = token, Expect.DURATION if expect == Expect.NOTE_ONSET else Expect.EVENT
            if part == Part.AFTER and gap_end is None:
                gap_end = token
        elif kind == Kind.DURATION:
            expect = Expect.EVENT
        return State(
            expect=expect,
            onset=onset,
            instruments=instruments,
            dimmed=dimmed,
            part=part,
            segments=segments,
            gap_end=gap_end,
        )

    def run(self, tokens: Iterable[int], state: State | None = None) -> State:
        """The state after all of `tokens`; raises `UserError` at the first one that is out of place."""
        state = self.start() if state is None else state
        for token in tokens:
            state = self.step(state, int(token))
        return state

    def _ranges_after(self, state: State) -> list[tuple[int, int]]:
        v = self.vocabulary
        onsets_end = state.gap_end if state.in_last_segment and state.gap_end is not None else v.onset[1]
        if state.expect == Expect.PREFIX_OR_START:
            return [(v.start, v.start + 1), v.spans[Kind.PREFIX]]
        if state.expect in (Expect.NOTE_ONSET, Expect.LONE_ONSET):
            return [(state.onset, onsets_end)]
        if state.expect == Expect.DURATION:
            return [self._durations]
        if state.expect == Expect.NOTHING:
            return []
        ranges: list[tuple[int, int]] = []
        if state.onset < onsets_end:
            named = state.instruments or frozenset(self._sounds)
            ranges += [*(self._sounds[i] for i in named if i in self._sounds), *self._pedals]
        if not state.in_last_segment:
            ranges.append((v.segment, v.segment + 1))
        if state.in_last_segment or state.part in (Part.UNDECIDED, Part.PLAIN):
            ranges.append((v.end, v.end + 1))
        if not state.dimmed and state.part in (Part.UNDECIDED, Part.PLAIN):
            ranges.append((v.dim, v.dim + 1))
        if state.part == Part.UNDECIDED or (state.part == Part.AFTER and state.gap_end is not None):
            ranges += self._delimiter
        return ranges


def _joined(ranges: list[tuple[int, int]]) -> TokenRanges:
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and joined[-1][1] == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return tuple(joined)
