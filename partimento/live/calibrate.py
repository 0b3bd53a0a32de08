"""How long it takes from a message that is sent to the sound that is heard: by ear, or through a cable.

By ear, somebody taps a key with every click; through a cable from output to input, what comes back is what was sent.
Knows clicks and taps, and the file in which this user's instruments are remembered. Refuses to know ports and how time
passes: it is given both.

    latency = measure(ports, clock, wait, by_ear=True)
    remember("P-125", latency.median_s)
    Rules(latency_s=recall("P-125") or 0.0)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from partimento.errors import UserError
from partimento.files import home_config, replacing
from partimento.live.ports import Message, Ports, release, strike
from partimento.live.stage import Clock

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


def kept() -> Path:
    """The file that holds what was measured: a JSON object, output -> seconds."""
    return home_config() / "partimento" / "latencies.json"


def remember(output: str, seconds: float) -> None:
    """From now on `recall` knows this output. Raises `UserError` where the file cannot be written."""
    try:
        kept().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {kept().parent}: {error.strerror}; give --latency-ms each time") from error
    with replacing(kept()) as part:
        part.write_text(json.dumps(_all() | {output: seconds}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def recall(output: str) -> float | None:
    """The latency of an output (s), None if it was never measured. Raises `UserError` for a file that was damaged."""
    return _all().get(output)


def _all() -> dict[str, float]:
    try:
        read = json.loads(kept().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{kept()} cannot be read ({error}); remove it and calibrate again") from error
    if not isinstance(read, dict) or not all(isinstance(s, int | float) and 0 <= s <= 1 for s in read.values()):
        raise UserError(f"{kept()} does not hold an output's latency of 0..1 s; remove it and calibrate again")
    return read
