"""Logits -> one token: temperature, then min-p and top-p, among the tokens that the grammar allows.

It knows distributions over tokens, and how one that was drawn from another distribution is accepted or replaced. What
a token means it is told: what may follow, and which are never cut. All chance comes from the generator it is given.

    generator = seeded(7, variation=0)
    p_V = probabilities(logits_V, ((39, 1703), (5, 6)), Sampling(temperature=0.98, min_p=0.035))
    token = draw(p_V, generator)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError

Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn; the values given are those of the published weights.

    `temperature` divides the logits (0: always the likeliest). Then tokens below `min_p` times the largest probability
    are cut (0: none), and of the rest the fewest that together hold at least `top_p` of the mass stay (1: all).

    Times are <T>, onsets and durations. A duration or a rest is spread over hundreds of tokens, so that cutting the
    improbable ones shortens it: with `cut_times` false, min-p and top-p cut notes alone. `time_temperature` is that of
    onsets and durations (None: `temperature`).
    """

    temperature: float = 0.98
    min_p: float = 0.035
    top_p: float = 1.0
    cut_times: bool = True
    time_temperature: float | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "time_temperature"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and 0 <= value <= 100):
                raise UserError(f"{name.replace('_', '-')} must lie in 0..100, not {value}")
        if not 0 <= self.min_p <= 1:
            raise UserError(f"min-p must lie in 0..1, not {self.min_p}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top-p must lie above 0 and at most at 1, not {self.top_p}")

    def of_times(self) -> Sampling:
        """How an onset or a duration is drawn."""
        warmth = self.temperature if self.time_temperature is None else self.time_temperature
        if self.cut_times:
            return replace(self, temperature=warmth)
        return replace(self, temperature=warmth, min_p=0.0, top_p=1.0)

    def heated(self, factor: float) -> Sampling:
        """The same, wilder: temperatures of at least 0.5 times the factor."""

        def hot(value: float) -> float:
            return min(100.0, max(value, 0.5) * factor)

        times = None if self.time_temperature is None else hot(self.time_temperature)
        return replace(self, temperature=hot(self.temperature), time_temperature=times)


def seeded(
    seed: int, *, variation: int, draft: bool = False, segment: int | None = None, candidate: int = 0
) -> np.random.Generator:
    """The chance of one variation, of its draft, or of a candidate for one of its segments (`search.py`).

    It is the same whichever others are drawn beside it.
    """
    if seed < 0:
        raise UserError(f"a seed must be 0 or more, not {seed}")
    if segment is not None:
        return np.random.default_rng((seed, variation, 2, segment, candidate))
    return np.random.default_rng((seed, variation, 1) if draft else (seed, variation))


def distribution(
    logits_N: NDArray[np.floating], sampling: Sampling, uncut_N: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Probabilities [N] of N tokens; those that are cut have exactly 0, `uncut_N` are not. -inf is never chosen."""
    exact_N = logits_N.astype(np.float64)
    best = int(np.argmax(exact_N))
    if not math.isfinite(exact_N[best]):
        raise ValueError("no candidate has a finite logit")
    if sampling.temperature == 0:
        greedy_N = np.zeros(len(exact_N))
        greedy_N[best] = 1.0
        return greedy_N
    weight_N = np.exp((exact_N - exact_N[best]) / sampling.temperature)  # the largest is 1, so min-p compares directly
    whole_N = weight_N.copy()
    weight_N[weight_N < sampling.min_p] = 0.0
    if sampling.top_p < 1:
        order_N = np.argsort(-weight_N, kind="stable")
        mass_N = np.cumsum(weight_N[order_N])
        kept = int(np.searchsorted(mass_N, sampling.top_p * mass_N[-1])) + 1
        weight_N[order_N[kept:]] = 0.0
    if uncut_N is not None:
        weight_N[uncut_N] = whole_N[uncut_N]
    return weight_N / weight_N.sum()


def probabilities(
    logits_V: NDArray[np.floating], allowed: Ranges, sampling: Sampling, *, uncut: Sequence[int] = ()
) -> NDArray[np.float64]:
    """Probabilities [V], 0 outside the allowed ranges; the tokens `uncut` are spared by min-p and top-p.

    Raises `ValueError` if nothing is allowed.
    """
    if not allowed:
        raise ValueError("no token is allowed here")
    ids_N = np.concatenate([np.arange(low, high) for low, high in allowed])
    p_V = np.zeros(len(logits_V))
    uncut_N = np.logical_or.reduce([ids_N == token for token in uncut]) if uncut else None
    p_V[ids_N] = distribution(logits_V[ids_N], sampling, uncut_N)
    return p_V


def draw(weight_V: NDArray[np.float64], generator: np.random.Generator) -> int:
    """One token, each as often as its share of the weights.

    Each call draws one number, also where nothing is left to chance, and takes the token at that height of the
    cumulative distribution: logits that differ in the last bit (another batch size) give the same token all but always.
    """
    mass_V = np.cumsum(weight_V)
    return int(np.searchsorted(mass_V, generator.random() * mass_V[-1], side="right"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A token that somebody else drew, and the probabilities [V] it was drawn with."""

    token: int
    q_V: NDArray[np.float64]


def accept_or_resample(p_V: NDArray[np.float64], proposal: Proposal, generator: np.random.Generator) -> int:
    """One token with the probabilities `p_V`, made of one that was drawn with others.

    That one stays with probability min(1, p / q); else another is drawn from what p has more of than q. So each comes
    out exactly as often as p says, whatever q is (Y. Leviathan, M. Kalman, Y. Matias, "Fast Inference from Transformers
    via Speculative Decoding", 2023, appendix A.1).
    """
    drafted, q_V = proposal.token, proposal.q_V
    if generator.random() * q_V[drafted] < p_V[drafted]:
        return drafted
    missing_V = np.maximum(p_V - q_V, 0.0)
    return draw(missing_V if missing_V.any() else p_V, generator)  # none is missing where they differ by rounding only
