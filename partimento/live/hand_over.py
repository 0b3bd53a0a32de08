"""The sign by which a player hands over: a pedal, silence, a key, or so many bars.

Knows which message is a sign, and when waiting is one. Refuses to know what follows.

    signs = Signs(HandOver(sign="silence", silence_s=1.5))
    signs.given_by(message)             # is this message the sign? it is to be asked about every message
    signs.due(turn_began=3.2, quiet_since=9.0)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from partimento.errors import UserError
from partimento.live.ports import SOFT, SOSTENUTO, Message

Sign = Literal["pedal", "silence", "key", "bars"]
LOWEST_KEY: Final = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """How the turn is handed over.

    `pedal`: the left or middle pedal goes down (soft, sostenuto). `silence`: no key has been down for `silence_s`.
    `key`: the key `key` is struck, which is no note then; by default the lowest. `bars`: so many `bars` of `beats`
    beats, at `tempo` beats a minute, have gone by since the first note of the turn.
    """

    sign: Sign = "pedal"
    silence_s: float = 1.5
    key: int = LOWEST_KEY
    bars: int = 4
    beats: int = 4
    tempo: float = 100.0

    def __post_init__(self) -> None:
        if not 0.2 <= self.silence_s <= 30:
            raise UserError(f"silence must lie in 0.2..30 s, not {self.silence_s}")
        if not 0 <= self.key <= 127:
            raise UserError(f"the key that hands over must lie in 0..127, not {self.key}")
        if not (1 <= self.bars <= 64 and 1 <= self.beats <= 16):
            raise UserError(f"turns have 1..64 bars of 1..16 beats, not {self.bars} of {self.beats}")
        if not 20 <= self.tempo <= 400:
            raise UserError(f"a tempo must lie in 20..400 beats a minute, not {self.tempo}")

    @property
    def turn_s(self) -> float:
        """Seconds of so many bars."""
        return self.bars * self.beats * 60.0 / self.tempo

    def describe(self) -> str:
        """What a player has to do, in words."""
        return {
            "pedal": "press the left or middle pedal",
            "silence": f"let go of all keys for {self.silence_s:g} s",
            "key": f"strike key {self.key}" + (" (the lowest of 88)" if self.key == LOWEST_KEY else ""),
            "bars": f"play {self.bars} bars of {self.beats} beats at {self.tempo:g} a minute",
        }[self.sign]


class Signs:
    """Recognises the sign."""

    def __init__(self, how: HandOver) -> None:
        self.how = how
        self._pressed: set[int] = set()

    def given_by(self, message: Message) -> bool:
        """Whether this message is the sign. A pedal that tells every millimetre of its way gives it once."""
        if self.how.sign == "key":
            return message.kind == "on" and message.number == self.how.key
        if self.how.sign != "pedal" or message.kind != "control" or message.number not in (SOFT, SOSTENUTO):
            return False
        before = message.number in self._pressed
        (self._pressed.add if message.value >= 64 else self._pressed.discard)(message.number)
        return message.value >= 64 and not before

    def is_no_music(self, message: Message) -> bool:
        """Whether it belongs to the sign rather than to what is played: its key, up or down."""
        return self.how.sign == "key" and message.kind != "control" and message.number == self.how.key

    def due(self, *, turn_began: float | None, quiet_since: float | None, lead_s: float = 0.0) -> float:
        """When waiting becomes the sign (inf: it does not).

        `turn_began`: the first note of the turn; `quiet_since`: when the last key came up, None while one is down.
        An answer takes `lead_s` to come, so that bars are over so much earlier.
        """
        if turn_began is None:
            return math.inf
        if self.how.sign == "bars":
            return turn_began + self.how.turn_s - lead_s
        if self.how.sign == "silence" and quiet_since is not None:
            return quiet_since + self.how.silence_s
        return math.inf
