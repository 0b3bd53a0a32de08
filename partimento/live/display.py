"""A duet as a terminal shows it: whose turn it is, what will be played next, how fast the last answer came.

Knows characters. Refuses to know terminals.

    for line in lines(duet, now): print(line)
"""

from __future__ import annotations

from typing import Final

from partimento.live.duet import Duet, State

COLUMNS: Final = 64
_COLUMN_S: Final = 0.125
_ROWS: Final = ((84, 108), (72, 83), (60, 71), (48, 59), (36, 47), (21, 35))
_NAMES: Final = ("C6-C8", "C5", "C4", "C3", "C2", "A0-B1")


def lines(duet: Duet, now: float) -> list[str]:
    """The state, the next eight seconds of the plan (a number: so many keys go down), and the last answer."""
    return [_state(duet), *roll(duet, now), _last(duet)]


def roll(duet: Duet, now: float) -> list[str]:
    """One line for each octave or so, high to low; a column is an eighth of a second."""
    latest: list[str] = []
    for name, (low, high) in zip(_NAMES, _ROWS, strict=True):
        struck = [0] * COLUMNS
        for note in duet.upcoming:
            column = int((note.on - now) / _COLUMN_S)
            if low <= note.pitch <= high and 0 <= column < COLUMNS:
                struck[column] += 1
        latest.append(f"{name:>6} |" + "".join(str(min(n, 9)) if n else "." for n in struck))
    return latest


def _state(duet: Duet) -> str:
    sign = duet.rules.hand_over.describe()
    return {
        State.LISTENING: f"listening - to hand over, {sign}, or press Enter",
        State.THINKING: "thinking",
        State.PLAYING: "playing - strike any key, or press Enter, and it listens",
        State.UNPLUGGED: "the MIDI cable is out - waiting for it",
    }[duet.state]


def _last(duet: Duet) -> str:
    turn = next((turn for turn in reversed(duet.turns) if turn.sent is not None), None)
    if turn is None or turn.sent is None:
        return ""
    waited = f", waited {turn.slips_s:.1f} s for the model" if turn.slips_s else ""
    return f"last answer: first note after {turn.sent - turn.handed_over:.2f} s, {turn.notes} notes{waited}"
