"""The instrument classes of the published models, and which class a channel of a MIDI file is.

It knows General MIDI's 128 programs and channel 10 (index 9), the drums; it refuses to know notes.

    >>> INSTRUMENTS[CLASS_OF_PROGRAM[52]]
    'ensemble'
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

DRUM_CHANNEL: Final = 9

INSTRUMENTS: Final = (
    "piano", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "synth_lead", "drum",
    "chromatic", "synth_pad", "synth_effect", "ethnic", "percussive", "sfx",
)  # fmt: skip
"""Names of the instrument classes; a note's `instrument` column indexes this tuple."""

DRUM: Final = INSTRUMENTS.index("drum")
LEFT_OUT: Final = frozenset(range(DRUM + 1, len(INSTRUMENTS)))
"""Classes that no published vocabulary can say."""

_GM_ORDER = (
    "piano", "chromatic", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "synth_lead",
    "synth_pad", "synth_effect", "ethnic", "percussive", "sfx",
)  # fmt: skip
CLASS_OF_PROGRAM: Final = np.repeat(np.array([INSTRUMENTS.index(name) for name in _GM_ORDER], np.uint8), 8)
"""General MIDI program (0..127) -> instrument class."""


def instrument_of_channels(programs: dict[int, int]) -> npt.NDArray[np.uint8]:
    """Instrument class of each of the 16 channels: uint8 [16]; channels without a program are piano, channel 9 drum."""
    classes = np.zeros(16, np.uint8)
    for channel, program in programs.items():
        classes[channel] = CLASS_OF_PROGRAM[program]
    classes[DRUM_CHANNEL] = DRUM
    return classes
