"""What a listening test is: its STUDY.toml as one frozen value, which pairs are compared, by which rules votes count.

Knows fields and what is wrong with them. Refuses to know how clips are made (`make.py`) and what a kind of system can
be told (`evaluate/systems.py`). docs/listening.md explains every field; examples/study.toml is one to begin with.

    study = read_study(Path("STUDY.toml"))
    study.pairs()                       # [("ours", "theirs"), ("ours", "pianists")]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar, Final

from partimento.errors import UserError
from partimento.evaluate.continuation.prompts import Span
from partimento.toml import EXACT, read_toml

PLACEHOLDER: Final = "REPLACE THIS"
"""What stands in the example's consent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Which performances are continued: of `folder` the first `count` (None: all), cut as in 'evaluate continuation'.

    `seconds` is the length of a prompt, `start` where it begins after the first note.
    """

    __pydantic_config__: ClassVar = EXACT

    folder: str
    count: int | None = None
    seconds: float = 15.0
    start: float = 0.0
    labels: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if self.count is not None:
            _within("count", self.count, 1, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """What is heard: a prompt and `seconds` that follow it, `samples` continuations of each, all of them as loud.

    `loudness` in LUFS (ITU-R BS.1770).
    """

    __pydantic_config__: ClassVar = EXACT

    seconds: float = 45.0
    samples: int = 8
    loudness: float = -23.0

    def __post_init__(self) -> None:
        _within("samples", self.samples, 1, 100)
        _within("loudness", self.loudness, -40.0, -14.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """What a listener does: so many comparisons `each`, both clips of which are heard for `least_seconds`."""

    __pydantic_config__: ClassVar = EXACT

    each: int = 8
    least_seconds: float = 10.0

    def __post_init__(self) -> None:
        _within("each", self.each, 1, 200)
        _within("least_seconds", self.least_seconds, 0.0, 600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Who is let in, and whose votes count.

    `headphones` questions of the headphone test of which `headphones_right` must be right, in one of `attempts`; 0: no
    test. Among the comparisons of everybody are so many checks of `attention`; the votes of a listener who got fewer
    than `attention_right` of them right do not count.
    """

    __pydantic_config__: ClassVar = EXACT

    headphones: int = 6
    headphones_right: int = 6
    attempts: int = 2
    attention: int = 2
    attention_right: int = 2

    def __post_init__(self) -> None:
        _within("headphones", self.headphones, 0, 20)
        _within("headphones_right", self.headphones_right, 0, self.headphones)
        _within("attempts", self.attempts, 1, 10)
        _within("attention", self.attention, 0, 10)
        _within("attention_right", self.attention_right, 0, self.attention)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the study is to show, decided before anybody votes.

    `listeners` are expected; the share of wins that would be a difference worth finding is `share`; a share of wins
    within 0.5 -+ `margin` counts as "as good as".
    """

    __pydantic_config__: ClassVar = EXACT

    listeners: int = 46
    share: float = 0.6
    margin: float = 0.1

    def __post_init__(self) -> None:
        _within("listeners", self.listeners, 1, 100_000)
        _within("share", self.share, 0.51, 0.99)
        _within("margin", self.margin, 0.01, 0.45)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All that is decided before the first listener comes. `systems`: tables with `name`, `kind` and what it needs.

    With a `reference` every other system is compared with it and with nothing else; without, all with all. `seed` is of
    everything that is drawn: continuations, checks, and who hears what.
    """

    __pydantic_config__: ClassVar = EXACT

    name: str
    consent: str
    question: str
    criteria: str = ""
    thanks: str = "Thank you for listening."
    reference: str | None = None
    seed: int = 0
    prompts: Prompts
    clips: Clips = field(default_factory=Clips)
    trials: Trials = field(default_factory=Trials)
    checks: Checks = field(default_factory=Checks)
    plan: Plan = field(default_factory=Plan)
    systems: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        for name in ("name", "question"):
            if not getattr(self, name).strip():
                raise UserError(f"{name} is empty; listeners read it")
        if not self.consent.strip() or PLACEHOLDER in self.consent:
            raise UserError(
                "consent is not written yet; say who asks, for what, what is kept and for how long, as your ethics "
                "committee wants it"
            )
        _within("seed", self.seed, 0, 2**53)
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):
            raise UserError(f"systems are {', '.join(self.names) or 'none'}; it takes two or more, of different names")
        if self.reference is not None and self.reference not in self.names:
            raise UserError(f"reference is {self.reference!r}; the systems are {', '.join(self.names)}")
        most = self.clips.samples * (1 if self.reference is not None else len(self.names) // 2)
        most = min(most, len(self.pairs())) * (self.prompts.count or self.trials.each)
        if self.trials.each > most:
            raise UserError(
                f"trials.each is {self.trials.each}; {len(self.pairs())} pairs on {self.prompts.count} prompts, "
                f"{self.clips.samples} samples of each, are {most} comparisons in which nobody hears a clip twice"
            )
        assert self.span.prompt > 0  # `Span` says what is wrong with the seconds

    @property
    def names(self) -> list[str]:
        """The systems, in the file's order."""
        return [str(system.get("name", "")) for system in self.systems]

    @property
    def span(self) -> Span:
        """Where prompts begin and end, and what follows."""
        return Span(start=self.prompts.start, prompt=self.prompts.seconds, seconds=self.clips.seconds)

    def pairs(self) -> list[tuple[str, str]]:
        """What is compared with what, the reference first."""
        if self.reference is None:
            return list(combinations(self.names, 2))
        return [(self.reference, other) for other in self.names if other != self.reference]


def read_study(path: Path) -> Study:
    """The study in a TOML file; raises `UserError` that names the field, its value and the mend."""
    return read_toml(path, Study, what="study")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise UserError(f"{name} is {value}; it must lie in {low:g}..{high:g}")
