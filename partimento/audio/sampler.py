"""Performance -> samples: recordings at the speed of each pitch, louder and brighter by velocity, ended by dampers.

Knows how one note sounds and how notes add up. Refuses to know files. docs/sound.md describes it completely, since the
studio plays the same: a change here is a change there.

    sound = render(performance)                          # float32 [frames, 2], 48,000 a second, -1 dBFS
    for block in blocks(performance): ...                # the same before scaling, two minutes at a time
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from partimento.audio.samples import HIGHEST, LOWEST, RATE, Recording, recording, root_of
from partimento.audio.voices import NEVER, Pedal, Voices
from partimento.midi.columns import NoteColumns

PEAK: Final = 10 ** (-1 / 20)
"""The largest sample of what is rendered: -1 dBFS."""
BLOCK: Final = 120 * RATE  # what the notes of a pitch have in common is worked out once a block
_FADE_IN: Final = RATE // 500
_SILENT: Final = 1e-4
_RECORDED_VELOCITY: Final = 60

Sound = NDArray[np.float32]


def render(performance: NoteColumns, pedal: Pedal | None = None) -> Sound:
    """The performance on a piano: float32 [frames, 2], 48,000 frames a second, its peak at -1 dBFS.

    Drums are left out, other instruments sound as piano. `pedal`: as it moved, if it is known better than down and up.
    Raises `UserError` where the piano's recordings are missing.
    """
    sound = np.concatenate([np.zeros((0, 2), np.float32), *blocks(performance, pedal)])
    sound *= scale(float(np.abs(sound).max(initial=0.0)))
    return sound


def scale(peak: float) -> np.float32:
    """What a sound of this peak is multiplied by."""
    return np.float32(PEAK / peak if peak else 1.0)


def blocks(performance: NoteColumns, pedal: Pedal | None = None) -> Iterator[Sound]:
    """What `render` gives, but not scaled, and in pieces of two minutes."""
    voices = Voices.of(performance)
    pedal = Pedal.of(performance) if pedal is None else pedal
    firmness = {channel: pedal.firmness(channel) for channel in np.unique(voices.channel).tolist()}
    keys = {pitch: _Key(pitch, recording(root_of(pitch))) for pitch in np.unique(voices.pitch).tolist()}
    out = np.zeros((2, BLOCK + max((key.frames for key in keys.values()), default=0)), np.float32)
    at = end = note = 0
    while note < len(voices.begin) or at < end:
        stop = int(np.searchsorted(voices.begin, at + BLOCK))
        for pitch in np.unique(voices.pitch[note:stop]).tolist():
            of_key = note + np.flatnonzero(voices.pitch[note:stop] == pitch)
            key = keys[pitch]
            plans = [key.stretches(voices, i, firmness) for i in of_key.tolist()]
            lasting = [min(int(plan[0].sum()), key.frames) for plan in plans]
            layers = key.layers(max(lasting))
            for i, plan, frames in zip(of_key.tolist(), plans, lasting, strict=True):
                begin, velocity = int(voices.begin[i]), int(voices.velocity[i])
                loud = (velocity / 127) ** 2
                _add(
                    out[:, begin - at : begin - at + frames], layers, loud, loud * velocity / _RECORDED_VELOCITY, *plan
                )
                end = max(end, begin + frames)
        note = stop
        yield np.ascontiguousarray(out[:, : min(BLOCK, end - at)].T)
        out[:, :-BLOCK] = out[:, BLOCK:].copy()
        out[:, -BLOCK:] = 0
        at += BLOCK


class _Key:
    """What all notes of a pitch have in common."""

    def __init__(self, pitch: int, found: Recording) -> None:
        self._waves, self._first = found.waves, found.first
        self._speed = 2.0 ** ((pitch - root_of(pitch)) / 12)
        self.frames = int((len(found.waves) - 3 - found.first) / self._speed)
        corner = min(max(5 * 440 * 2 ** ((pitch - 69) / 12), 300.0), 8000.0)
        self._bend = 1 - math.exp(-2 * math.pi * corner / RATE)
        seconds = 0.42 - 0.0025 * (min(max(pitch, LOWEST), HIGHEST) - LOWEST)
        self._damping = 10 ** (-3 / (RATE * seconds))

    def stretches(
        self, voices: Voices, note: int, firmness: dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(frames, what each of them is softer than the one before): how a note of this key is ended."""
        when = (voices.begin[note], voices.release[note], voices.again[note])
        return _stretches(when, self._damping, *firmness[int(voices.channel[note])])

    def layers(self, frames: int) -> Sound:
        """The dark part and the rest of the first so many frames: float32 [4, frames], (dark, rest) x (left, right)."""
        return _layers(self._waves, self._first, self._speed, self._bend, frames)


