"""A MIDI file named on the command line: read, and in one line on stderr what was damaged in it.

Knows what people are told about repairs; refuses to know how they are made (docs/midi.md).

    file = read_midi(options.file, strict=options.strict)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from partimento.midi.columns import NoteColumns
    from partimento.midi.performance import Performance


def read_midi(path: Path, *, strict: bool) -> Performance:
    """The performance in a file; raises `MidiError` for what cannot be read, and with `strict` for what is damaged."""
    from partimento.midi.performance import Performance

    performance = Performance.from_midi(path, strict=strict)
    tell_repairs(performance)
    return performance


def tell_repairs(notes: NoteColumns) -> None:
    """Say on stderr that a file was damaged and what became of it, if so."""
    repairs = notes.source.repairs
    if repairs:
        more = f", and {len(repairs) - 1} more" if len(repairs) > 1 else ""
        told = f"{notes.source.name}: damaged, read as far as it goes: {repairs[0]}{more} (--strict refuses it)"
        print(told, file=sys.stderr)
