"""Hypothesis strategies for performances."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from partimento.midi.instruments import instrument_of_channels
from partimento.midi.performance import Performance
from tests.midi.smf_bytes import separate_keys

MS = 1_000_000
CHANNELS = (0, 1, 9)


def build(
    notes: list[tuple[int, int, int, int, int]],
    pedals: list[tuple[int, int, int]] = (),
    programs: dict[int, int] | None = None,
) -> Performance:
    """From (onset ns, duration ns, pitch, velocity, channel) and (down ns, up ns, channel)."""
    notes = sorted(notes, key=lambda note: note[0])
    pedals = sorted(pedals)
    onset, duration, pitch, velocity, channel = np.array(notes, np.int64).reshape(-1, 5).T.copy()
    down, up, pedal_channel = np.array(pedals, np.int64).reshape(-1, 3).T.copy()
    programs = programs or {}
    return Performance(
        onset=onset,
        duration=duration,
        pitch=pitch.astype(np.uint8),
        velocity=velocity.astype(np.uint8),
        channel=channel.astype(np.uint8),
        instrument=instrument_of_channels(programs)[channel],
        pedal_down=down,
        pedal_up=up,
        pedal_channel=pedal_channel.astype(np.uint8),
        programs=tuple(sorted(programs.items())),
    )


@st.composite
def programs_of_channels(draw: st.DrawFn) -> dict[int, int]:
    return draw(st.dictionaries(st.sampled_from(CHANNELS), st.integers(0, 127)))


@st.composite
def pedals(draw: st.DrawFn, unit: int = MS) -> list[tuple[int, int, int]]:
    """Pedal intervals that follow each other on each channel, touching at times."""
    intervals = []
    for channel in draw(st.lists(st.sampled_from(CHANNELS), unique=True)):
        now = 0
        for gap, length in draw(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 900)), max_size=5)):
            intervals.append(((now + gap) * unit, (now + gap + length) * unit, channel))
            now += gap + length
    return intervals


@st.composite
def separate(draw: st.DrawFn, grain: int = MS) -> Performance:
    """No two notes of one key meet; times are multiples of `grain` nanoseconds."""
    jitter = MS // grain
    notes = []
    for key in draw(separate_keys(channels=CHANNELS)):
        # Up to half a millisecond later, so that keys a millisecond apart stay apart.
        late = draw(st.integers(0, jitter // 2)) * grain if jitter > 1 else 0
        notes.append((key.onset * MS + late, key.duration * MS - late, key.pitch, key.velocity, key.channel))
    return build(notes, draw(pedals()), draw(programs_of_channels()))


@st.composite
def anything(draw: st.DrawFn) -> Performance:
    """Notes that overlap, double and touch as they like, on a grid or off it, with overlapping pedals."""
    unit = draw(st.sampled_from([MS, 100_000, 50_000, 37_777, 1]))
    time = st.one_of(st.integers(0, 40), st.integers(0, 200_000))
    note = st.tuples(
        time.map(lambda t: t * unit),
        st.one_of(st.integers(1, 40), st.integers(1, 100_000)).map(lambda t: t * unit),
        st.sampled_from([0, 60, 61, 127]),
        st.integers(1, 127),
        st.sampled_from(CHANNELS),
    )
    pedal = st.tuples(time, st.integers(0, 30_000), st.sampled_from(CHANNELS)).map(
        lambda p: (p[0] * unit, (p[0] + p[1]) * unit, p[2])
    )
    return build(draw(st.lists(note, max_size=30)), draw(st.lists(pedal, max_size=6)), draw(programs_of_channels()))
