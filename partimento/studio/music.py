"""A `Performance` <-> the JSON columns of the protocol, in seconds.

Knows how notes and pedal are written for a page (docs/studio.md, "Music"). Refuses to know messages and connections.

    json_columns = columns(performance)
    performance = read_music(Fields({"notes": {...}, "pedal": {...}}, "prompt"))
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from partimento.midi.columns import NS_PER_S, unite_pedals
from partimento.midi.performance import Performance
from partimento.studio.fields import Fields, ProtocolError

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
    performance = Performance.from_notes(
        pitch=pitch.astype(np.int64),
        velocity=velocity.astype(np.int64),
        onset=onset,
        duration=duration,
        channel=channel.astype(np.int64),
        programs=_programs(fields),
    )
    down_ns, up_ns = (np.rint(column * NS_PER_S).astype(np.int64) for column in (down, up))
    down_ns, up_ns, foot = unite_pedals(down_ns, up_ns, feet.astype(np.uint8))
    order = np.argsort(down_ns, kind="stable")
    return replace(performance, pedal_down=down_ns[order], pedal_up=up_ns[order], pedal_channel=foot[order])


def _programs(fields: Fields) -> list[tuple[int, int]]:
    """Pairs of channel and program; channels that are not named are pianos."""
    pairs = fields.pairs("programs", high=(15, 127), most=16)
    if len({channel for channel, _ in pairs}) < len(pairs):
        raise ProtocolError("programs must name each channel once", field="programs")
    return sorted(pairs)
