"""Notes as a model makes them -> what two hands and a foot can play on a piano of 88 keys, as they are decided.

Notes come in the order of their onsets, each while the ones before it may still sound, so that of what was planned only
the ends can change. Knows keys, hands and the pedal; refuses to know what is beautiful (`midi/pedalling.py` plays a
whole piece better, looking ahead). What no player can do is left out: a key beyond the 88, one that is struck
again before it came up, a chord beyond both hands. A hand that has to move lets go of a key, and the pedal holds it.

    hands = Hands(plan)
    hands.place(pitch=60, velocity=70, on=1.0, end=4.2)      # False: nobody could have played it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from partimento.live.plan import Foot, Plan, Planned

LOWEST: Final = 21
HIGHEST: Final = 108
FINGERS: Final = 5
REACH: Final = 14
"""Semitones between thumb and little finger: a ninth."""
RESTRIKE_S: Final = 0.030
"""So long a key is up before it is struck again."""
_SHORTEST_S: Final = 0.030
_MOVE_S: Final = 0.010  # a hand leaves a key so long before it strikes elsewhere
_CATCH_S: Final = 0.020  # the pedal is down so long before the key comes up
_WORTH_S: Final = 0.050  # a note that ends so soon after its key needs no pedal
_SAME_LIFT_S: Final = 0.150  # notes that end so near each other end with one lift
_LEAST_UP_S: Final = 0.050


def within_reach(pitches: Sequence[int]) -> bool:
    """Whether two hands hold these keys: the lower ones the left hand, the others the right one."""
    keys = sorted(pitches)
    return any(_one_hand(keys[:split]) and _one_hand(keys[split:]) for split in range(len(keys) + 1))


def _one_hand(keys: Sequence[int]) -> bool:
    return not keys or (len(keys) <= FINGERS and keys[-1] - keys[0] <= REACH)


class Hands:
    """Plays onto one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def place(self, *, pitch: int, velocity: int, on: float, end: float) -> bool:
        """Plans one more note (s), or says that it cannot be played; it begins no earlier than those before.

        `on` must leave 30 ms for a key to come up first.
        """
        if not (LOWEST <= pitch <= HIGHEST and 1 <= velocity <= 127):
            return False
        holding = [note for note in self._plan.notes if note.off > on - _MOVE_S]
        before = next((note for note in reversed(self._plan.notes) if note.pitch == pitch), None)
        if before is not None and on - RESTRIKE_S < before.on + _SHORTEST_S:
            return False
        leaving = self._leaving([note for note in holding if note is not before], pitch, on)
        if leaving is None:
            return False
        if before is not None:
            before.end = min(before.end, on)
            if before.off > on - RESTRIKE_S:
                self._plan.let_go(before, on - RESTRIKE_S)
        for note in leaving:
            self._plan.let_go(note, on - _MOVE_S)
            self._catch(note)
        off = max(end, on + _SHORTEST_S)
        self._plan.add(Planned(pitch=pitch, velocity=velocity, on=on, off=off, end=off))
        return True

    def _leaving(self, holding: Sequence[Planned], pitch: int, on: float) -> list[Planned] | None:
        """Which keys have to be left for this one, as few as may be; None if that does not help."""
        leaving: list[Planned] = []
        kept = list(holding)
        while not within_reach([pitch, *(note.pitch for note in kept)]):
            free = [note for note in kept if note.on + _SHORTEST_S <= on - _MOVE_S]
            if not free:
                return None
            helps = [
                note for note in free if within_reach([pitch, *(other.pitch for other in kept if other is not note)])
            ]
            left = min(helps, key=lambda note: note.end) if helps else min(free, key=lambda note: note.on)
            kept.remove(left)
            leaving.append(left)
        return leaving

    def _catch(self, note: Planned) -> None:
        """The pedal lets a note sound on whose key comes up before its end.

        A pedal that is down already keeps its lift, unless this note's end is nearly there: to wait for every note
        would never lift it.
        """
        if note.end - note.off < _WORTH_S:
            return
        down, foot = note.off - _CATCH_S, self._plan.foot
        if foot is None or down >= foot.up + _LEAST_UP_S:
            self._plan.press(Foot(down=down, up=note.end))
        elif down < foot.up < note.end <= foot.up + _SAME_LIFT_S:
            self._plan.lift(note.end)
