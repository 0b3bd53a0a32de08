"""Systems without a model, below which none should fall: the prompt again, and a Markov chain of its notes.

again(prompt, start=15.0, end=60.0)
Markov(order=2).continuation(prompt, start=15.0, end=60.0, seed=1)
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from partimento.errors import UserError
from partimento.midi.performance import Performance


def again(prompt: Performance, *, start: float, end: float) -> Performance:
    """The prompt's `start` seconds over and over, pedal too, from `start` to `end` on its clock."""
    once = prompt.slice_time(0, start)
    played = once.shift(start)
    for time in np.arange(2 * start, end, start).tolist():
        played = played.merge(once.shift(time))
    return played.slice_time(start, end).shift(start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Markov:
    """A chain over pitches: what followed the last `order` of them somewhere in the prompt follows again.

    A note comes with the velocity, the duration and the gap before it that it had there. Where the last pitches stand
    nowhere else, fewer count. No pedal.
    """

    order: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 8:
            raise UserError(f"the order of a Markov chain is {self.order}; it must lie in 1..8")

    def continuation(self, prompt: Performance, *, start: float, end: float, seed: int) -> Performance:
        """New notes from `start` to before `end` seconds. Raises `UserError` for a prompt of fewer than two notes."""
        heard = prompt.slice_time(0, start)
        if len(heard) < 2:
            raise UserError("a Markov chain needs a prompt of two notes or more")
        pitches, onset_N = heard.pitch.tolist(), heard.onset_seconds
        follows: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for n in range(1, len(pitches)):
            for length in range(min(self.order, n) + 1):
                follows[tuple(pitches[n - length : n])].append(n)
        rng = np.random.default_rng(seed)
        recent, time, chosen, onsets = pitches[-self.order :], max(start, float(onset_N[-1])), [], []
        while True:
            known = next(tail for k in range(len(recent) + 1) if (tail := tuple(recent[k:])) in follows)
            n = int(rng.choice(follows[known]))
            time += float(onset_N[n] - onset_N[n - 1])
            if time >= end:
                break
            chosen.append(n)
            onsets.append(time)
            recent = [*recent, pitches[n]][-self.order :]
        return Performance.from_notes(
            pitch=heard.pitch[chosen],
            velocity=heard.velocity[chosen],
            onset=onsets,
            duration=heard.duration_seconds[chosen],
        )
