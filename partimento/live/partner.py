"""The model's side: reads what is certain while the human plays, and answers when asked, one step at a time.

Knows an engine's session, whose cache is kept over the whole evening. Refuses to know threads and clocks: whoever
drives it calls `step` as long as there is something to do, and may give it something else to do between two steps.

    partner = Partner(Engine.load("bundled"), seed=1)
    partner.take(Read(version=1, prompt=prompt))
    while partner.busy:
        made = partner.step()                       # Made(number=..., notes=..., over=...)
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from partimento.live.duet import LEAST_AHEAD_S, Answer, Read
from partimento.midi.columns import Note
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from partimento.generate.engine import Engine
    from partimento.generate.run import Steps

MOST_CANDIDATES: Final = 4
"""A segment of so many is made in less time than it is played in, on one core (benchmarks/live/latency.md)."""
LEADS_S: Final = (0.15, 0.6)
_SPARE: Final = 1.5
_REHEARSALS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The next notes of an answer, perhaps none yet; `over`: there are no more."""

    number: int
    notes: tuple[Note, ...]
    over: bool


class Partner:
    """See the module. Used by one thread at a time."""

    def __init__(self, engine: Engine, *, candidates: int | None = None, seed: int = 0) -> None:
        """`candidates` as in `Settings`; by default the model's own, but at most 4.

        An answer that the music had to wait for is followed by one with half as many.
        """
        own = min(engine.abilities.candidates, MOST_CANDIDATES)
        self._settings = engine.settings(candidates=own if candidates is None else candidates, seed=seed)
        self._most = self._candidates = self._settings.candidates or 1
        self._session = engine.session(_OPENING)
        self._task: Read | Answer | None = None
        self._steps: Steps | None = None
        self.version = 0
        """Of what it was given last."""

    @property
    def busy(self) -> bool:
        """Whether there is something to do."""
        return self._task is not None

    @property
    def answering(self) -> int | None:
        """The number of the answer in the making."""
        return self._task.number if isinstance(self._task, Answer) else None

    def take(self, task: Read | Answer) -> None:
        """Does this from now on, and nothing else any more."""
        self.drop()
        self._task, self.version = task, task.version

    def drop(self) -> None:
        """Does nothing any more."""
        if self._steps is not None:
            self._steps.close()
        self._task = self._steps = None

    def step(self) -> Made | None:
        """One step of what there is to do: reads all that is new, or goes on by one token."""
        task = self._task
        if task is None:
            return None
        if isinstance(task, Read):
            self._session.replace(task.prompt)
            self._task = None
            return None
        if self._steps is None:
            self._candidates = self._candidates // 2 if task.slipped else self._candidates + 1
            self._candidates = min(max(self._candidates, 1), self._most)
            seed = self._settings.seed + task.number
            settings = dataclasses.replace(self._settings, seconds=task.seconds, seed=seed, candidates=self._candidates)
            self._steps = self._session.answer(
                task.prompt, from_seconds=task.from_seconds, held=task.held, settings=settings
            )
        decided = next(self._steps, None)
        if decided is None:
            self.drop()
        return Made(number=task.number, notes=tuple(note for _, note in decided or ()), over=decided is None)

    def rehearse(self) -> float:
        """How long after a hand-over an answer should begin (s): so that its first note is there, with time to spare.

        Some answers to an opening are made for it, which also warms up whatever is slow at first.
        """
        slowest = 0.0
        for number in range(1, _REHEARSALS + 1):
            self.take(Read(version=0, prompt=_OPENING.slice_notes(0, len(_OPENING) - 3)))
            self.step()
            began = time.perf_counter()
            end = _OPENING.seconds
            self.take(Answer(version=0, number=number, prompt=_OPENING, held=(21, 22, 23), from_seconds=end, seconds=2))
            while (made := self.step()) is not None and not made.notes and not made.over:
                pass
            if number > 1:  # the first one is slow
                slowest = max(slowest, time.perf_counter() - began)
            self.drop()
        return min(max(_SPARE * slowest + LEAST_AHEAD_S, LEADS_S[0]), LEADS_S[1])


def _opening() -> Performance:
    """Eight broken chords, the last one held."""
    chords = ((48, 64, 67), (45, 64, 69), (53, 65, 69), (43, 62, 71)) * 2
    pitches = [pitch for chord in chords for pitch in chord]
    onsets = [0.5 * at + 0.12 * voice for at in range(len(chords)) for voice in range(3)]
    return Performance.from_notes(pitch=pitches, velocity=64, onset=onsets, duration=0.45)


_OPENING: Final = _opening()
