"""A piano that notices what no pianist and no piano can do; and somebody to play on it."""

import numpy as np

from partimento.generate.engine import Engine
from partimento.live.ports import ALL_NOTES_OFF, SUSTAIN, Message
from tests.generate.generate_music import stubborn_engine

NS = 1e-9


class Piano:
    """Takes messages with their times; knows which keys are down and whether anything sounds."""

    def __init__(self) -> None:
        self.down: dict[int, float] = {}
        self.up: dict[int, float] = {}
        self.ringing: set[int] = set()
        self.pedal = False
        self.now = 0.0
        self.strikes = 0

    def take(self, at: float, message: Message) -> None:
        assert at >= self.now - NS
        self.now = max(at, self.now)
        if message.kind == "on":
            assert 21 <= message.number <= 108
            assert 1 <= message.value <= 127
            assert message.number not in self.down, "struck while it is down"
            assert at - self.up.get(message.number, -1.0) >= 0.030 - NS, "struck before it came up"
            self.down[message.number] = at
            self.ringing.add(message.number)
            self.strikes += 1
            assert two_hands_hold(sorted(self.down)), sorted(self.down)
        elif message.kind == "off":
            if message.number in self.down:
                assert at - self.down.pop(message.number) >= 0
                self.up[message.number] = at
        elif message.number == SUSTAIN:
            self.pedal = message.value >= 64
        elif message.number == ALL_NOTES_OFF:
            self.down = {}
        if not self.pedal:
            self.ringing &= set(self.down)

    @property
    def silent(self) -> bool:
        return not (self.down or self.ringing or self.pedal)


def two_hands_hold(keys: list[int]) -> bool:
    """The left hand takes from below whatever it can; the right hand has to take the rest."""
    left = [key for key in keys[:5] if key - keys[0] <= 14]
    right = keys[len(left) :]
    return len(right) <= 5 and (not right or right[-1] - right[0] <= 14)


def lively_engine(*, seed: int = 0) -> Engine:
    """Plays ten notes a second of the middle of the piano, whatever it has read."""
    engine = stubborn_engine(onset="any", context=512, seed=seed)
    v = engine.vocabulary
    wish_V = engine.backend._wish_V
    notes = slice(*v.note)
    wish_V[notes] = np.where((v.pitch_of[notes] >= 40) & (v.pitch_of[notes] < 80), 0.0, -40.0)
    wish_V[v.segment] = 0.0
    wish_V[slice(*v.onset)] = -0.1 * np.arange(v.onset[1] - v.onset[0])
    wish_V[slice(*v.duration)] = -0.03 * np.arange(v.duration[1] - v.duration[0])
    return engine