@njit(cache=True)
def _stretches(note, damping, moves, firmness):
    """Key down, up, struck again (frames), the damper's factor, and the pedal as in `Pedal.firmness` -> as above."""
    begin, release, again = note
    move = np.searchsorted(moves, release, side="right") - 1
    lengths = np.empty(len(moves) - move + 2, np.int64)
    factors = np.empty(len(lengths))
    lengths[0], factors[0] = release - begin, 1.0
    count, now, g, resting = 1, release, 1.0, False
    while g >= _SILENT and now < NEVER:
        while move + 1 < len(moves) and moves[move + 1] <= now:
            move += 1
        firm = firmness[move] if move >= 0 else 1.0
        resting = resting or now >= again or firm == 1.0
        until = NEVER
        if not resting:
            until = min(again, moves[move + 1] if move + 1 < len(moves) else NEVER)
        factor = damping if resting else damping**firm
        lengths[count], factors[count] = until - now, factor
        if factor < 1.0:
            audible = int(math.log(_SILENT / g) / math.log(factor))
            if audible < until - now:
                lengths[count] = audible
                count += 1
                break
            g *= factor ** (until - now)
        count += 1
        now = until
    return lengths[:count], factors[:count]


@njit(cache=True)
def _layers(waves, first, speed, bend, frames):
    layers = np.empty((4, frames), np.float32)
    low_0 = low_1 = 0.0
    for k in range(frames):
        z = first + k * speed
        i = int(z)
        f = z - i
        u_0 = _between(waves[:, 0], i, f)
        u_1 = _between(waves[:, 1], i, f)
        low_0 += bend * (u_0 - low_0)
        low_1 += bend * (u_1 - low_1)
        fade = k / _FADE_IN if k < _FADE_IN else 1.0
        layers[0, k], layers[1, k] = fade * low_0, fade * low_1
        layers[2, k], layers[3, k] = fade * (u_0 - low_0), fade * (u_1 - low_1)
    return layers


@njit(cache=True, inline="always")
def _between(wave, i, f):
    """The cubic through four samples (Catmull and Rom), at f of the way from the i-th to the next."""
    before, here, after, beyond = float(wave[i - 1]), float(wave[i]), float(wave[i + 1]), float(wave[i + 2])
    c1 = 0.5 * (after - before)
    c2 = before - 2.5 * here + 2.0 * after - 0.5 * beyond
    c3 = 0.5 * (beyond - before) + 1.5 * (here - after)
    return ((c3 * f + c2) * f + c1) * f + here


@njit(cache=True)
def _add(out, layers, dark, rest, lengths, factors):
    """Adds one note to `out` (float32 [2, frames])."""
    k, frames, g = 0, out.shape[1], 1.0
    for stretch in range(len(lengths)):
        count, factor = min(lengths[stretch], frames - k), factors[stretch]
        softer = np.empty(count if factor < 1.0 else 0, np.float32)
        for j in range(len(softer)):
            g *= factor
            softer[j] = g
        for side in range(2):
            into = out[side, k : k + count]
            low, high = layers[side, k : k + count], layers[2 + side, k : k + count]
            a, b = np.float32(dark), np.float32(rest)
            if factor < 1.0:
                for j in range(count):
                    into[j] += softer[j] * (a * low[j] + b * high[j])
            else:
                a, b = np.float32(dark * g), np.float32(rest * g)
                for j in range(count):
                    into[j] += a * low[j] + b * high[j]
        k += count
