"""How strong each system is, from votes on pairs of them: Bradley and Terry's model with ties, and how sure that is.

With strengths s of the systems and the same readiness t to call two clips equal for all of them,

    P(i is preferred to j) : P(no difference) : P(j is preferred) = exp(s_i) : exp(t + (s_i + s_j) / 2) : exp(s_j)

R. R. Davidson, "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments", 1970. Knows
maximum likelihood, and resamples of listeners and prompts together. Refuses to know what was compared.

    counts_RC3 = tallied(pair_n, said_n, pairs=4, weight_Rn=resamples(listener_n, prompt_n, seed=0))
    strength_RK, tie_R = fit(pairs_C2, counts_RC3, systems=5)

Shape legend: n votes, K systems, C pairs of them that were compared, 3 answers (the first one, tied, the second one),
R resamples, P parameters (K strengths and t).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.evaluate.metrics import resampled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WON, TIED, LOST = 0, 1, 2
"""What a vote says of the first system of its pair."""
WIDTH: Final = 10.0
"""Deviation of the normal prior that keeps a system that never lost from an infinite strength: e to the 10 is 22,000 to
1. Elsewhere it moves nothing that a table would show."""
_STEPS: Final = 100
_STILL: Final = 1e-9
_LONGEST: Final = 2.0


def fit(pairs_C2: Ints, counts_RC3: Floats, *, systems: int) -> tuple[Floats, Floats]:
    """Strengths [R, K], those of a row with sum 0, and t [R], that make the counted votes likeliest.

    By Newton's method: the likelihood is log-concave in (s, t), so there is one top.
    """
    toward_C3P = np.zeros((len(pairs_C2), 3, systems + 1))
    c = np.arange(len(pairs_C2))
    for answer, side in ((WON, 0), (LOST, 1)):
        toward_C3P[c, answer, pairs_C2[:, side]] = 1
        toward_C3P[c, TIED, pairs_C2[:, side]] = 0.5
    toward_C3P[:, TIED, systems] = 1
    votes_RC = counts_RC3.sum(axis=2)
    seen_RP = np.einsum("rca,cap->rp", counts_RC3, toward_C3P)
    theta_RP = np.zeros((len(counts_RC3), systems + 1))
    for _ in range(_STEPS):
        exponent_RC3 = np.einsum("cap,rp->rca", toward_C3P, theta_RP)
        share_RC3 = np.exp(exponent_RC3 - exponent_RC3.max(axis=2, keepdims=True))
        share_RC3 /= share_RC3.sum(axis=2, keepdims=True)
        mean_RCP = np.einsum("rca,cap->rcp", share_RC3, toward_C3P)
        slope_RP = seen_RP - np.einsum("rc,rcp->rp", votes_RC, mean_RCP) - theta_RP / WIDTH**2
        off_RC3P = toward_C3P - mean_RCP[:, :, None]
        weighed_RC3P = (votes_RC[:, :, None] * share_RC3)[..., None] * off_RC3P
        curve_RPP = np.einsum("rcap,rcaq->rpq", weighed_RC3P, off_RC3P, optimize=True) + np.eye(systems + 1) / WIDTH**2
        step_RP = np.linalg.solve(curve_RPP, slope_RP[:, :, None])[:, :, 0]
        size_R1 = np.abs(step_RP).max(axis=1, keepdims=True)
        theta_RP += step_RP * np.minimum(1.0, _LONGEST / np.maximum(size_R1, _STILL))
        if size_R1.max() < _STILL:
            break
    strength_RK = theta_RP[:, :-1]
    return strength_RK - strength_RK.mean(axis=1, keepdims=True), theta_RP[:, -1]


def bounded(pairs_C2: Ints, counts_C3: Floats, *, systems: int) -> bool:
    """Whether the likelihood has its top at finite strengths: no group of systems always beat the others, or never did.

    L. R. Ford Jr., "Solution of a ranking problem from binary comparisons", 1957.
    """
    reached_KK = np.eye(systems, dtype=bool)  # the row's system was not worse than the column's, at least once
    for answer, (row, column) in ((WON, (0, 1)), (LOST, (1, 0)), (TIED, (0, 1)), (TIED, (1, 0))):
        given_C = counts_C3[:, answer] > 0
        reached_KK[pairs_C2[given_C, row], pairs_C2[given_C, column]] = True
    for k in range(systems):
        reached_KK |= reached_KK[:, k : k + 1] & reached_KK[k]
    return bool(reached_KK.all())


def tallied(pair_n: Ints, said_n: Ints, *, pairs: int, weight_Rn: Floats) -> Floats:
    """How often each answer was given to each pair [R, C, 3], for votes that count so many times."""
    cell_n3C = np.zeros((len(said_n), pairs, 3))
    cell_n3C[np.arange(len(said_n)), pair_n, said_n] = 1
    return np.einsum("rn,nca->rca", weight_Rn, cell_n3C, optimize=True)


def resamples(listener_n: Ints, prompt_n: Ints, *, seed: int) -> Floats:
    """How often each vote counts [1 + R, n]: once, then in each resample. Listeners and prompts are drawn again.

    A vote counts as often as its listener times as often as its prompt, so that what the votes of one listener or on
    one prompt have in common is in the intervals (A. B. Owen, "The pigeonhole bootstrap", 2007). A resample in which no
    vote is left is left out.
    """
    weight_Rn = resampled(listener_n, seed) * resampled(prompt_n, seed + 1)
    return np.concatenate([np.ones((1, len(listener_n))), weight_Rn[weight_Rn.any(axis=1)]])
