"""Token ids <-> events on an absolute clock, and the ids of a window that begins at any event.

Knows how an event is spelt (a head, then its onset and duration) and that <T> counts segments. Refuses to know models,
and the meaning of the keys it moves about. Times are milliseconds on the grid of the vocabulary, so moving a window
to another first event is exact.

    prefix, events = split(vocabulary, ids)
    ids = spell(vocabulary, prefix, events[-100:], origin=events[-100].ms)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS, Kind, Vocabulary

_SOUNDING = (Kind.NOTE, Kind.DRUM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`head` is the id that says what happens, `ms` when; `duration` is an id, or None where there is none.

    <D> and <E> are events that stand at the time of what comes before them, with `timed` false.
    """

    head: int
    ms: int
    duration: int | None = None
    timed: bool = True


def split(vocabulary: Vocabulary, ids: Iterable[int]) -> tuple[list[int], list[Event]]:
    """The ids up to <S>, and the events after it on a clock whose 0 is the start of the first segment."""
    prefix: list[int] = []
    events: list[Event] = []
    segment, now = 0, 0
    for id_ in map(int, ids):
        kind = vocabulary.kind_of[id_]
        if vocabulary.start not in prefix:
            prefix.append(id_)
        elif kind == Kind.SEGMENT:
            segment += 1
            now = segment * SEGMENT_MS
        elif kind == Kind.ONSET:
            now = segment * SEGMENT_MS + int(vocabulary.ms_of[id_])
            events[-1] = Event(head=events[-1].head, ms=now)
        elif kind == Kind.DURATION:
            events[-1] = Event(head=events[-1].head, ms=now, duration=id_)
        else:
            events.append(Event(head=id_, ms=now, timed=kind in (*_SOUNDING, Kind.PEDAL_ON, Kind.PEDAL_OFF)))
    return prefix, events


def spell(vocabulary: Vocabulary, prefix: Sequence[int], events: Iterable[Event], *, origin: int) -> list[int]:
    """The ids of a sequence whose first segment starts at `origin` (ms); no event may stand before it."""
    ids, segment = list(prefix), 0
    for event in events:
        if event.timed:
            crossed = (event.ms - origin) // SEGMENT_MS - segment
            ids += [vocabulary.segment] * crossed
            segment += crossed
        ids += _body(vocabulary, event, event.ms - origin - segment * SEGMENT_MS)
    return ids


def latest(vocabulary: Vocabulary, prefix: Sequence[int], events: Sequence[Event], room: int) -> tuple[list[int], int]:
    """As many of the latest events as `room` ids hold, whole: the ids, and the time (ms) of their first segment.

    If all fit the clock stays; else it starts at the first event that is kept, as in a piece that begins there.
    """
    whole = spell(vocabulary, prefix, events, origin=0)
    if len(whole) <= room:
        return whole, 0
    size, first = len(prefix), len(events)
    following: int | None = None
    while first:
        event = events[first - 1]
        cost = 1 + event.timed + (event.duration is not None)
        if following is not None:
            cost += -(-(following - event.ms) // SEGMENT_MS)  # wherever the segments will begin
        if size + cost > room:
            break
        size, following, first = size + cost, event.ms, first - 1
    while first < len(events) and not events[first].timed:
        first += 1
    # The clock has to start at something that sounds; else (nothing fits) at the last thing that happened.
    origin = events[first].ms if first < len(events) else events[-1].ms
    return spell(vocabulary, prefix, events[first:], origin=origin), origin


def _body(vocabulary: Vocabulary, event: Event, ms: int) -> list[int]:
    ids = [event.head]
    if event.timed:
        ids.append(vocabulary.onset[0] + ms // GRID_MS)
    if event.duration is not None:
        ids.append(event.duration)
    return ids
