"""A `Performance` <-> the JSON columns of the protocol, in seconds.

Knows how notes and pedal are written for a page (docs/studio.md, "Music"). Refuses to know messages and connections.

    json_columns = columns(performance)
    performance = read_music(Fields({"notes": {...}, "pedal": {...}}, "prompt"))
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from partimento.midi.columns import NS_PER_S
from partimento.midi.performance import Performance
from partimento.studio.fields import Fields, ProtocolError
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS, Kind, Vocabulary

MOST_NOTES: Final = 100_000
MOST_SECONDS: Final = 4 * 3600.0
_DIGITS: Final = 6  # microseconds: rounding to the model's milliseconds afterwards gives what nanoseconds would


def columns(performance: Performance) -> dict[str, Any]:
    """`notes`, `pedal` and `programs` as JSON values."""
    sounding_end = performance.onset + performance.sounding_duration()
    return {
        "notes": {
            "onset": seconds(performance.onset),
            "duration": seconds(performance.duration),
            "sounding_end": seconds(sounding_end),
            "pitch": performance.pitch.tolist(),
            "velocity": performance.velocity.tolist(),
            "channel": performance.channel.tolist(),
        },
        "pedal": {
            "down": seconds(performance.pedal_down),
            "up": seconds(performance.pedal_up),
            "channel": performance.pedal_channel.tolist(),
        },
        "programs": [list(pair) for pair in performance.programs],
    }


def seconds(nanoseconds: npt.NDArray[np.int64]) -> list[float]:
    """A column of nanoseconds in seconds, to the microsecond."""
    return np.round(nanoseconds / NS_PER_S, _DIGITS).tolist()


def tokens_behind(vocabulary: Vocabulary, performance: Performance, *, pedal: bool) -> list[int]:
    """Tokens of a prompt that ends behind note i, for every note; what begins within 10 ms is counted together."""
    if not len(performance):
        return []
    clocked = performance.shift(-performance.onset[0] / NS_PER_S)
    ids = Tokenizer(vocabulary).encode(clocked, end=False, pedal_tokens=pedal, remove_silence=False)
    kinds = vocabulary.kind_of[ids]
    placed = np.flatnonzero(kinds == Kind.ONSET)
    ms = SEGMENT_MS * np.cumsum(kinds == Kind.SEGMENT)[placed] + vocabulary.ms_of[ids[placed]]
    size = placed + 1 + (np.append(kinds, Kind.ONSET)[placed + 1] == Kind.DURATION)
    size = np.concatenate([[len(ids) if not len(placed) else placed[0] - 1], size])
    return size[np.searchsorted(ms, clocked.onset / 1e6 + GRID_MS / 2, side="right")].tolist()


def read_music(fields: Fields) -> Performance:
    """Reads `notes`, `pedal` and `programs`; the latter two, `channel` and `sounding_end` may be left out.

    `sounding_end` follows from the pedal and is not looked at. Raises `ProtocolError` for what is no music.
    """
    notes = fields.object("notes")
    onset = notes.column("onset", low=0, high=MOST_SECONDS, most=MOST_NOTES)
    n = len(onset)
    duration = notes.column("duration", low=1e-6, high=MOST_SECONDS, most=MOST_NOTES)
    pitch = notes.column("pitch", low=0, high=127, most=MOST_NOTES)
    velocity = notes.column("velocity", low=1, high=127, most=MOST_NOTES)
    channel = notes.column("channel", low=0, high=15, most=MOST_NOTES, default=[0] * n)
    notes.column("sounding_end", low=0, high=2 * MOST_SECONDS, most=MOST_NOTES, default=[])
    notes.nothing_else()
    if not len(duration) == len(pitch) == len(velocity) == len(channel) == n:
        raise ProtocolError("the columns of notes must be of one length", field="notes")
    pedal = fields.object("pedal", optional=True)
    down = pedal.column("down", low=0, high=MOST_SECONDS, most=MOST_NOTES, default=[])
    up = pedal.column("up", low=0, high=MOST_SECONDS, most=MOST_NOTES, default=[])
    feet = pedal.column("channel", low=0, high=15, most=MOST_NOTES, default=[0] * len(down))
    pedal.nothing_else()
    if not len(up) == len(feet) == len(down):
        raise ProtocolError("the columns of the pedal must be of one length", field="pedal")
    return Performance.from_notes(
        pitch=pitch.astype(np.int64),
        velocity=velocity.astype(np.int64),
        onset=onset,
        duration=duration,
        channel=channel.astype(np.int64),
        pedal=list(zip(down, np.maximum(down, up), feet.astype(np.int64), strict=True)),
        programs=_programs(fields),
    )


def _programs(fields: Fields) -> list[tuple[int, int]]:
    """Pairs of channel and program; channels that are not named are pianos."""
    pairs = fields.pairs("programs", high=(15, 127), most=16)
    if len({channel for channel, _ in pairs}) < len(pairs):
        raise ProtocolError("programs must name each channel once", field="programs")
    return sorted(pairs)
