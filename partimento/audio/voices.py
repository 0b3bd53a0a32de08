"""A performance -> what each of its notes asks of the piano: when, which key, how loud, until when; and the pedal.

Knows frames (48,000 a second), keys that are struck again, and half pedals. Refuses to know waves. docs/sound.md states
every rule.

    voices, pedal = Voices.of(performance), Pedal.of(performance)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.midi.columns import NoteColumns
from partimento.midi.instruments import DRUM
from partimento.midi.reader import MidiFile

NEVER: Final = np.iinfo(np.int64).max
_DOWN: Final = 64
_RESTING: Final = 20

Frames = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pedal:
    """How the sustain pedals move: `time` (int64 ns), `value` (uint8, 0..127) and `channel` (uint8), sorted by time."""

    time: NDArray[np.int64]
    value: NDArray[np.uint8]
    channel: NDArray[np.uint8]

    @classmethod
    def of(cls, performance: NoteColumns) -> Pedal:
        """The pedals of a performance, which are down or up."""
        time = np.concatenate([performance.pedal_up, performance.pedal_down])
        value = np.repeat(np.array([0, 127], np.uint8), len(performance.pedal_down))
        channel = np.tile(performance.pedal_channel, 2)
        order = np.argsort(time, kind="stable")
        return cls(time=time[order], value=value[order], channel=channel[order])

    @classmethod
    def read(cls, file: MidiFile) -> Pedal:
        """The pedals of a file, half pedals too; one that is never lifted comes up where the performance says."""
        time, value, channel = file.pedal_time, file.pedal_value, file.pedal_of_channel
        for one in np.unique(channel).tolist():
            if value[channel == one][-1] >= _DOWN:
                lifted = file.pedal_up[file.pedal_channel == one].max(initial=0)
                time, value, channel = np.append(time, lifted), np.append(value, 0), np.append(channel, one)
        order = np.argsort(time, kind="stable")
        return cls(time=time[order], value=value.astype(np.uint8)[order], channel=channel.astype(np.uint8)[order])

    def firmness(self, channel: int) -> tuple[Frames, NDArray[np.float64]]:
        """(frames, how firmly the dampers lie on the strings from there on: 0 off them to 1 resting)."""
        mine = self.channel == channel
        value = self.value[mine].astype(np.float64)
        half = ((_DOWN - value) / _DOWN) ** 2
        return frames_of(self.time[mine]), np.where(value >= _DOWN, 0.0, np.where(value <= _RESTING, 1.0, half))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voices:
    """The n notes that are played, in the order of their beginnings.

    `begin`, `release`, `again` (int64 frames): the key goes down, comes up, and is struck once more (`NEVER`).
    """

    begin: Frames
    release: Frames
    again: Frames
    pitch: NDArray[np.uint8]
    velocity: NDArray[np.uint8]
    channel: NDArray[np.uint8]

    @classmethod
    def of(cls, performance: NoteColumns) -> Voices:
        """All notes but drums; of those that strike one key at one frame the loudest, as long as the longest."""
        performance = performance.select(performance.instrument != DRUM)
        begin = frames_of(performance.onset)
        release = np.maximum(frames_of(performance.onset + performance.duration), begin + 1)
        key = performance.channel.astype(np.int64) * 128 + performance.pitch
        order = np.lexsort((performance.velocity, begin, key))
        key, struck, release = key[order], begin[order], release[order]
        new_key = np.diff(key, prepend=-1) != 0
        first = np.flatnonzero(new_key | (np.diff(struck, prepend=-1) != 0))
        last = np.append(first[1:], len(key))[: len(first)] - 1
        release = np.maximum.reduceat(release, first) if len(first) else release
        again = np.append(struck[first[1:]], NEVER)[: len(first)]
        again[:-1][new_key[first[1:]]] = NEVER
        chosen = order[last]
        in_order = np.argsort(chosen)
        chosen = chosen[in_order]
        return cls(
            begin=begin[chosen],
            release=np.minimum(release, again)[in_order],
            again=again[in_order],
            pitch=performance.pitch[chosen],
            velocity=performance.velocity[chosen],
            channel=performance.channel[chosen],
        )


def frames_of(time: NDArray[np.int64]) -> Frames:
    """Nanoseconds -> frames, to the nearest, in integers."""
    return np.asarray((6 * time + 62_500) // 125_000, np.int64)
