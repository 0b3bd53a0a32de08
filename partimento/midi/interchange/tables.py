"""Performances and note tables, as Arrow's and as pandas' .

A row for each note; what notes do not say (pedal, programs of silent channels, name) goes into the table's metadata as
JSON, in nanoseconds, so that a table that comes back gives the same performance. It refuses to know files: both
libraries write Parquet, which keeps metadata, and CSV, which does not.

    table = to_arrow(performance)
    pyarrow.parquet.write_table(table, "notes.parquet")
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from partimento.errors import UserError
from partimento.midi.columns import NS_PER_S, NoteColumns
from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.interchange.needed import needed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ABOUT: Final = "partimento"
_NEEDED: Final = ("pitch", "velocity", "onset_s", "duration_s")
_USED: Final = (*_NEEDED, "channel", "program")


def from_arrow(table: pa.Table) -> NoteColumns:
    """See `Interchange`."""
    about = (table.schema.metadata or {}).get(_ABOUT.encode())
    columns = {name: table[name].to_numpy() for name in _USED if name in table.column_names}
    return _performance(columns, json.loads(about) if about else {}, what="an Arrow table")


def to_arrow(performance: NoteColumns) -> pa.Table:
    """See `Interchange`."""
    import pyarrow as pa

    program_of = np.zeros(16, np.uint8)
    for channel, program in performance.programs:
        program_of[channel] = program
    table = pa.table(
        {
            "pitch": performance.pitch,
            "velocity": performance.velocity,
            "onset_s": performance.onset / NS_PER_S,
            "duration_s": performance.duration / NS_PER_S,
            "sounding_s": performance.sounding_duration() / NS_PER_S,
            "channel": performance.channel,
            "program": program_of[performance.channel],
            "instrument": pa.DictionaryArray.from_arrays(performance.instrument.astype(np.int32), list(INSTRUMENTS)),
        }
    )
    return table.replace_schema_metadata({_ABOUT: json.dumps(_about(performance))})


def from_pandas(frame: pd.DataFrame) -> NoteColumns:
    """See `Interchange`."""
    columns = {name: frame[name].to_numpy() for name in _USED if name in frame.columns}
    return _performance(columns, frame.attrs.get(_ABOUT, {}), what="a DataFrame")


def to_pandas(performance: NoteColumns) -> pd.DataFrame:
    """See `Interchange`."""
    needed("pandas")
    frame = to_arrow(performance).to_pandas()
    frame.attrs[_ABOUT] = _about(performance)
    return frame


def _about(performance: NoteColumns) -> dict[str, Any]:
    """What rows of notes do not say."""
    pedal = (performance.pedal_down, performance.pedal_up, performance.pedal_channel)
    return {
        "name": performance.source.name,
        "programs": [list(pair) for pair in performance.programs],
        "pedal_ns": [list(row) for row in zip(*(column.tolist() for column in pedal), strict=True)],
    }


def _performance(columns: Mapping[str, np.ndarray], about: Mapping[str, Any], *, what: str) -> NoteColumns:
    if missing := [name for name in _NEEDED if name not in columns]:
        raise UserError(f"{what} of notes needs the columns {', '.join(_NEEDED)}; {', '.join(missing)} missing")
    channel = columns.get("channel", np.zeros(len(columns["pitch"]), np.int64))
    programs: dict[int, int] = dict(about.get("programs", ()))
    if "program" in columns:
        pairs = {(c, p) for c, p in zip(channel.tolist(), columns["program"].tolist(), strict=True)}
        said = dict(pairs)
        if len(said) < len(pairs):
            raise UserError(f"{what}: a channel has one program; give notes of different programs different channels")
        # A channel of which no program is stated is listed as a piano.
        programs |= {c: p for c, p in said.items() if p or c in programs or not about}
    return NoteColumns.from_notes(
        pitch=columns["pitch"],
        velocity=columns["velocity"],
        onset=columns["onset_s"],
        duration=columns["duration_s"],
        channel=channel,
        pedal=[(down / NS_PER_S, up / NS_PER_S, foot) for down, up, foot in about.get("pedal_ns", ())],
        programs=sorted(programs.items()),
        name=about.get("name", ""),
    )
