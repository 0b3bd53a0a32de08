"""Which tokens may come next, and how probable each is: the grammar, what never comes out, heat after a loop.

Knows the rules that hold for one token, whatever was decided before it; what a state of the music forbids on top (too
many notes at once, an ending that is too early) it is told. Refuses to know chance.

    rules = Rules(start, Sampling(temperature=0.98))
    p_V = rules.probabilities(logits_V, state, rules.allowed(state), banned_V, hot=False)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partimento.generate.decode.sampling import Sampling, probabilities
from partimento.generate.prompt.start import AT_ONCE_MS, Start
from partimento.tokens.grammar import Expect, State, TokenRanges
from partimento.tokens.vocabulary import SEGMENT_MS

_HEAT = 1.3
_ONSET_EXPECTED = (Expect.NOTE_ONSET, Expect.LONE_ONSET)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one model behind one start."""

    start: Start
    sampling: Sampling

    def probabilities(
        self,
        logits_V: NDArray[np.floating],
        state: State,
        allowed: TokenRanges,
        banned_V: NDArray[np.bool_],
        *,
        hot: bool,
    ) -> NDArray[np.float64]:
        """Probabilities [V] of the next token; `hot`: wilder, so that a loop taken back does not come again."""
        v = self.start.vocabulary
        sampling = self.sampling.heated(_HEAT) if hot else self.sampling
        uncut: tuple[int, ...] = ()
        if state.expect is not Expect.EVENT:
            sampling = sampling.of_times()
        elif not sampling.cut_times:
            uncut = (v.segment, v.end)
        masked_V = np.where(banned_V, -np.inf, logits_V)
        return probabilities(masked_V, allowed, sampling, uncut=uncut)

    def banned(self, state: State, *, may_end: bool, must_sound: bool) -> NDArray[np.bool_]:
        """Tokens [V] that never come out, with those that do not now; `must_sound`: it has been silent for too long."""
        v, banned_V = self.start.vocabulary, self.start.banned_V
        if state.expect is Expect.EVENT:
            banned_V = banned_V.copy()
            banned_V[v.dim] = True
            banned_V[v.end] = not may_end
            if must_sound:
                banned_V[[token for token in (v.segment, v.pedal_on, v.pedal_off) if token is not None]] = True
        return banned_V

    def too_late(self, state: State, segment_ms: int) -> NDArray[np.bool_]:
        """Tokens [V] with which the first new event would not come at once; the segment began at `segment_ms`."""
        v, last_ms = self.start.vocabulary, self.start.from_ms + AT_ONCE_MS
        late_V = np.zeros(len(v), np.bool_)
        if state.expect in _ONSET_EXPECTED:
            late_V[slice(*v.onset)] = segment_ms + v.ms_of[slice(*v.onset)] > last_ms
        elif state.expect is Expect.EVENT:
            late_V[v.segment] = segment_ms + SEGMENT_MS > last_ms
        return late_V

    def allowed(self, state: State) -> TokenRanges:
        """What may come next: the grammar's, and in a gap's last segment whatever ends it since it would lie behind."""
        v, allowed = self.start.vocabulary, self.start.grammar.allowed(state)
        if not state.in_last_segment:
            return allowed
        if state.expect is Expect.EVENT:
            return *allowed, (v.segment, v.segment + 1)
        return ((state.onset, v.onset[1]),) if state.expect in _ONSET_EXPECTED else allowed
