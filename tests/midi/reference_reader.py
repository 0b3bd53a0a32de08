"""The note, pedal, program and tempo rules once more: slow, obvious, on mido's parsing and exact fractions.

Written from the statement of the rules (docs/midi.md) without the package's code: where both agree, either both are
right or two people made the same mistake.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction

import mido

CLASSES = (
    "piano", "chromatic", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "synth_lead",
    "synth_pad", "synth_effect", "ethnic", "percussive", "sfx",
)  # fmt: skip
_LEFT_OUT = {"chromatic", "synth_pad", "synth_effect", "ethnic", "percussive", "sfx"}
LONGEST = 24 * 3600
FOREVER = 1 << 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note with exact times in seconds."""

    pitch: int
    velocity: int
    channel: int
    instrument: str
    start: Fraction
    end: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a file says: notes in order, pedal intervals as (down, up, channel), and whether it is longer than a day."""

    notes: list[Note]
    pedals: list[tuple[Fraction, Fraction, int]]
    too_long: bool


class _Clock:
    """Ticks to exact seconds."""

    def __init__(self, division: int, tempi: list[tuple[int, int]]) -> None:
        if division & 0x8000:
            rate, per_frame = 256 - (division >> 8), division & 0xFF
            per_second = Fraction(30_000, 1001) if rate == 29 else Fraction(rate)
            tempi, self._starts = [], [0]
            self._rates = [1 / (per_second * per_frame)]
        else:
            self._starts, self._rates = [0], [Fraction(500_000, 1_000_000 * division)]
            for tick, microseconds in sorted(tempi, key=lambda pair: pair[0]):
                self._starts.append(tick)
                self._rates.append(Fraction(microseconds, 1_000_000 * division))
        self._seconds = [Fraction(0)]
        for i in range(1, len(self._starts)):
            passed = (self._starts[i] - self._starts[i - 1]) * self._rates[i - 1]
            self._seconds.append(self._seconds[-1] + passed)

    def __call__(self, tick: int) -> Fraction:
        i = bisect_right(self._starts, tick) - 1
        return self._seconds[i] + (tick - self._starts[i]) * self._rates[i]


def read(data: bytes, *, published: bool = False) -> Reading:
    """Read a plain file (no RIFF, nothing but tracks behind the header); `published`: no controller but the pedal."""
    tracks = mido.MidiFile(file=io.BytesIO(data)).tracks
    released: list[tuple[int, int, int, int, int]] = []  # start, end, pitch, velocity, channel
    unreleased: list[tuple[int, int, int, int, int]] = []  # the same, in order of strikes, track after track
    pedals, programs, tempi, controls = [], [], [], []
    for messages in tracks:
        open_notes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        tick = 0
        for message in messages:
            tick += message.time
            if message.type == "note_on" and message.velocity > 0:
                open_notes.setdefault((message.channel, message.note), []).append((tick, message.velocity))
            elif message.type in ("note_on", "note_off"):
                key = (message.channel, message.note)
                standing = open_notes.pop(key, [])
                earlier = [note for note in standing if note[0] < tick]
                released += [(start, tick, message.note, velocity, message.channel) for start, velocity in earlier]
                if earlier and len(earlier) < len(standing):
                    open_notes[key] = [note for note in standing if note[0] == tick]
            elif message.type == "control_change":
                controls.append((tick, message.channel, message.control, message.value >= 64))
            elif message.type == "program_change":
                programs.append((tick, message.channel, message.program))
            elif message.type == "set_tempo" and message.tempo > 0:
                tempi.append((tick, message.tempo))

        left = [
            (start, FOREVER, pitch, v, channel) for (channel, pitch), notes in open_notes.items() for start, v in notes
        ]
        unreleased += left
    controls.sort(key=lambda event: event[0])
    if published:
        controls = [event for event in controls if event[2] == 64]
    unreleased.sort(key=lambda note: note[0])
    released = [
        (start, _end(controls, start, end, channel), *others, channel)
        for start, end, *others, channel in released + unreleased
    ]
    released = [note for note in released if note[1] < FOREVER]
    last = max((end for _, end, *_ in released), default=0)
    sostenuto = [
        (tick, channel, controller == 66 and down)
        for tick, channel, controller, down in controls
        if controller in (66, 120, 121)
    ]
    held = _intervals(sostenuto, last)
    released = [
        (start, _held(held, start, end, channel), *others, channel) for start, end, *others, channel in released
    ]
    down_now = {}
    for tick, channel, controller, down in controls:
        if controller == 64:
            down_now[channel] = down
        elif controller not in (120, 121) or not down_now.get(channel):
            continue
        else:
            down_now[channel] = controller == 120
            pedals.append((tick, channel, False))
        pedals.append((tick, channel, down_now[channel]))

    clock = _Clock(int.from_bytes(data[12:14], "big"), tempi)
    instrument = _instruments(programs)
    released.sort(key=lambda note: note[0])
    notes = [
        Note(
            pitch=pitch, velocity=velocity, channel=channel, instrument=instrument[channel],
            start=clock(start), end=clock(end),
        )
        for start, end, pitch, velocity, channel in released
    ]  # fmt: skip
    intervals = _intervals(pedals, released[-1][1] if released else 0)
    timed = [(clock(down), clock(up), channel) for down, up, channel in intervals]
    last = max([note.end for note in notes] + [up for _, up, _ in timed], default=Fraction(0))
    return Reading(notes=notes, pedals=sorted(timed), too_long=last > LONGEST)


def _end(controls: list[tuple[int, int, int, bool]], start: int, end: int, channel: int) -> int:
    """Where a note ends that a message for all notes of its channel may end first."""
    return min(
        [end, *(t for t, on, controller, _ in controls if on == channel and controller in (120, 123) and t > start)]
    )


def _held(intervals: list[tuple[int, int, int]], start: int, end: int, channel: int) -> int:
    """Where it ends if the sostenuto pedal went down while its key was."""
    return max([end, *(up for down, up, on in intervals if on == channel and start < down < end < up)])


def _instruments(programs: list[tuple[int, int, int]]) -> list[str]:
    counting = ["piano"] * 16
    for _, channel, program in sorted(programs, key=lambda event: event[0]):
        if counting[channel] not in _LEFT_OUT:
            counting[channel] = CLASSES[program // 8]
    counting[9] = "drum"
    return counting


def _intervals(pedals: list[tuple[int, int, bool]], final: int) -> list[tuple[int, int, int]]:
    intervals: list[tuple[int, int, int]] = []
    pressed: dict[int, int] = {}
    for tick, channel, down in sorted(pedals, key=lambda event: event[0]):
        if down:
            pressed.setdefault(channel, tick)
        elif channel in pressed:
            intervals.append((pressed.pop(channel), tick, channel))
    intervals += [(tick, final, channel) for channel, tick in pressed.items()]
    return [(down, up, channel) for down, up, channel in intervals if up > down]
