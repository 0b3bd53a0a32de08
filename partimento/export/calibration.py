"""How large a model's keys and values get, which a cache of 8 bits has to know beforehand.

Knows: a page of made-up piano playing, dense and sparse, soft and loud, which needs no data to be shipped; and that
what is never rounded away has to lie within the largest magnitudes seen, with some room. Refuses to know graphs.

    scales = cache_scales(model, vocabulary)                # for each layer, steps of keys and of values, [D] each
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from partimento.midi.performance import Performance
from partimento.model.transformer import KVCache, Transformer
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

_ROOM = 2.5  # real performances go beyond what is made up here, in some channels by up to that (benchmarks/engines)
_LARGEST = 127
_POSITIONS = 1024


@torch.inference_mode()
def cache_scales(model: Transformer, vocabulary: Vocabulary) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """One step for each channel of each layer's keys (as rotated) and values."""
    tokens = Tokenizer(vocabulary).encode(_made_up())[: min(_POSITIONS, model.config.context)]
    weight = model.lm_head.weight
    cache = KVCache(model.config, batch=1, capacity=len(tokens), dtype=weight.dtype, device=weight.device)
    model.hidden(torch.tensor(tokens[None], device=weight.device), cache)
    scales = []
    for key_BHCK, value_BHCK in cache.layers():
        peaks = (
            part_BHCK.float().abs().amax(dim=(0, 2)).flatten().cpu().numpy() for part_BHCK in (key_BHCK, value_BHCK)
        )
        keys_D, values_D = (np.maximum(peak_D, 1e-6) * np.float32(_ROOM / _LARGEST) for peak_D in peaks)
        scales.append((keys_D, values_D))
    return scales


def _made_up() -> Performance:
    """Over a thousand tokens of it, always the same: broken and struck chords over a walking bass, 24 keys in turn."""
    chance = np.random.default_rng(0)
    pitch, onset, duration, velocity, now = [], [], [], [], 0.0
    for bar in range(48):
        root = 36 + 7 * bar % 24
        pace = chance.choice([0.08, 0.15, 0.3, 0.6])
        loudness = chance.integers(30, 110)
        for step in range(6):
            together = chance.integers(1, 5)
            chord = root + 12 * chance.integers(0, 4, together) + chance.choice([0, 3, 4, 7, 9, 10, 12], together)
            for key in dict.fromkeys(chord.tolist()):
                pitch.append(key)
                onset.append(now)
                duration.append(pace * chance.choice([0.5, 1.0, 4.0]))
                velocity.append(int(np.clip(loudness + chance.integers(-15, 16) + 8 * (step == 0), 1, 127)))
            now += pace * chance.uniform(0.9, 1.1)
    return Performance.from_notes(pitch=pitch, velocity=velocity, onset=onset, duration=duration)
