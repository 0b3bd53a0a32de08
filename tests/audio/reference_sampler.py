"""docs/sound.md once more, sentence by sentence: slow, obvious, a sample at a time."""

import math

import numpy as np

RATE = 48_000


def add_note(out, *, recording, first, root, pitch, velocity, begin, release, again, pedal):
    """Adds a note to `out` [frames, 2]; `pedal` is a list of (frame, value) in order, `again` a frame or infinity."""
    speed = 2 ** ((pitch - root) / 12)
    corner = min(max(5 * 440 * 2 ** ((pitch - 69) / 12), 300), 8000)
    a = 1 - math.exp(-2 * math.pi * corner / RATE)
    seconds = 0.42 - 0.0025 * (min(max(pitch, 21), 108) - 21)
    damping = 10 ** (-3 / (RATE * seconds))
    low, g, resting = np.zeros(2), 1.0, False
    k = 0
    while True:
        n = begin + k
        z = first + k * speed
        i = math.floor(z)
        if i + 2 >= len(recording) or n >= len(out):
            return
        f = z - i
        x = [np.asarray(recording[i + shift], float) for shift in (-1, 0, 1, 2)]
        c1 = (x[2] - x[0]) / 2
        c2 = x[0] - 2.5 * x[1] + 2 * x[2] - x[3] / 2
        c3 = (x[3] - x[0]) / 2 + 1.5 * (x[1] - x[2])
        u = ((c3 * f + c2) * f + c1) * f + x[1]
        low = low + a * (u - low)
        fade = k / 96 if k < 96 else 1
        out[n] += fade * g * (velocity / 127) ** 2 * (low + velocity / 60 * (u - low))
        if n + 1 >= release:
            value = next((value for frame, value in reversed(pedal) if frame <= n + 1), 0)
            resting = resting or value <= 20 or n + 1 >= again
            g *= damping ** (1 if resting else 0 if value >= 64 else ((64 - value) / 64) ** 2)
            if g < 1e-4:
                return
        k += 1
