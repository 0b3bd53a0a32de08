"""Performances and the objects of mido, symusic and pretty_midi.

mido's are files, read and written by the package's one reader and writer. Those of the others have tracks or
instruments without channels, each with a program and a pedal of its own: a channel is given to each. It refuses to know
what they hold besides notes, programs and the sustain pedal.

    performance = from_symusic(symusic.Score("piece.mid"))
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError
from partimento.midi import reader, resolve, writer
from partimento.midi.columns import NS_PER_S, IntColumn, NoteColumns, unite_pedals
from partimento.midi.controllers import SUSTAIN, pressed
from partimento.midi.instruments import DRUM_CHANNEL
from partimento.midi.interchange.needed import needed

if TYPE_CHECKING:
    import mido
    import pretty_midi
    from symusic.types import Score

_MELODIC: Final = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)
_DOWN: Final = 64


def from_mido(midi_file: mido.MidiFile) -> NoteColumns:
    """See `Interchange`."""
    data = io.BytesIO()
    midi_file.save(file=data)
    return reader.read(data.getvalue(), name=str(midi_file.filename or ""))


def to_mido(performance: NoteColumns) -> mido.MidiFile:
    """See `Interchange`."""
    return needed("mido").MidiFile(file=io.BytesIO(writer.write(performance)))


def from_symusic(score: Any) -> NoteColumns:
    """See `Interchange`."""
    symusic = needed("symusic")
    if score.ttype == symusic.TimeUnit.quarter:
        score = score.to(symusic.TimeUnit.tick)
    tempi = np.array([(tempo.time, tempo.mspq) for tempo in score.tempos], np.float64).astype(np.int64).reshape(-1, 2)

    def clock(times: npt.NDArray) -> IntColumn:
        if score.ttype == symusic.TimeUnit.second:
            return _nanoseconds(times)
        found = resolve.nanoseconds(times, tempi, score.ticks_per_quarter)
        if found is None:
            raise UserError(f"a Score of more than {resolve.MAX_SECONDS // 3600} hours; cut it into pieces")
        return found

    parts = []
    for track in score.tracks:
        notes = track.notes.numpy()
        moves = [control for control in track.controls if control.number == SUSTAIN]
        times = np.array([move.time for move in moves], notes["time"].dtype)
        parts.append(
            _Part(
                program=track.program,
                is_drum=track.is_drum,
                pitch=notes["pitch"],
                velocity=notes["velocity"],
                onset=clock(notes["time"]),
                release=clock(notes["time"] + notes["duration"]),
                moved=clock(times),
                moved_to=np.array([move.value for move in moves], np.int64),
            )
        )
    return _performance(parts, what="a Score", they="tracks")


def to_symusic(performance: NoteColumns) -> Score:
    """See `Interchange`."""
    return needed("symusic").Score.from_midi(writer.write(performance))


def from_pretty_midi(midi: pretty_midi.PrettyMIDI) -> NoteColumns:
    """See `Interchange`."""
    parts = []
    for instrument in midi.instruments:
        notes = instrument.notes
        moves = [change for change in instrument.control_changes if change.number == SUSTAIN]
        parts.append(
            _Part(
                program=instrument.program,
                is_drum=instrument.is_drum,
                pitch=np.array([note.pitch for note in notes], np.int64),
                velocity=np.array([note.velocity for note in notes], np.int64),
                onset=_nanoseconds([note.start for note in notes]),
                release=_nanoseconds([note.end for note in notes]),
                moved=_nanoseconds([move.time for move in moves]),
                moved_to=np.array([move.value for move in moves], np.int64),
            )
        )
    return _performance(parts, what="a PrettyMIDI", they="instruments")


def to_pretty_midi(performance: NoteColumns) -> pretty_midi.PrettyMIDI:
    """See `Interchange`."""
    pretty_midi = needed("pretty_midi")
    instruments = {}
    programs = dict(performance.programs)
    for channel in sorted({*performance.channel.tolist(), *performance.pedal_channel.tolist(), *programs}):
        instruments[channel] = pretty_midi.Instrument(programs.get(channel, 0), is_drum=channel == DRUM_CHANNEL)
    release = (performance.onset + performance.duration) / NS_PER_S
    columns = (performance.channel, performance.velocity, performance.pitch, performance.onset / NS_PER_S, release)
    for channel, *note in zip(*(column.tolist() for column in columns), strict=True):
        instruments[channel].notes.append(pretty_midi.Note(*note))
    downs, ups, feet = unite_pedals(performance.pedal_down, performance.pedal_up, performance.pedal_channel)
    pedal = (feet, downs / NS_PER_S, ups / NS_PER_S)
    for channel, down, up in zip(*(column.tolist() for column in pedal), strict=True):
        for value, time in ((127, down), (0, up)):
            instruments[channel].control_changes.append(pretty_midi.ControlChange(SUSTAIN, value, time))
    # The resolution matters when it is written: by default a tick of theirs is 2.3 ms.
    midi = pretty_midi.PrettyMIDI(resolution=writer.ticks_per_beat(performance))
    midi.instruments = list(instruments.values())
    return midi


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """What one player plays: notes (ns), and moves of the sustain pedal."""

    program: int
    is_drum: bool
    pitch: npt.NDArray[np.integer]
    velocity: npt.NDArray[np.integer]
    onset: IntColumn
    release: IntColumn
    moved: IntColumn
    moved_to: npt.NDArray[np.integer]


def _performance(parts: Sequence[_Part], *, what: str, they: str) -> NoteColumns:
    """All parts on one clock; a pedal left down comes up with the note that starts last, as in files."""
    channels = _channels(parts, what=what, they=they)
    onset, release = _joined([part.onset for part in parts]), _joined([part.release for part in parts])
    last = int(release[np.argsort(onset, kind="stable")[-1]]) if len(onset) else 0
    pedals: list[tuple[float, float, int]] = []
    for part, channel in zip(parts, channels, strict=True):
        order = np.argsort(part.moved, kind="stable")
        down, up = pressed(part.moved[order], part.moved_to[order] >= _DOWN, last)
        pedals += [(d / NS_PER_S, u / NS_PER_S, channel) for d, u in zip(down.tolist(), up.tolist(), strict=True)]
    return NoteColumns.from_notes(
        pitch=_joined([part.pitch for part in parts]),
        velocity=_joined([part.velocity for part in parts]),
        onset=onset / NS_PER_S,
        duration=np.maximum(release - onset, 1) / NS_PER_S,
        channel=np.repeat(np.array(channels, np.int64), [len(part.onset) for part in parts]),
        pedal=pedals,
        programs=sorted({channel: part.program for part, channel in zip(parts, channels, strict=True)}.items()),
    )


def _channels(parts: Sequence[_Part], *, what: str, they: str) -> list[int]:
    """A channel for each part; where there are more parts than channels, one for each program."""
    melodic = [number for number, part in enumerate(parts) if not part.is_drum]
    shared: dict[Any, list[int]] = defaultdict(list)
    for number in melodic:
        shared[number if len(melodic) <= len(_MELODIC) else parts[number].program].append(number)
    if len(shared) > len(_MELODIC):
        raise UserError(
            f"{what} of {len(melodic)} {they} with {len(shared)} programs; a performance has {len(_MELODIC)} channels "
            "besides that of the drums: give fewer of them"
        )
    channels = [DRUM_CHANNEL] * len(parts)
    for channel, numbers in zip(_MELODIC, shared.values(), strict=False):
        for number in numbers:
            channels[number] = channel
    return channels


def _joined(columns: Sequence[npt.NDArray[np.integer]]) -> IntColumn:
    return np.concatenate([np.empty(0, np.int64), *columns])


def _nanoseconds(seconds: npt.ArrayLike) -> IntColumn:
    return np.rint(np.asarray(seconds, np.float64) * NS_PER_S).astype(np.int64)
