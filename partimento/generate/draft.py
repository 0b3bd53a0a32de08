"""A small model that writes ahead of one variation, so that a large one has several ids to check in one pass.

Knows: how far ahead (as many ids as a note has), and that its own context may be the shorter one. Refuses to know which
of its proposals are kept (`sampling.settle`): whatever it proposes, the music is distributed as the large model's own.

    draft = Draft(Engine.load("bundled"), variation)
    draft.propose(3)                                     # behind the ids of the variation as they are now
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from partimento.generate.sampling import Proposal, draw, seeded
from partimento.generate.session import Reading

if TYPE_CHECKING:
    from partimento.generate.engine import Engine
    from partimento.generate.variation import Variation

AHEAD = 3


class Draft:
    """Follows one variation, and draws from numbers of its own."""

    def __init__(self, engine: Engine, row: Variation) -> None:
        self._row, self._reading = row, Reading(engine)
        self._room = engine.context - AHEAD
        self._generator = seeded(row.settings.seed, variation=row.number, draft=True)

    def propose(self, most: int) -> list[Proposal]:
        """Up to `AHEAD` ids that may follow, or `most` if that is less."""
        v = self._row.start.vocabulary
        seen = self._recent()
        proposals: list[Proposal] = []
        while len(proposals) < min(AHEAD, most) and seen[-1] != v.end:
            ahead = [proposal.id for proposal in proposals]
            _, logits_1V, _ = self._reading.read(seen)
            q_V = self._row.outlook(logits_1V[0], ahead)
            proposals.append(Proposal(id=draw(q_V, self._generator), q_V=q_V))
            seen = [*seen, proposals[-1].id]
        return proposals

    def _recent(self) -> list[int]:
        """Prefix and latest ids, from the beginning of a segment on; all of them where they fit.

        Half a context is dropped at once, so that what was read is of use for long.
        """
        ids, start = self._row.ids, self._row.start
        prefix = len(start.prefix)
        step = self._room // 2
        first = prefix + -(-max(0, len(ids) - self._room) // step) * step
        if first == prefix:
            return ids
        first = next((at for at in range(first, len(ids)) if ids[at] == start.vocabulary.segment), first)
        return [*ids[:prefix], *ids[first:]]
