"""How loud sound is to people: integrated loudness in LUFS (ITU-R BS.1770-4).

Knows the filters of the ears (K-weighting), blocks of 400 ms, and the two gates that leave pauses out. Refuses to know
files, and what is heard. Sampled at 48,000 a second, as all sound here.

    >>> import numpy as np
    >>> sine = 10 ** (-23 / 20) * np.sin(2 * np.pi * 997 * np.arange(48_000 * 4) / 48_000)
    >>> round(loudness(np.stack([sine, sine], axis=1)), 1)  # a sine of -23 dBFS on both sides (EBU Tech 3341, test 1)
    -23.0

Shape legend: B blocks, n frames, 2 sides.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.audio.samples import RATE

SILENT: Final = -math.inf
"""The loudness of sound that is never louder than the absolute gate."""
_ABSOLUTE_GATE: Final = -70.0
_RELATIVE_GATE: Final = -10.0
_BLOCK: Final = RATE * 400 // 1000
_STEP: Final = _BLOCK // 4
_SMOOTH: Final = 1 << 14  # lengths that a Fourier transform is quick at
# The recommendation's two filters at 48 kHz, as (numerator, denominator): the head's shelf, then a high-pass.
_SHELF: Final = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS: Final = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)


def loudness(sound: NDArray) -> float:
    """Integrated loudness in LUFS of sound [n, 2], 48,000 frames a second; `SILENT` where no block passes the gates.

    Blocks overlap by three quarters; a last one that is not whole is left out, as the recommendation says.
    """
    steps = len(sound) // _STEP
    if steps < 4:
        return SILENT
    squared = _weighted(np.asarray(sound, np.float64))[: steps * _STEP] ** 2
    quarter_B = squared.reshape(steps, _STEP, -1).sum(axis=(1, 2)) / _BLOCK
    power_B = np.lib.stride_tricks.sliding_window_view(quarter_B, 4).sum(axis=1)
    loud_B = power_B[power_B > _power(_ABSOLUTE_GATE)]
    if not len(loud_B):
        return SILENT
    return _lufs(float(loud_B[loud_B > loud_B.mean() * 10 ** (_RELATIVE_GATE / 10)].mean()))


def _weighted(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """As ears weigh it [n, 2]: by the filters' responses, behind so much silence that no end reaches a beginning."""
    length = -(-(len(sound) + RATE) // _SMOOTH) * _SMOOTH
    turn = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)
    spectrum = np.fft.rfft(sound, length, axis=0)
    for filter_ in (_SHELF, _HIGH_PASS):
        above, below = (a + turn * (b + turn * c) for a, b, c in filter_)
        spectrum *= (above / below)[:, None]
    return np.fft.irfft(spectrum, length, axis=0)[: len(sound)]


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)
