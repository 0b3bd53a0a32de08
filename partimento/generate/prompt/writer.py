"""Generated notes and pedal -> a `Performance` beside its prompt.

Knows which channel an instrument plays on: that of the prompt where it has one, else a free one.

    generated = as_performance(prompt, notes, pedal=[(15.2, 16.0)])
    whole = prompt.merge(generated)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from partimento.errors import UserError
from partimento.generate.settings import GeneratedNote
from partimento.midi.instruments import DRUM, DRUM_CHANNEL, INSTRUMENTS
from partimento.midi.performance import Performance

_PROGRAM = {
    "piano": 0, "organ": 16, "guitar": 24, "bass": 32, "strings": 40, "ensemble": 48, "brass": 56, "reed": 64,
    "pipe": 73, "synth_lead": 80,
}  # fmt: skip


def as_performance(
    prompt: Performance, notes: Sequence[GeneratedNote], pedal: Sequence[tuple[float, float]]
) -> Performance:
    """The notes and the piano's pedal (down, up) alone, on the prompt's clock, with the programs of their channels."""
    programs = dict(prompt.programs)
    channel_of = {int(i): int(c) for c, i in zip(prompt.channel[::-1], prompt.instrument[::-1], strict=True)}
    taken = {*channel_of.values(), *programs, DRUM_CHANNEL}
    for instrument in sorted({note.instrument for note in notes} - set(channel_of)):
        if instrument == DRUM:
            channel_of[instrument] = DRUM_CHANNEL
            continue
        free = [c for c in range(16) if c not in taken]
        if not free:
            raise UserError("the prompt uses all 16 channels; none is left for another instrument")
        channel_of[instrument] = free[0]
        taken.add(free[0])
        programs[free[0]] = _PROGRAM[INSTRUMENTS[instrument]]
    used = {channel_of[note.instrument] for note in notes}
    generated = Performance.from_notes(
        pitch=[note.pitch for note in notes],
        velocity=[note.velocity for note in notes],
        onset=[note.onset_s for note in notes],
        duration=[note.duration_s for note in notes],
        channel=np.array([channel_of[note.instrument] for note in notes], np.uint8),
        pedal=pedal,
        programs=[(c, p) for c, p in sorted(programs.items()) if c in used],
    )
    channel = np.full(len(pedal), channel_of.get(INSTRUMENTS.index("piano"), 0), np.uint8)
    return replace(generated, pedal_channel=channel)
