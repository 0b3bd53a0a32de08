"""Whether somebody wears headphones, and whether they listen: sounds with a right answer.

Knows the two checks. Refuses to know when they are asked (`assignment.py`) and what follows from the answers.

    sound, answer = headphone_question(np.random.default_rng(0))        # answer: 0, 1 or 2, the noise with a tone in it
    music = nonsense(prompt, Span(), np.random.default_rng(0))          # nobody who listens prefers it

The tone is Huggins's: the same noise on both sides, but for a narrow band that is turned over on one. Neither side
alone holds a tone, and loudspeakers mix it away; who hears it wears headphones. A. E. Milne, R. Bianco, K. C. Poole,
S. Zhao, A. J. Oxenham, A. J. Billig, M. Chait, "An online headphone screening test based on dichotic pitch", Behavior
Research Methods 53, 2021: three noises of one second, the tone in one of them, six questions.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.audio.sampler import Sound
from partimento.audio.samples import RATE
from partimento.evaluate.continuation.prompts import Prompt, Span
from partimento.midi.performance import Performance

CENTRE_HZ: Final = 600.0
WIDTH: Final = 0.06
"""The band lies so far to either side of its centre."""
NOISES: Final = 3
NOISE_S: Final = 1.0
GAP_S: Final = 0.5
_LEVEL: Final = 0.05
_RAMP: Final = RATE // 20


def headphone_question(rng: np.random.Generator) -> tuple[Sound, int]:
    """Three noises [frames, 2] with pauses between them, and which of them holds the tone."""
    answer = int(rng.integers(NOISES))
    gap = np.zeros((round(GAP_S * RATE), 2), np.float32)
    parts = [gap]
    for k in range(NOISES):
        parts += [dichotic_noise(rng, tone=k == answer), gap]
    return np.concatenate(parts), answer


def dichotic_noise(rng: np.random.Generator, *, tone: bool) -> Sound:
    """A second of noise on both sides; with a tone, a band of the right side is turned over."""
    left = rng.standard_normal(round(NOISE_S * RATE))
    right = left
    if tone:
        spectrum = np.fft.rfft(left)
        hertz = np.fft.rfftfreq(len(left), 1 / RATE)
        spectrum[np.abs(hertz / CENTRE_HZ - 1) <= WIDTH] *= -1
        right = np.fft.irfft(spectrum, len(left))
    ramp = np.minimum(1.0, np.minimum(np.arange(len(left)), np.arange(len(left))[::-1]) / _RAMP)
    return (_LEVEL * ramp[:, None] * np.stack([left, right], axis=1)).astype(np.float32)


def nonsense(prompt: Prompt, span: Span, rng: np.random.Generator) -> Performance:
    """As many notes as the pianist plays behind the prompt, on any key at any time and as loud as it comes."""
    notes = max(30, len(prompt.music.slice_time(span.prompt, span.end)))
    onset: NDArray[np.float64] = np.sort(rng.uniform(span.prompt, span.end, notes))
    return Performance.from_notes(
        pitch=rng.integers(21, 109, notes),
        velocity=rng.integers(20, 120, notes),
        onset=onset,
        duration=rng.uniform(0.05, 1.0, notes),
    )
