"""What a `Performance` can be made of and made into, as methods: one pair for each kind of object.

It knows their names alone; the files beside it do the work, and are imported when a method is called, as are the
libraries. docs/interchange.md says of each what is kept and what is lost. It refuses to know the objects.

    performance = Performance.from_pretty_midi(pretty_midi.PrettyMIDI("piece.mid"))
    frame = performance.to_pandas()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from partimento.midi.columns import NoteColumns

if TYPE_CHECKING:
    import mido
    import pandas as pd
    import pretty_midi
    import pyarrow as pa
    from symusic.types import Score


class Interchange(NoteColumns):
    """Ways between a `Performance` and other libraries. All raise `UserError` where a library is not installed."""

    __slots__ = ()

    # -- objects of MIDI libraries ------------------------------------------------------------------------------------

    @classmethod
    def from_mido(cls, midi_file: mido.MidiFile) -> Self:
        """What the same file on disk would be read as; raises `MidiError`."""
        from partimento.midi.interchange import objects

        return cls.of(objects.from_mido(midi_file))

    def to_mido(self) -> mido.MidiFile:
        """The file that `write_midi` writes."""
        from partimento.midi.interchange import objects

        return objects.to_mido(self)

    @classmethod
    def from_symusic(cls, score: Score) -> Self:
        """A Score in ticks, quarters or seconds; each track gets a channel. Raises `UserError` if there are too few."""
        from partimento.midi.interchange import objects

        return cls.of(objects.from_symusic(score))

    def to_symusic(self) -> Score:
        """The Score, in ticks, of the file that `write_midi` writes; `.to("second")` gives one in seconds."""
        from partimento.midi.interchange import objects

        return objects.to_symusic(self)

    @classmethod
    def from_pretty_midi(cls, midi: pretty_midi.PrettyMIDI) -> Self:
        """Each instrument gets a channel; of controllers the sustain pedal counts. `UserError` for too few channels."""
        from partimento.midi.interchange import objects

        return cls.of(objects.from_pretty_midi(midi))

    def to_pretty_midi(self) -> pretty_midi.PrettyMIDI:
        """An instrument for each channel, with the notes as they are and the sustain pedal as controllers."""
        from partimento.midi.interchange import objects

        return objects.to_pretty_midi(self)

    # -- arrays -------------------------------------------------------------------------------------------------------

    @classmethod
    def from_note_array(cls, notes: npt.NDArray[np.void]) -> Self:
        """A structured array with the fields `onset_sec`, `duration_sec`, `pitch`, `velocity`, and `channel` if it has.

        Those are partitura's names. Raises `UserError` for an array without them.
        """
        from partimento.midi.interchange import arrays

        return cls.of(arrays.from_note_array(notes))

    def to_note_array(self, *, fold_pedal: bool = False) -> npt.NDArray[np.void]:
        """A structured array [n] with the fields of partitura's performances, seconds in 64 bits.

        With `fold_pedal` a note lasts as long as the sustain pedal holds it, as in partitura's own arrays.
        """
        from partimento.midi.interchange import arrays

        return arrays.to_note_array(self, fold_pedal=fold_pedal)

    @classmethod
    def from_piano_roll(cls, roll: npt.ArrayLike, *, frames_per_second: float) -> Self:
        """A piano's notes from velocities [128 pitches, frames]; every change of velocity begins another note.

        Where a roll is of True and False, notes get velocity 64. Raises `UserError` for any other array.
        """
        from partimento.midi.interchange import arrays

        return cls.of(arrays.from_piano_roll(roll, frames_per_second=frames_per_second))

    def to_piano_roll(self, *, frames_per_second: float = 100, fold_pedal: bool = False) -> npt.NDArray[np.uint8]:
        """Velocities uint8 [128 pitches, frames], 0 where nothing sounds; of notes of one key the loudest. No drums.

        A note is there from the frame in which it begins to the one in which it ends, which is left out; it has one
        frame at least. With `fold_pedal` it ends where the sustain pedal lets it go.
        """
        from partimento.midi.interchange import arrays

        return arrays.to_piano_roll(self, frames_per_second=frames_per_second, fold_pedal=fold_pedal)

    # -- tables -------------------------------------------------------------------------------------------------------

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Self:
        """A table with the columns `pitch`, `velocity`, `onset_s`, `duration_s`; others are as in `to_arrow`.

        Columns `channel` and `program` are used if they are there, and pedal and programs if the table's metadata has
        them. Raises `UserError` for a table without the four.
        """
        from partimento.midi.interchange import tables

        return cls.of(tables.from_arrow(table))

    def to_arrow(self) -> pa.Table:
        """A row for each note; the pedal and all programs are in the table's metadata, which Parquet files keep.

        Columns `pitch`, `velocity`, `onset_s`, `duration_s` as keyed, `sounding_s` with the sustain pedal folded in,
        `channel`, `program` (General MIDI), `instrument` (its class).
        """
        from partimento.midi.interchange import tables

        return tables.to_arrow(self)

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame) -> Self:
        """As `from_arrow`, with `frame.attrs` in the place of metadata: rows may be filtered, sorted and changed."""
        from partimento.midi.interchange import tables

        return cls.of(tables.from_pandas(frame))

    def to_pandas(self) -> pd.DataFrame:
        """The table of `to_arrow` as a DataFrame; pedal and programs are in its `attrs`."""
        from partimento.midi.interchange import tables

        return tables.to_pandas(self)
