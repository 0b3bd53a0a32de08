"""The Anticipatory Music Transformer as a system that goes on where a prompt ends.

Knows how its published weights are read from a folder (by transformers), and how its tokens are drawn: by nucleus
sampling, never into the past, of the piano alone, from a window that forgets its first event when it is full. Refuses
to know what its tokens mean (`arrival.py`).

    model = Anticipatory.load("music-medium-800k")          # a folder of the hub's repository, downloaded
    model.continuation(prompt, start=15.0, end=60.0, seed=1)

It knows no velocities: its notes have the median one of the prompt. Of 128 instruments it may only take the piano, or
part of its notes would go to others, and the comparison would be of orchestration.

Shape legend: N events of 3 tokens, T tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.evaluate.baselines.arrival import (
    AUTOREGRESS,
    DURATION,
    NOTE,
    PITCHES,
    REST,
    STEPS_PER_SECOND,
    TIME,
    VOCABULARY_SIZE,
    Events,
    decode,
    encode,
    with_rests,
)
from partimento.midi.performance import Performance

TOP_P: Final = 0.98
"""As its authors sampled for their own listening test."""
_WINDOW: Final = 339
"""Events of context beside the one that is drawn: its 1,024 tokens hold a first one and 341 events."""
MOST_PER_SECOND: Final = 200
"""Events; more is no music but a model that has lost its way."""
_TIMES: Final = np.arange(TIME, DURATION)
_DURATIONS: Final = np.arange(DURATION, NOTE)
_NOTES: Final = np.append(np.arange(NOTE, NOTE + PITCHES), REST)

Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anticipatory:
    """Published weights, or any causal language model of transformers with the same vocabulary."""

    network: Any
    top_p: float = TOP_P
    window: int = _WINDOW

    @classmethod
    def load(cls, folder: str | Path, *, top_p: float = TOP_P, device: str = "cpu") -> Anticipatory:
        """From a local folder. `UserError` if it is none, holds another vocabulary, or transformers is missing."""
        try:
            from transformers import AutoModelForCausalLM
        except ImportError:
            raise UserError(
                "the Anticipatory Music Transformer is run by transformers: pip install transformers"
            ) from None
        if not (Path(folder) / "config.json").is_file():
            raise UserError(
                f"{folder} holds no config.json; download one of its authors' models into a folder, such as "
                "stanford-crfm/music-medium-800k"
            )
        if not 0 < top_p <= 1:
            raise UserError(f"top_p is {top_p}; it must be above 0 and at most 1")
        network: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        network.to(device).eval()
        if network.config.vocab_size != VOCABULARY_SIZE:
            raise UserError(
                f"{folder} speaks a vocabulary of {network.config.vocab_size:,} tokens; "
                f"arrival-time tokens are {VOCABULARY_SIZE:,}"
            )
        return cls(network=network, top_p=top_p)

    def continuation(self, prompt: Performance, *, start: float, end: float, seed: int) -> Performance:
        """What follows a prompt from `start` to before `end` seconds on its clock: new notes alone.

        Raises `UserError` for an end above 100 s.
        """
        first, last = (round(STEPS_PER_SECOND * seconds) for seconds in (start, end))
        if last > DURATION - TIME:
            raise UserError(f"it cannot play beyond 100 s of its clock, and the continuation would end at {end:g} s")
        events_N3 = with_rests(encode(prompt.slice_time(0, start)), first)
        rng, reading = np.random.default_rng(seed), _Reading(self.network)
        played: list[Events] = []
        now = first
        while len(played) <= MOST_PER_SECOND * (end - start):
            events_N3 = events_N3[-self.window :]
            event_3 = self._drawn(reading, events_N3, now, rng)
            now = int(event_3[0] - TIME)
            if now >= last:
                velocity = int(np.median(prompt.velocity)) if len(prompt) else 64
                return decode(np.array(played, np.int64).reshape(-1, 3), velocity=velocity)
            events_N3 = np.concatenate([events_N3, event_3[None]])
            played.append(event_3)
        raise UserError(f"the model plays more than {MOST_PER_SECOND} events a second and does not go on in time")

    def _drawn(self, reading: _Reading, events_N3: Events, now: int, rng: np.random.Generator) -> Events:
        """The next event behind those of the window, whose clock begins with them; not before step `now`."""
        shift_3 = np.array([events_N3[0, 0] - TIME if len(events_N3) else 0, 0, 0])
        tokens = [AUTOREGRESS, *(events_N3 - shift_3).ravel().tolist()]
        past = max(0, now - int(shift_3[0]))
        for allowed_V in (_TIMES[past:], _DURATIONS, _NOTES):
            logits_V = reading.logits(tokens)[allowed_V]
            tokens.append(int(allowed_V[nucleus(logits_V, self.top_p, rng)]))
        return np.array(tokens[-3:], np.int64) + shift_3


class _Reading:
    """A network and what it has read: tokens that only grow are not read twice."""

    def __init__(self, network: Any) -> None:
        self._network, self._cache = network, None
        self._read: list[int] = []

    @torch.inference_mode()
    def logits(self, tokens: list[int]) -> Logits:
        """What may follow the tokens [V], in float64."""
        if tokens[: len(self._read)] != self._read or len(tokens) == len(self._read):
            self._cache, self._read = None, []
        new = torch.tensor([tokens[len(self._read) :]], device=self._network.device)
        read = self._network(input_ids=new, past_key_values=self._cache, use_cache=True)
        self._cache, self._read = read.past_key_values, list(tokens)
        return read.logits[0, -1].double().cpu().numpy()


def nucleus(logits_V: Logits, top_p: float, rng: np.random.Generator) -> int:
    """One of the likeliest that together have the probability `top_p`, the one that crosses it included."""
    order_V = np.argsort(-logits_V, kind="stable")
    mass_V = np.exp(logits_V[order_V] - logits_V[order_V[0]])
    mass_V /= mass_V.sum()
    kept = int(np.searchsorted(np.cumsum(mass_V), top_p)) + 1
    kept_K = mass_V[:kept] / mass_V[:kept].sum()
    return int(order_V[rng.choice(len(kept_K), p=kept_K)])
