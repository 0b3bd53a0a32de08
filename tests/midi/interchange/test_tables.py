"""Note tables: there and back, through Parquet as pyarrow and pandas write it, and what a user changes in between."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from partimento.errors import UserError
from partimento.midi.performance import Performance
from tests.midi.performances import MS, anything, build, separate

QUICK = settings(max_examples=15)
TWO = build(
    [(0, 500 * MS, 60, 64, 0), (10, 200 * MS, 64, 90, 3)], [(0, 400 * MS, 0), (100, 700 * MS, 3)], {0: 0, 3: 40, 7: 1}
)


@given(separate(grain=1))
@QUICK
def test_nothing_is_lost(performance):
    assert Performance.from_arrow(performance.to_arrow()) == performance
    assert Performance.from_pandas(performance.to_pandas()) == performance


@given(anything())
@QUICK
def test_of_pedals_that_overlap_one_is_left(performance):
    back = Performance.from_arrow(performance.to_arrow())
    assert np.array_equal(back.sounding_duration() > 0, performance.sounding_duration() > 0)
    for name in ("pitch", "velocity", "onset", "duration", "channel", "instrument"):
        assert np.array_equal(getattr(back, name), getattr(performance, name))


def test_parquet_keeps_the_pedal():
    file = io.BytesIO()
    pq.write_table(TWO.to_arrow(), file)
    assert Performance.from_arrow(pq.read_table(file)) == TWO
    file = io.BytesIO()
    TWO.to_pandas().to_parquet(file)
    assert Performance.from_pandas(pd.read_parquet(file)) == TWO


def test_csv_keeps_notes_and_the_programs_of_channels_that_have_some():
    back = Performance.from_pandas(pd.read_csv(io.StringIO(TWO.to_pandas().to_csv(index=False))))
    assert np.array_equal(back.onset, TWO.onset)
    assert back.programs == ((0, 0), (3, 40))
    assert len(back.pedal_down) == 0


def test_the_columns_say_what_sounds():
    frame = TWO.to_pandas()
    assert frame["instrument"].tolist() == ["piano", "strings"]
    assert np.allclose(frame["onset_s"] + frame["sounding_s"], [0.5, 0.7])
    assert frame["duration_s"].tolist() == [0.5, 0.2]


def test_rows_may_be_changed_sorted_and_left_out():
    frame = TWO.to_pandas().sort_values("velocity", ascending=False)
    frame["pitch"] += 12
    changed = Performance.from_pandas(frame)
    assert changed == TWO.transpose(12)
    one = Performance.from_pandas(frame[frame.velocity > 80])
    assert one == TWO.transpose(12).select(TWO.velocity > 80)


def test_a_table_made_by_hand_needs_four_columns():
    columns = {"pitch": [60], "velocity": [64], "onset_s": [0.5], "duration_s": [1.0]}
    (note,) = Performance.from_pandas(pd.DataFrame(columns))
    assert (note.pitch, note.onset_s) == (60, 0.5)
    assert Performance.from_arrow(pa.table(columns)) == Performance.from_pandas(pd.DataFrame(columns))
    del columns["velocity"]
    with pytest.raises(UserError, match=r"an Arrow table of notes needs the columns .*; velocity missing"):
        Performance.from_arrow(pa.table(columns))


@pytest.mark.parametrize("wrong", [{"pitch": 128}, {"onset_s": -1.0}, {"duration_s": float("nan")}, {"channel": 16}])
def test_values_that_midi_cannot_hold_are_refused(wrong):
    frame = TWO.to_pandas().assign(**wrong)
    with pytest.raises(UserError):
        Performance.from_pandas(frame)


def test_a_channel_has_one_program():
    frame = TWO.to_pandas().assign(channel=0)
    with pytest.raises(UserError, match="a channel has one program"):
        Performance.from_pandas(frame)
