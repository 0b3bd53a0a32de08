"""Whether the numbers of 'evaluate continuation' say what listeners say: each clip's score beside its votes.

Knows the jury's score of one clip, and rank correlations with what was preferred. Refuses to know files' names and the
report's layout. Where there are no votes, or too few clips with notes, the answer is that nobody knows: None.

    scores = jury_scores(prompts, continued, span)          # by descriptor, and over all: [n] for each prompt
    found = agreement(votes, scores_of_clips, listener_n, prompt_n, seed=0)

A clip's score of a descriptor is that of docs/evaluation.md with the clip's own distance in place of the model's mean.
1 is how pianists go on, and above 1 is no better, so what is correlated is how near to 1 a score is: -|score - 1|; and
over all descriptors, the mean of that.

Shape legend: n prompts or votes, c clips, R resamples with the whole sample first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.evaluate.continuation.prompts import Prompt, Span
from partimento.evaluate.continuation.run import Continued
from partimento.evaluate.continuation.scores import MODEL, PIANISTS, UNRELATED, measured
from partimento.evaluate.listening.votes import Trial
from partimento.evaluate.metrics import Estimate, interval
from partimento.midi.performance import Performance

Floats = NDArray[np.float64]

ALL: Final = "all of it"
"""The mean over the descriptors."""
FEWEST: Final = 10
"""Clips without which no correlation is worth the name."""
_RESAMPLES: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a descriptor has to do with votes on `clips` clips: rank correlations with the share of votes won.

    `followed`: of the untied votes between two clips that have a score, the share that went to the higher one.
    """

    descriptor: str
    clips: int
    spearman: Estimate
    kendall: Estimate
    followed: Estimate


def jury_scores(prompts: Sequence[Prompt], continued: Sequence[Performance], span: Span) -> dict[str, Floats]:
    """How near to 1 the score of each continuation [n] is, by descriptor; NaN where it has none.

    A descriptor by which unrelated music is no further off than the pianists' own is left out. It takes two prompts.
    """
    made = [Continued(music=music, notes=0, nats=0.0, nats_unrelated=0.0) for music in continued]
    near: dict[str, Floats] = {}
    for one in measured(prompts, made, span, seed=0):
        distance = {source: one.descriptor.distances(one.of[source], one.prompt_n) for source in one.of}
        unrelated, pianists = (float(np.nanmean(distance[source])) for source in (UNRELATED, PIANISTS))
        if unrelated > pianists:
            own_n = _means(distance[MODEL][0])
            near[one.descriptor.name] = -np.abs((unrelated - own_n) / (unrelated - pianists) - 1)
    if near:
        near[ALL] = _means(np.stack(list(near.values()), axis=1))
    return near


def agreement(
    votes: Sequence[Trial], scores: Mapping[str, Mapping[str, float]], weight_Rn: Floats
) -> list[Agreement] | None:
    """For each descriptor, its `scores` of clips beside the votes that count so many times; None: nobody knows yet."""
    found = [
        one
        for name, of_clips in scores.items()
        if (one := _agreement(name, votes, of_clips, weight_Rn[: _RESAMPLES + 1])) is not None
    ]
    return found or None


def _agreement(name: str, votes: Sequence[Trial], scores: Mapping[str, float], weight_Rn: Floats) -> Agreement | None:
    ids = sorted({id_ for vote in votes for id_ in (vote.a, vote.b) if np.isfinite(scores.get(id_, np.nan))})
    if len(ids) < FEWEST:
        return None
    share_Rc = _shares(votes, ids, weight_Rn)
    score_c = np.array([scores[id_] for id_ in ids])
    spearman_R, kendall_R = (np.array([each(score_c, share_c) for share_c in share_Rc]) for each in (_rho, _tau))
    both = [
        (k, (vote.choice == "a") == (scores[vote.a] > scores[vote.b]))
        for k, vote in enumerate(votes)
        if not vote.tied and vote.a in ids and vote.b in ids and scores[vote.a] != scores[vote.b]
    ]
    followed_R = np.full(len(weight_Rn), np.nan)
    if both:
        weight_Rm = weight_Rn[:, [k for k, _ in both]]
        right_m = np.array([right for _, right in both], np.float64)
        np.divide(weight_Rm @ right_m, weight_Rm.sum(axis=1), out=followed_R, where=weight_Rm.any(axis=1))
    estimates = [_estimate(values_R) for values_R in (spearman_R, kendall_R, followed_R)]
    return Agreement(
        descriptor=name, clips=len(ids), spearman=estimates[0], kendall=estimates[1], followed=estimates[2]
    )


def _shares(votes: Sequence[Trial], ids: Sequence[str], weight_Rn: Floats) -> Floats:
    """The share of its votes that each clip won [R, c], a tie being half of one; NaN without votes."""
    place = {id_: k for k, id_ in enumerate(ids)}
    won_nc, seen_nc = np.zeros((len(votes), len(ids))), np.zeros((len(votes), len(ids)))
    for n, vote in enumerate(votes):
        for side, id_ in (("a", vote.a), ("b", vote.b)):
            if id_ in place:
                seen_nc[n, place[id_]] = 1
                won_nc[n, place[id_]] = 0.5 if vote.tied else float(vote.choice == side)
    seen_Rc = weight_Rn @ seen_nc
    return np.divide(weight_Rn @ won_nc, seen_Rc, out=np.full(seen_Rc.shape, np.nan), where=seen_Rc > 0)


def _rho(scores: Floats, shares: Floats) -> float:
    """Spearman's correlation over what has both; NaN where either is all the same."""
    from scipy.stats import rankdata

    kept = np.isfinite(shares)
    a, b = rankdata(scores[kept]), rankdata(shares[kept])
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _tau(scores: Floats, shares: Floats) -> float:
    """Kendall's tau-b over what has both; NaN where either is all the same."""
    kept = np.isfinite(shares)
    a, b = (np.sign(np.subtract.outer(values, values)) for values in (scores[kept], shares[kept]))
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale else float("nan")


def _estimate(values_R: Floats) -> Estimate:
    """The whole sample's, and the middle of what resamples gave; no interval where too few gave anything."""
    drawn = values_R[1:][np.isfinite(values_R[1:])]
    ends = interval(drawn) if 2 * len(drawn) > len(values_R) else (float("nan"), float("nan"))
    return float(values_R[0]), ends


def _means(values_nW: Floats) -> Floats:
    """The mean of each row over what is not NaN; NaN where nothing is."""
    known_nW = np.isfinite(values_nW)
    total_n, count_n = np.where(known_nW, values_nW, 0.0).sum(axis=1), known_nW.sum(axis=1)
    return np.divide(total_n, count_n, out=np.full(len(total_n), np.nan), where=count_n > 0)
