"""docs/sound.md once more, sentence by sentence, a whole note at a time: with SciPy's filter and no compiled loop."""

import math

import numpy as np
from scipy.signal import lfilter

RATE = 48_000


def add_note(out, *, recording, first, root, pitch, velocity, begin, release, again, pedal):
    """Adds a note to `out` [frames, 2]; `pedal` is a list of (frame, value) in order, `again` a frame or infinity."""
    speed = 2 ** ((pitch - root) / 12)
    n = np.arange(begin, len(out))
    z = first + (n - begin) * speed
    inside = np.floor(z) + 2 < len(recording)
    n, z = n[inside], z[inside]
    i = np.floor(z).astype(int)
    f = (z - i)[:, None]
    before, here, after, beyond = (recording[i + shift].astype(float) for shift in (-1, 0, 1, 2))
    c1 = (after - before) / 2
    c2 = before - 2.5 * here + 2 * after - beyond / 2
    c3 = (beyond - before) / 2 + 1.5 * (here - after)
    u = ((c3 * f + c2) * f + c1) * f + here

    corner = min(max(5 * 440 * 2 ** ((pitch - 69) / 12), 300), 8000)
    a = 1 - math.exp(-2 * math.pi * corner / RATE)
    low = lfilter([a], [1, a - 1], u, axis=0)

    seconds = 0.42 - 0.0025 * (min(max(pitch, 21), 108) - 21)
    values = np.array([0, *(value for _, value in pedal)])
    value = values[np.searchsorted([frame for frame, _ in pedal], n, side="right")]
    released = n >= release
    resting = np.logical_or.accumulate(released & ((value <= 20) | (n >= again)))
    firmness = np.where(resting, 1, np.where(released & (value < 64), ((64 - value) / 64) ** 2, 0))
    g = np.cumprod(10 ** (-3 / (RATE * seconds) * firmness))
    g = np.where(g < 1e-4, 0, g) * np.minimum((n - begin) / 96, 1)
    out[n] += g[:, None] * (velocity / 127) ** 2 * (low + velocity / 60 * (u - low))
