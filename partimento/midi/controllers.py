"""What controllers do to notes and pedals: end them, hold them, lift them.

It knows All Notes Off, All Sound Off, Reset All Controllers and the sostenuto pedal, as docs/midi.md states them; it
refuses to know bytes (`smf.py`) and what a tick is worth (`resolve.py`). Plain numpy: few files have such controllers,
and compiling this as well would double the time that the first file takes.

    pedals = sustain_pedal(controls, published=False)
    end_and_hold(notes, controls)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

SUSTAIN: Final = 64
SOSTENUTO: Final = 66
ALL_SOUND_OFF: Final = 120
RESET_ALL: Final = 121
ALL_NOTES_OFF: Final = 123
_DOWN: Final = 64

Controls = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]
"""Ticks [m], and [m, 3] of channel, value and controller, in the order of the file."""


def sustain_pedal(controls: Controls, *, published: bool) -> Controls:
    """The moves of the sustain pedals: ticks, and [m, 2] of channel and value.

    Reset All Controllers lifts a pedal. All Sound Off ends what a pedal holds and leaves it down, as if it came up and
    went down again at once. With `published` neither does anything.
    """
    ticks, rows = controls
    controller = rows[:, 2]
    is_sustain = controller == SUSTAIN
    if is_sustain.all():
        return ticks, rows[:, :2].copy()
    ending = (controller == RESET_ALL) | (controller == ALL_SOUND_OFF)
    # Mostly they stand before the music, where no pedal is down.
    pressed = ticks[is_sustain & (rows[:, 1] > 0)]
    if published or not ending.any() or not len(pressed) or ticks[ending].max() < pressed.min():
        return ticks[is_sustain], rows[is_sustain, :2]
    order = np.flatnonzero(is_sustain | ending)
    order = order[np.argsort(ticks[order], kind="stable")]
    times, value = np.ones(len(order), np.int64), rows[order, 1].copy()
    before = np.zeros(len(order), np.uint8)
    for channel in np.unique(rows[order, 0]):
        mine = np.flatnonzero(rows[order, 0] == channel)
        controller = rows[order[mine], 2]
        after = np.where(controller == SUSTAIN, value[mine], 0)
        last = np.maximum.accumulate(np.where(controller == ALL_SOUND_OFF, -1, np.arange(len(mine))))
        after = np.where(last >= 0, after[last], 0)
        before[mine[1:]] = after[:-1]
        held = before[mine] > 0
        times[mine] = np.where(controller == SUSTAIN, 1, np.where(controller == RESET_ALL, 1, 2) * held)
    value[rows[order, 2] != SUSTAIN] = 0
    moved = np.repeat(order, times)
    moves = np.stack([rows[moved, 0], np.repeat(value, times)], axis=1)
    again = (np.cumsum(times) - 1)[times == 2]  # the second move of All Sound Off
    moves[again, 1] = before[times == 2]
    return ticks[moved], moves


def end_and_hold(notes: tuple[Any, Any, Any, Any], controls: Controls) -> None:
    """End and hold the notes of `smf.scan`, in place.

    Notes that nothing but a message for all notes ends are released behind all others that were struck with them.
    """
    controller = controls[1][:, 2]
    if (controller == SUSTAIN).all():
        return
    ending = (controller == ALL_NOTES_OFF) | (controller == ALL_SOUND_OFF)
    if ending.any():
        _end(notes, controls, ending)
    if len(notes[0]) and ((controller == SOSTENUTO) & (controls[1][:, 1] >= _DOWN)).any():
        _hold(notes, controls)


def _end(notes: tuple[Any, Any, Any, Any], controls: Controls, ending: npt.NDArray[np.bool_]) -> None:
    ticks, rows = controls
    start, end, rank, note_bytes = notes
    unreleased = end < 0
    for channel in np.unique(rows[ending, 0]):
        stops = np.sort(ticks[ending & (rows[:, 0] == channel)])
        mine = np.flatnonzero(note_bytes[:, 2] == channel)
        following = np.searchsorted(stops, start[mine], side="right")
        mine, stop = mine[following < len(stops)], stops[following[following < len(stops)]]
        end[mine] = np.where(unreleased[mine], stop, np.minimum(end[mine], stop))
    ended = np.flatnonzero(unreleased & (end >= 0))
    rank[ended] = np.count_nonzero(~unreleased) + np.arange(len(ended))


def _hold(notes: tuple[Any, Any, Any, Any], controls: Controls) -> None:
    ticks, rows = controls
    start, end, _, note_bytes = notes
    last = end.max()
    order = np.flatnonzero(np.isin(rows[:, 2], (SOSTENUTO, RESET_ALL, ALL_SOUND_OFF)))
    order = order[np.argsort(ticks[order], kind="stable")]
    is_down = (rows[order, 2] == SOSTENUTO) & (rows[order, 1] >= _DOWN)
    for channel in np.unique(rows[order[is_down], 0]):
        mine = rows[order, 0] == channel
        down, up = pressed(ticks[order][mine], is_down[mine], last)
        own = np.flatnonzero((note_bytes[:, 2] == channel) & (end >= 0))
        held_by = np.searchsorted(down, end[own], side="left") - 1
        own, held_by = own[held_by >= 0], held_by[held_by >= 0]
        end[own] = np.where(down[held_by] > start[own], np.maximum(end[own], up[held_by]), end[own])


def pressed(
    times: npt.NDArray[np.int64], is_down: npt.NDArray[np.bool_], last: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Moves of one pedal in order of time -> when it goes down, and up; one that is left down comes up at `last`.

    What has no length is left out.
    """
    change = np.diff(is_down.astype(np.int8), prepend=0)
    down, up = times[change == 1], times[change == -1]
    up = np.append(up, max(last, down[-1])) if len(up) < len(down) else up
    return down[up > down], up[up > down]
