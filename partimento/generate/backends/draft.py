"""A small model that writes ahead of one variation, so that a large one has several tokens to check in one pass.

Knows: how far ahead (as many tokens as a note has), and that its own context may be the shorter one. Refuses to know
which of its proposals are accepted (`sampling.accept_or_resample`): whatever it proposes, the music is distributed as
the large model's own.

    draft = Draft(Engine.load("bundled"), variation)
    draft.propose(3)                                     # behind the tokens of the variation as they are now
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from partimento.generate.backends.language_model import LanguageModel
from partimento.generate.decode.sampling import Proposal, draw, seeded
from partimento.generate.prompt.prefix_cache import PrefixCache

if TYPE_CHECKING:
    from partimento.generate.decode.variation import Variation

AHEAD = 3


class Draft:
    """Follows one variation, and draws from numbers of its own."""

    def __init__(self, model: LanguageModel, row: Variation) -> None:
        self._row, self._prefix_cache = row, PrefixCache(model)
        self._room = model.context - AHEAD
        self._generator = seeded(row.settings.seed, variation=row.number, draft=True)

    def propose(self, most: int) -> list[Proposal]:
        """Up to `AHEAD` tokens that may follow, or `most` if that is less."""
        v = self._row.start.vocabulary
        seen = self._recent()
        proposals: list[Proposal] = []
        while len(proposals) < min(AHEAD, most) and seen[-1] != v.end:
            ahead = [proposal.token for proposal in proposals]
            _, logits_1V, _ = self._prefix_cache.read(seen)
            q_V = self._row.next_token_probabilities(logits_1V[0], ahead)
            proposals.append(Proposal(token=draw(q_V, self._generator), q_V=q_V))
            seen = [*seen, proposals[-1].token]
        return proposals

    def _recent(self) -> list[int]:
        """Prefix and latest tokens, from the beginning of a segment on; all of them where they fit.

        Half a context is dropped at once, so that what was read is of use for long.
        """
        tokens, start = self._row.tokens, self._row.start
        prefix = len(start.prefix)
        step = self._room // 2
        first = prefix + -(-max(0, len(tokens) - self._room) // step) * step
        if first == prefix:
            return tokens
        first = next((at for at in range(first, len(tokens)) if tokens[at] == start.vocabulary.segment), first)
        return [*tokens[:prefix], *tokens[first:]]
