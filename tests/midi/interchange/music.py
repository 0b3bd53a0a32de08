"""What two performances have in common that say their channels differently."""

from __future__ import annotations

from typing import Any

from partimento.midi.columns import NoteColumns
from partimento.midi.instruments import DRUM_CHANNEL


def music_of(performance: NoteColumns) -> tuple[list[Any], list[Any]]:
    """Notes and pedal in nanoseconds, with the program that plays them or "drums" in the place of the channel."""
    programs = dict(performance.programs)

    def player(channel: int) -> str:
        return "drums" if channel == DRUM_CHANNEL else f"program {programs.get(channel, 0)}"

    p = performance
    notes = zip(p.onset.tolist(), p.duration.tolist(), p.pitch.tolist(), p.velocity.tolist(), p.channel, strict=True)
    pedal = zip(p.pedal_down.tolist(), p.pedal_up.tolist(), p.pedal_channel, strict=True)
    return sorted([*note, player(c)] for *note, c in notes), sorted([*times, player(c)] for *times, c in pedal)
