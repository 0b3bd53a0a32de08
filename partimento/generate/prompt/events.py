"""Tokens <-> events on an absolute clock, and the tokens of a window that begins at any event.

Knows how an event is spelt (a head, then its onset and duration) and that <T> counts segments. Refuses to know models,
and the meaning of the keys it moves about. Times are milliseconds on the grid of the vocabulary, so moving a window
to another first event is exact.

    prefix, events = split(vocabulary, tokens)
    tokens = spell(vocabulary, prefix, events[-100:], origin=events[-100].ms)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from partimento.tokens.infill import LONGEST_EXCERPT_MS, arrange_hole
from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS, Kind, Vocabulary

_SOUNDING = (Kind.NOTE, Kind.DRUM)
_MOST_AFTER_MS = LONGEST_EXCERPT_MS // 5  # of the excerpts that models are trained on, what stands behind a gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`head` is the token that says what happens, `ms` when; `duration` is a token, or None where there is none.

    <D> and <E> are events that stand at the time of what comes before them, with `timed` false.
    """

    head: int
    ms: int
    duration: int | None = None
    timed: bool = True


def split(vocabulary: Vocabulary, tokens: Iterable[int]) -> tuple[list[int], list[Event]]:
    """The tokens up to <S>, and the events after it on a clock whose 0 is the start of the first segment."""
    prefix: list[int] = []
    events: list[Event] = []
    segment, now = 0, 0
    for token in map(int, tokens):
        kind = vocabulary.kind_of[token]
        if vocabulary.start not in prefix:
            prefix.append(token)
        elif kind == Kind.SEGMENT:
            segment += 1
            now = segment * SEGMENT_MS
        elif kind == Kind.ONSET:
            now = segment * SEGMENT_MS + int(vocabulary.ms_of[token])
            events[-1] = Event(head=events[-1].head, ms=now)
        elif kind == Kind.DURATION:
            events[-1] = Event(head=events[-1].head, ms=now, duration=token)
        else:
            events.append(Event(head=token, ms=now, timed=kind in (*_SOUNDING, Kind.PEDAL_ON, Kind.PEDAL_OFF)))
    return prefix, events


def spell(vocabulary: Vocabulary, prefix: Sequence[int], events: Iterable[Event], *, origin: int) -> list[int]:
    """The tokens of a sequence whose first segment starts at `origin` (ms); no event may stand before it."""
    tokens, segment = list(prefix), 0
    for event in events:
        if event.timed:
            crossed = (event.ms - origin) // SEGMENT_MS - segment
            tokens += [vocabulary.segment] * crossed
            segment += crossed
        tokens += _body(vocabulary, event, event.ms - origin - segment * SEGMENT_MS)
    return tokens


def latest(
    vocabulary: Vocabulary, prefix: Sequence[int], events: Sequence[Event], room: int, *, since: int = 0
) -> tuple[list[int], int]:
    """As many of the latest events as `room` tokens hold, whole: the tokens, and the time (ms) of their first segment.

    If all fit the clock stays; else it starts at the first event that is kept, as in a piece that begins there. What
    happened before `since` (ms) is left out even where there is room.
    """
    if not events or events[0].ms >= since:
        whole = spell(vocabulary, prefix, events, origin=0)
        if len(whole) <= room:
            return whole, 0
    size, first = len(prefix), len(events)
    following: int | None = None
    while first and events[first - 1].ms >= since:
        event = events[first - 1]
        cost = _cost(event)
        if following is not None:
            cost += -(-(following - event.ms) // SEGMENT_MS)  # wherever the segments will begin
        if size + cost > room:
            break
        size, following, first = size + cost, event.ms, first - 1
    while first < len(events) and not events[first].timed:
        first += 1
    # The clock has to start at something that sounds; else (nothing fits) at the last thing that happened.
    origin = events[first].ms if first < len(events) else max(events[-1].ms, since)
    return spell(vocabulary, prefix, events[first:], origin=origin), origin


def around_gap(
    vocabulary: Vocabulary,
    prefix: Sequence[int],
    before: Sequence[Event],
    after: Sequence[Event],
    room: int,
    *,
    context: int,
) -> tuple[list[int], int]:
    """As `latest`, of what leads up to a gap, with the first of what follows it in front (`tokens/infill.py`).

    What follows gets at most a quarter of the `context`, and neither side more time than in training. So the clock may
    also start later than at the first event that would fit.
    """
    since = after[0].ms - (LONGEST_EXCERPT_MS - _MOST_AFTER_MS)
    lead = -(-(after[0].ms - max(since, 0)) // SEGMENT_MS)
    size, last = lead, 0
    while last < len(after) and after[last].ms < after[0].ms + _MOST_AFTER_MS:
        gap_ms = after[last].ms - after[max(last - 1, 0)].ms
        size += _cost(after[last]) + -(-gap_ms // SEGMENT_MS)
        if last and size > context // 4:
            break
        last += 1
    stream, origin = latest(vocabulary, prefix, before, room - size - 2, since=since)
    return arrange_hole(stream, spell(vocabulary, (), after[:last], origin=origin), vocabulary), origin


def _cost(event: Event) -> int:
    return 1 + event.timed + (event.duration is not None)


def _body(vocabulary: Vocabulary, event: Event, ms: int) -> list[int]:
    tokens = [event.head]
    if event.timed:
        tokens.append(vocabulary.onset[0] + ms // GRID_MS)
    if event.duration is not None:
        tokens.append(event.duration)
    return tokens
