"""What a study can show with the listeners that it expects, said before anybody votes.

print(described(manifest))
"""

from __future__ import annotations

from partimento.evaluate.listening.manifest import Manifest
from partimento.evaluate.listening.statistics import (
    equivalence_power,
    power,
    votes_for_equivalence,
    votes_needed,
)


def described(manifest: Manifest) -> str:
    """Clips, comparisons, and the power of the tests; as if no vote were a tie, so that the truth is rather less."""
    study, pairs = manifest.study, manifest.study.pairs()
    votes = study.plan.listeners * study.trials.each // len(pairs)
    share, margin = study.plan.share, study.plan.margin
    return "\n".join(
        [
            f"{len(manifest.clips)} clips of {study.span.end:g} s at {study.clips.loudness:g} LUFS: "
            f"{len(study.names)} systems, {len(manifest.prompts)} prompts, {len(pairs)} pairs of systems.",
            f"{study.plan.listeners} listeners of {study.trials.each} comparisons are {votes} votes on each pair. "
            f"Without ties their power is {power(votes, share):.0%} against {share:.0%} wins ({votes_needed(share)} "
            f"votes: 80%), and {equivalence_power(votes, margin):.0%} to show equivalence within 50% ± {margin:.0%} "
            f"where it is true ({votes_for_equivalence(margin)} votes: 80%).",
        ]
    )
