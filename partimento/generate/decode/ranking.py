"""Which of several candidates goes on most as a pianist would, after this prompt.

A model that feeds on itself drifts: denser, shorter, out of the key, into loops. Pianists move too, but by known
amounts: `MOVES` says how far five seconds depart from what the prompt and the five seconds before let one expect
(benchmarks/generate/pianists.md). A candidate costs half the sum of its squared departures in those units. It only
compares notes; it knows neither models nor how candidates come about.

    ranking = Ranking(notes_of(vocabulary, prompt_events, 15.0), AS_THE_PROMPT)
    cost = ranking.cost(notes_of(vocabulary, all_events, 20.0))

Shape legend: N notes, C pitch classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from partimento.generate.prompt.events import Event
from partimento.generate.settings import Wishes
from partimento.midi.descriptors import Stretch
from partimento.tokens.vocabulary import Vocabulary

WINDOW_S: Final = 5.0
PULSE_WINDOW_S: Final = 12.0
REFERENCE_S: Final = 30.0
"""How much of the end of a prompt says what it is like."""
LEAST_NOTES: Final = 8
"""A prompt of fewer notes says nothing; pianists in general stand for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """How a pianist's five seconds follow those before.

    They keep the share `kept` of what those departed from the prompt, give or take `spread`. `usual` stands for a
    prompt that is too short to say.
    """

    kept: float
    spread: float
    usual: float


MOVES: Final = {
    "density": Move(kept=0.69, spread=0.32, usual=math.log(6.6)),
    "duration": Move(kept=0.65, spread=0.60, usual=math.log(0.55)),
    "velocity": Move(kept=0.67, spread=7.4, usual=60.0),
}
CHORD_S: Final = 0.05
LAST_CHORD: Final = Move(kept=0.0, spread=0.9, usual=math.log(2.0))
"""How long the last chord of a piece sounds."""
USUAL_COSINE: Final = 0.82
COSINE_SPREAD: Final = 0.12
PULSE_SPREAD: Final = 0.21
USUAL_GAIN: Final = 0.1
GAIN_SPREAD: Final = 0.3
"""Of the logarithm of how many different pitches are struck: a pianist goes on to more of them."""
USUAL_REPETITION: Final = 0.03
REPETITION_SPREAD: Final = 0.07

_FEATURES: Final[dict[str, Callable[[Stretch], float]]] = {
    "density": lambda stretch: math.log(stretch.density + 0.2),
    "duration": lambda stretch: math.log(max(stretch.median_duration, 0.01)),
    "velocity": lambda stretch: stretch.mean_velocity,
}


def notes_of(vocabulary: Vocabulary, events: Sequence[Event], end: float) -> Stretch:
    """The notes of events on the model's clock, from its start to `end`, in seconds."""
    notes = [(e.head, e.ms, e.duration) for e in events if e.duration is not None]
    heads_N, ms_N, lengths_N = np.array(notes, np.int64).reshape(-1, 3).T
    onset = ms_N / 1000
    return Stretch(
        start=0.0,
        end=end,
        onset=onset,
        duration=vocabulary.ms_of[lengths_N] / 1000,
        pitch=vocabulary.pitch_of[heads_N].astype(np.int64),
        velocity=vocabulary.velocity_of[heads_N].astype(np.int64),
    )


def between(notes: Stretch, start: float, end: float) -> Stretch:
    """The part of a stretch whose notes begin in [start, end)."""
    first, last = np.searchsorted(notes.onset, [start, end])
    columns = {name: getattr(notes, name)[first:last] for name in ("onset", "duration", "pitch", "velocity")}
    return replace(notes, start=start, end=end, **columns)


class Ranking:
    """Costs of candidates that go on from one prompt; lower is better."""

    def __init__(self, prompt: Stretch, wishes: Wishes) -> None:
        """`prompt` begins at its first note and ends where lengths count from."""
        whole = between(prompt, max(prompt.start, prompt.end - REFERENCE_S), prompt.end)
        self._heard = len(whole) >= LEAST_NOTES and whole.seconds > 1.0
        self._begin = prompt.start
        usual = {name: move.usual for name, move in MOVES.items()}
        self._reference = {name: of(whole) for name, of in _FEATURES.items()} if self._heard else usual
        self._reference["density"] += math.log(wishes.density)
        self._reference["velocity"] *= wishes.loudness
        self._pitch_classes_C = whole.pitch_classes
        latest = between(prompt, max(prompt.start, prompt.end - PULSE_WINDOW_S), prompt.end)
        self._pulse, self._pitches = latest.pulse, latest.distinct_pitches
        self._repetition = max(USUAL_REPETITION, whole.repetition)

    def cost(self, notes: Stretch) -> float:
        """What it costs to go on so that the music up to the end of these notes is this."""
        until = notes.end
        latest = between(notes, max(self._begin, until - WINDOW_S), until)
        before = between(notes, max(self._begin, until - 2 * WINDOW_S), max(self._begin, until - WINDOW_S))
        squares = sum(self._departure(name, latest, before) ** 2 for name in MOVES)
        if self._heard:
            cosine = float(latest.pitch_classes @ self._pitch_classes_C)
            squares += max(0.0, (USUAL_COSINE - cosine) / COSINE_SPREAD) ** 2
            window = between(notes, max(self._begin, until - PULSE_WINDOW_S), until)
            lost = math.log((self._pulse + 0.05) / (window.pulse + 0.05))
            squares += max(0.0, lost / PULSE_SPREAD) ** 2
            gained = math.log((window.distinct_pitches + 1) / (self._pitches + 1))
            squares += ((gained - USUAL_GAIN) / GAIN_SPREAD) ** 2
            squares += max(0.0, (window.repetition - self._repetition) / REPETITION_SPREAD) ** 2
        return 0.5 * squares

    def ending_cost(self, notes: Stretch) -> float:
        """What it costs to end with these notes: as `cost`, and how far the last chord's length is from usual."""
        last = notes.duration[notes.onset >= notes.onset.max(initial=0.0) - CHORD_S]
        length = math.log(max(last.max(initial=0.0), 0.01))
        return self.cost(notes) + 0.5 * ((length - LAST_CHORD.usual) / LAST_CHORD.spread) ** 2

    def _departure(self, name: str, latest: Stretch, before: Stretch) -> float:
        """How far a feature lies from what was to be expected, in a pianist's spreads."""
        move, of, reference = MOVES[name], _FEATURES[name], self._reference[name]
        expected = reference
        if len(before) >= LEAST_NOTES // 2:
            expected += move.kept * (of(before) - reference)
        if not len(latest):
            return 3.0 if name != "density" else (of(latest) - expected) / move.spread
        return (of(latest) - expected) / move.spread
