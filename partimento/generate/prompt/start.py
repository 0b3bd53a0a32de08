"""What generation starts from: a prompt, or the two sides of a gap, as a model reads them.

Knows which notes a vocabulary can say, on which clock they are spelt, and which tokens must never
come out. Refuses to know how tokens are chosen.

    start = begin(vocabulary, prompt, context=1024, pedal=False)
    start = begin_gap(vocabulary, Gap.open(performance, 12.5, 20.0), context=1024, pedal=False)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.generate.decode.crowd import Crowd
from partimento.generate.prompt.events import Event, split
from partimento.generate.prompt.gap import MOST_SECONDS, Gap
from partimento.generate.settings import GeneratedNote
from partimento.midi.columns import NS_PER_S
from partimento.midi.instruments import DRUM
from partimento.midi.performance import Performance
from partimento.tokens.grammar import Grammar
from partimento.tokens.notes import pedal_intervals
from partimento.tokens.tokenizer import DRUM_MS, Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary

LEAST_CONTEXT = 32
LEAST_CONTEXT_FOR_GAP = 256
AT_ONCE_MS = 400
_DRUM_VELOCITY = 60  # drum tokens have none; decoding gives them this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What is given, as the model reads it: prefix and events, and where millisecond 0 lies on the performance's clock.

    `after` follows the gap that is to be filled; without it there is none. New notes begin at `from_seconds` or later
    in a gap; else lengths count from there. `at_once`: they do so without a gap too, and the first of them within
    `AT_ONCE_MS`, as somebody who is waiting for it needs.
    """

    vocabulary: Vocabulary
    grammar: Grammar
    crowd: Crowd
    banned_V: NDArray[np.bool_]
    prefix: tuple[int, ...]
    events: tuple[Event, ...]
    after: tuple[Event, ...] = ()
    clock_ns: int
    from_seconds: float
    context: int
    at_once: bool = False

    @property
    def from_ms(self) -> float:
        """`from_seconds` on the model's clock."""
        return 1000 * self.from_seconds - self.clock_ns / 1e6

    def sounds(self, event: Event) -> bool:
        """Whether it is a note or a drum, not the pedal."""
        return self.vocabulary.kind_of[event.head] in (Kind.NOTE, Kind.DRUM)

    def key(self, event: Event) -> tuple[int, int]:
        """What is pressed: instrument and pitch of a note or drum; the pedal's two moves are their own."""
        v = self.vocabulary
        if not self.sounds(event):
            return -1, event.head
        return int(v.instrument_of[event.head]), int(v.pitch_of[event.head])

    def note(self, event: Event) -> GeneratedNote:
        """A note on the performance's clock. A drum has neither length nor velocity of its own."""
        v = self.vocabulary
        return GeneratedNote(
            pitch=int(v.pitch_of[event.head]),
            velocity=int(v.velocity_of[event.head]) or _DRUM_VELOCITY,
            onset_s=(self.clock_ns + event.ms * 1_000_000) / NS_PER_S,
            duration_s=(DRUM_MS if event.duration is None else int(v.ms_of[event.duration])) / 1000,
            instrument=int(v.instrument_of[event.head]),
        )

    def pedal(self, moves: Sequence[Event], final_ms: int) -> list[tuple[float, float]]:
        """The intervals between moves of the pedal, in seconds on the performance's clock; a last one ends then."""
        ups, downs = pedal_intervals(
            np.array([event.ms for event in moves], np.int64),
            np.array([event.head == self.vocabulary.pedal_on for event in moves], np.uint8),
            final_ms,
        )
        seconds = (self.clock_ns + 1_000_000 * np.stack([downs, ups], axis=1)) / NS_PER_S
        return [(float(down), float(up)) for down, up in seconds]


def begin(
    vocabulary: Vocabulary, prompt: Performance, *, context: int, pedal: bool, from_seconds: float | None = None
) -> Start:
    """Spells the prompt. Notes that the vocabulary cannot say are not shown to the model; `pedal`: it is, as tokens."""
    if context < LEAST_CONTEXT:
        raise UserError(f"the model's context of {context} tokens is too short to continue anything")
    from_seconds = prompt.seconds if from_seconds is None else from_seconds
    shown = _sayable(vocabulary, prompt)
    clock_ns = int(shown.onset[0]) if len(shown) else round(from_seconds * NS_PER_S)
    events = _events(vocabulary, shown, clock_ns, pedal=pedal)
    return Start(
        vocabulary=vocabulary,
        grammar=Grammar(vocabulary),
        crowd=Crowd(vocabulary, events, ()),
        banned_V=_banned(vocabulary, pedal=pedal),
        prefix=(*Tokenizer(vocabulary).prefixes(shown), vocabulary.start),
        events=events,
        clock_ns=clock_ns,
        from_seconds=from_seconds,
        context=context,
    )


def begin_gap(vocabulary: Vocabulary, gap: Gap, *, context: int, pedal: bool) -> Start:
    """Spells both sides of a gap on one clock. Raises `UserError` where nothing follows that could be joined."""
    if context < LEAST_CONTEXT_FOR_GAP:
        raise UserError(f"the model's context of {context} tokens is too short to fill a gap")
    before, after = _sayable(vocabulary, gap.before), _sayable(vocabulary, gap.after)
    if not len(after) or after.onset[0] - gap.start_ns > MOST_SECONDS * NS_PER_S:
        raise UserError(
            f"no note that the model can say follows the gap within {MOST_SECONDS:.0f} s of its start; "
            "continue the file instead"
        )
    if pedal:  # what the model hears of it ends where the model's own begins
        before = before.slice_time(0, gap.start_ns / NS_PER_S)
    clock_ns = int(before.onset[0]) if len(before) else gap.start_ns
    events, following = (_events(vocabulary, side, clock_ns, pedal=pedal) for side in (before, after))
    return Start(
        vocabulary=vocabulary,
        grammar=Grammar(vocabulary),
        crowd=Crowd(vocabulary, events, following),
        banned_V=_banned(vocabulary, pedal=pedal),
        prefix=(*Tokenizer(vocabulary).prefixes(_sayable(vocabulary, gap.kept)), vocabulary.start),
        events=events,
        after=following,
        clock_ns=clock_ns,
        from_seconds=gap.start_ns / NS_PER_S,
        context=context,
    )


def _sayable(vocabulary: Vocabulary, performance: Performance) -> Performance:
    drum_low, drum_high = vocabulary.drum
    keep = np.isin(performance.instrument, vocabulary.instruments)
    keep &= (performance.instrument != DRUM) | np.isin(performance.pitch, vocabulary.pitch_of[drum_low:drum_high])
    return performance.select(keep)


def _events(vocabulary: Vocabulary, performance: Performance, clock_ns: int, *, pedal: bool) -> tuple[Event, ...]:
    tokens = Tokenizer(vocabulary).encode(
        performance.shift(-clock_ns / NS_PER_S), prefix=False, end=False, pedal_tokens=pedal, remove_silence=False
    )
    return tuple(split(vocabulary, tokens)[1])


def _banned(vocabulary: Vocabulary, *, pedal: bool) -> NDArray[np.bool_]:
    """What never comes out, whatever the grammar says."""
    kinds = vocabulary.kind_of
    banned_V = np.isin(kinds, (Kind.PAD, Kind.UNKNOWN, Kind.DELIMITER, Kind.PREFIX))
    if not pedal:
        banned_V |= np.isin(kinds, (Kind.PEDAL_ON, Kind.PEDAL_OFF))
    return np.asarray(banned_V | ((kinds == Kind.NOTE) & (vocabulary.velocity_of == 0)))
