"""How long it takes from a message that is sent to the sound that is heard: by ear, or through a cable.

By ear, somebody taps a key with every click; through a cable from output to input, what comes back is what was sent.
Knows clicks and taps. Refuses to know ports and how time passes: it is given both.

    latency = measure(ports, clock, wait, by_ear=True)
    Rules(latency_s=latency.median_s)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from partimento.errors import UserError
from partimento.live.clock import Clock
from partimento.live.ports import Message, Ports, release, strike

CLICKS: Final = 24
GAP_S: Final = 0.6
PITCH: Final = 76
_FIRST: Final = 4
"""So many clicks are only heard, to find the beat."""
_LEAST: Final = 8
_LENGTH_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Median and half the distance between the quartiles, in seconds, of so many clicks that were answered."""

    median_s: float
    spread_s: float
    answered: int


def measure(ports: Ports, clock: Clock, wait: Callable[[float], None], *, by_ear: bool) -> Latency:
    """Plays clicks and listens for what answers them; `wait` waits until a time of the clock.

    Raises `UserError` if too few are answered.
    """
    answers: list[float] = []

    def hear(message: Message) -> None:
        if message.kind == "on" and (by_ear or message.number == PITCH):
            answers.append(clock.now())

    ports.listen(hear)
    clicks: list[float] = []
    begin = clock.now() + GAP_S
    for number in range(CLICKS):
        wait(begin + number * GAP_S)
        clicks.append(clock.now())
        ports.send(strike(PITCH, 90))
        wait(begin + number * GAP_S + _LENGTH_S)
        ports.send(release(PITCH))
    wait(begin + CLICKS * GAP_S)
    return latency_of(clicks[_FIRST if by_ear else 0 :], answers)


def latency_of(clicks: Sequence[float], answers: Sequence[float]) -> Latency:
    """Of clicks and what answered them (s); each answer belongs to the click that it is nearest to."""
    delays: list[float] = []
    for click in clicks:
        near = [answer - click for answer in answers if abs(answer - click) < GAP_S / 2]
        if near:
            delays.append(min(near, key=abs))
    if len(delays) < _LEAST:
        raise UserError(f"of {len(clicks)} clicks {len(delays)} were answered; at least {_LEAST} have to be")
    low, median, high = np.percentile(delays, [25, 50, 75])
    return Latency(median_s=max(0.0, float(median)), spread_s=float(high - low) / 2, answered=len(delays))
