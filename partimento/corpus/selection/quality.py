"""The quality filters: each a name, a column of the manifest, the side on which it bounds, and why.

A filter asks one question that a file's own row answers. It knows what is measured and what a wrong value means; it
refuses to know the bounds themselves, which belong to a recipe, and anything that needs a second file (copies, how many
of one piece).

    >>> beyond(rows, "too-short", 30.0)  # doctest: +SKIP
    (array([False, True]), array([180.2, 12.5]))

Starting from the heuristics that section 3.2 of the paper names: density, entropy of pitches and durations, silence,
repetition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

PIANO_SHARE: Final = "piano_share"
"""The one column that the manifest does not have: piano notes among all notes."""
LONG_FILE_S: Final = 1200.0
"""From this length on a file can be called repetitive; a short study on two chords is music."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Takes the files whose `column` lies beyond a recipe's bound; a file without that measurement passes.

    `from_seconds`: shorter files pass unasked.
    """

    name: str
    column: str
    side: Literal["at least", "at most"]
    unit: str
    reason: str
    from_seconds: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the manifest that the filter looks at."""
        columns = ("piano_notes", "notes") if self.column == PIANO_SHARE else (self.column,)
        return (*columns, "seconds") if self.from_seconds else columns


def _least(name: str, column: str, unit: str, reason: str, *, from_seconds: float = 0.0) -> Filter:
    return Filter(name=name, column=column, side="at least", unit=unit, reason=reason, from_seconds=from_seconds)


def _most(name: str, column: str, unit: str, reason: str) -> Filter:
    return Filter(name=name, column=column, side="at most", unit=unit, reason=reason)


def _dense(seconds: int) -> Filter:
    reason = "more notes at once than ten fingers play, held for that long: Black MIDI, stacked tracks"
    return _most(f"dense-{seconds}s", f"peak_notes_per_second_{seconds}s", f"notes/s over {seconds} s", reason)


def _one_key(seconds: int) -> Filter:
    reason = "one key struck faster than a key comes up again: a transcriber's stutter, a machine"
    column, unit = f"peak_pitch_notes_per_second_{seconds}s", f"notes/s of a pitch over {seconds} s"
    return _most(f"one-key-{seconds}s", column, unit, reason)


def _few_pitches(seconds: int) -> Filter:
    reason = "a passage that goes round on a handful of keys: loops, exercises, a tuning session"
    return _least(f"few-pitches-{seconds}s", f"min_unique_pitches_{seconds}s", f"pitches in any {seconds} s", reason)


FILTERS: Final[dict[str, Filter]] = {
    filter_.name: filter_
    for filter_ in (
        _least("other-instruments", PIANO_SHARE, "share of the notes", "models of the piano learn from the piano"),
        _least("too-short", "seconds", "s", "a fragment: no room for a prompt and what follows"),
        _most("too-long", "seconds", "s", "hours on end: a stream or a whole album in one file, or a damaged time"),
        _least("too-sparse", "notes_per_second", "notes/s", "mostly nothing: a failed transcription, speech"),
        _most("too-dense", "notes_per_second", "notes/s", "more than two hands play on the whole: Black MIDI"),
        *(_dense(seconds) for seconds in (3, 5, 10, 45)),
        *(_one_key(seconds) for seconds in (3, 5, 10, 45)),
        _most("silence", "longest_silence", "s", "a gap: applause or talk cut out, or two pieces in one file"),
        _least("few-pitches", "unique_pitches", "pitches", "an exercise, a melody line, a test signal"),
        *(_few_pitches(seconds) for seconds in (30, 60, 120)),
        _least("pitch-entropy", "pitch_entropy", "bits", "few keys make up nearly all of it"),
        _least("duration-entropy", "duration_entropy", "bits", "notes of one length: step-entered, or a stuck pedal"),
        _least("onset-entropy", "interval_entropy", "bits", "notes at one distance: a sequencer's clock"),
        _least("too-soft", "velocity_mean", "of 127", "a transcriber's guess at noise"),
        _most("too-loud", "velocity_mean", "of 127", "velocities at the stop: a keyboard without touch"),
        _least("flat-touch", "velocity_std", "of 127", "every note equally loud: written, not played"),
        _least(
            "repetitive",
            "repetition",
            "bits between fifths",
            "a long file whose five parts use the same keys equally often: a loop",
            from_seconds=LONG_FILE_S,
        ),
        _most("synthesised", "grid_share", "share of the onsets", "onsets on a metrical grid: a score or a sequencer"),
        _most(
            "too-together", "unison_share", "share of chords' notes", "chords struck within a millisecond: a machine"
        ),
        _most("too-legato", "legato_share", "share of the notes", "keys let go just as others are struck: a machine"),
        _most("too-even", "pulse_clarity", "of 1", "onsets on an even pulse, more than hands play: a machine, a click"),
        _least("poor-recording", "audio_score", "of 1", "the source's own classifier doubts that it is a piano"),
    )
}


def measured(rows: pa.Table, column: str) -> npt.NDArray[np.float64]:
    """A measurement as float64 [n], NaN where there is none; `PIANO_SHARE` is `piano_notes` / `notes`."""
    if column == PIANO_SHARE:
        with np.errstate(invalid="ignore"):
            return measured(rows, "piano_notes") / measured(rows, "notes")
    return np.asarray(rows.column(column).cast(pa.float64()).to_numpy(), np.float64)


def beyond(rows: pa.Table, name: str, bound: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which of n rows the filter of that name takes at that bound, bool [n]; and what was measured, float64 [n]."""
    filter_ = FILTERS[name]
    value = measured(rows, filter_.column)
    # In the precision in which measurements are stored, so that "at most 0.8" lets 0.8 pass.
    stored, limit = value.astype(np.float32), np.float32(bound)
    takes = stored < limit if filter_.side == "at least" else stored > limit
    if filter_.from_seconds:
        takes &= measured(rows, "seconds") >= filter_.from_seconds
    return takes, value
