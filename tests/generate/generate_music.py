"""Prompts and models with random weights for the tests of generation."""

from collections.abc import Sequence

import numpy as np
import torch

from partimento.generate.abilities import Abilities
from partimento.generate.backends.backend import TorchBackend
from partimento.generate.engine import Engine
from partimento.midi.performance import Performance
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

torch.set_num_threads(1)

VOCABULARIES = {"piano": Vocabulary.piano(), "aria": Vocabulary.aria()}


def random_engine(
    vocabulary: str = "piano", *, context: int = 1024, seed: int = 0, abilities: Abilities | None = None
) -> Engine:
    torch.manual_seed(seed)
    v = VOCABULARIES[vocabulary]
    model = Transformer(ModelConfig.named("debug", vocab_size=len(v), context=context))
    return Engine(TorchBackend(model), v, abilities)


def measured_engine(vocabulary: str = "piano", *, context: int = 1024, seed: int = 0) -> Engine:
    """Random weights that are fond of <T>: some ten notes in five seconds, not thousands."""
    engine = random_engine(vocabulary, context=context, seed=seed)
    bias = torch.zeros(len(engine.vocabulary))
    bias[engine.vocabulary.segment] = 5.0
    engine.backend.model.lm_head.register_forward_hook(lambda _module, _input, output: output + bias)
    return engine


def prompt(notes: int = 12, *, start: float = 0.5) -> Performance:
    return Performance.from_notes(
        pitch=[60 + 5 * i % 24 for i in range(notes)],
        velocity=[50 + i % 40 for i in range(notes)],
        onset=[start + 0.37 * i for i in range(notes)],
        duration=0.4,
    )


def pedalling_engine(*, context: int = 1024, abilities: Abilities) -> Engine:
    """Random weights that are fond of the pedal."""
    engine = random_engine(context=context, abilities=abilities)
    v = VOCABULARIES["piano"]
    bias = torch.zeros(len(v))
    bias[[v.pedal_on, v.pedal_off, v.segment]] = 6.0  # a new segment, or they would pile up at the end of the first
    engine.backend.model.lm_head.register_forward_hook(lambda _module, _input, output: output + bias)
    return engine


class Remembering:
    """A cache of ids."""

    def __init__(self, rows: list[list[int]], capacity: int) -> None:
        self.rows, self.capacity = rows, capacity

    @property
    def length(self) -> int:
        return len(self.rows[0])

    @property
    def batch(self) -> int:
        return len(self.rows)

    def rollback(self, length: int) -> None:
        assert length <= self.length
        self.rows = [row[:length] for row in self.rows]

    def take(self, rows: Sequence[int], *, capacity: int | None = None) -> "Remembering":
        return Remembering([list(self.rows[row]) for row in rows], capacity or self.capacity)


class Stubborn:
    """A network that wants the same whatever it has read: wishes [V] are added to logits of chance."""

    description = "stubborn"
    reads_at_once = 1

    def __init__(self, wish_V: np.ndarray, *, context: int, seed: int) -> None:
        self.config = ModelConfig.named("debug", vocab_size=len(wish_V), context=context)
        self._wish_V, self._seed = wish_V, seed

    def cache(self, *, batch: int, capacity: int) -> Remembering:
        return Remembering([[] for _ in range(batch)], min(capacity, self.config.context))

    def read(self, ids_BT: Sequence[Sequence[int]], cache: Remembering, *, last: int = 1) -> np.ndarray:
        assert cache.length + len(ids_BT[0]) <= cache.capacity
        cache.rows = [row + list(ids) for row, ids in zip(cache.rows, ids_BT, strict=True)]
        ends = range(cache.length - last + 1, cache.length + 1)
        return np.stack([[self._logits(row[:end]) for end in ends] for row in cache.rows])

    def _logits(self, ids: Sequence[int]) -> np.ndarray:
        chance = np.random.default_rng((self._seed, len(ids), ids[-1]))
        return (self._wish_V + chance.normal(0, 1, len(self._wish_V))).astype(np.float32)


def stubborn_engine(
    vocabulary: str = "piano",
    *,
    keys: int = 88,
    onset: int | str = "any",
    segment: float = 0.0,
    end: float = 0.0,
    pedal: float = 0.0,
    context: int = 512,
    seed: int = 0,
    abilities: Abilities | None = None,
) -> Engine:
    """Wants so many keys (one: one note), one onset (ms), the next one or any, so much that a segment or all ends."""
    v = VOCABULARIES[vocabulary]
    wish_V = np.zeros(len(v))
    wish_V[slice(*v.note)] = np.where(v.pitch_of[slice(*v.note)] % 88 < keys, 0.0, -40.0)
    wish_V[[v.segment, v.end]] = 4.0 + segment, end
    if keys == 1:
        wish_V[[v.note[0] + 60 * 13 + 8, v.duration[0] + 20]] = 40.0
    if onset == "next":
        wish_V[slice(*v.onset)] = -30.0 * np.arange(v.onset[1] - v.onset[0])
    elif onset != "any":
        wish_V[v.onset[0] + int(onset) // 10] = 40.0
    if v.pedal_on is not None:
        wish_V[[v.pedal_on, v.pedal_off]] = pedal
    return Engine(Stubborn(wish_V, context=context, seed=seed), v, abilities)


def most_at_once(whole: Performance, new: Performance, *, keys: bool = False) -> int:
    """The most that one player (with `keys`, on one key) begins within 50 ms where some of it is new; by counting."""
    who = whole.instrument.astype(int) * 128 + (whole.pitch if keys else 0)
    theirs = set(zip(new.onset.tolist(), new.pitch.tolist(), new.instrument.tolist(), strict=True))
    notes = list(zip(whole.onset.tolist(), whole.pitch.tolist(), whole.instrument.tolist(), strict=True))
    most = 0
    for i, (first, *_) in enumerate(notes):
        within = [j for j in range(i, len(notes)) if notes[j][0] < first + 50_000_000 and who[j] == who[i]]
        if any(notes[j] in theirs for j in within):
            most = max(most, len(within))
    return most
