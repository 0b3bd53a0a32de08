"""What can be asked of a continuation or of what fills a gap, and what comes back.

Settings(seconds=45.0, variations=3, end=True, sampling=Sampling(temperature=0.9))
Guidance(weight=2.0)

Shape legend: B rows, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.generate.decode.sampling import Sampling
from partimento.midi.columns import Note
from partimento.midi.pedalling import pedalled
from partimento.midi.performance import Performance

MOST_VARIATIONS = 64
MOST_SECONDS = 24 * 3600.0
MOST_GUIDANCE = 10.0
MOST_CANDIDATES = 64
WISH = (0.25, 4.0)
"""Smallest and largest factor that a wish may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the music should be like, as factors of what the prompt is like; 1 is: as the prompt.

    `density`: notes per second. `loudness`: mean velocity. A search over candidates grants them, as far as the model
    offers what is wished for; without a search they are refused.
    """

    density: float = 1.0
    loudness: float = 1.0

    def __post_init__(self) -> None:
        for name in ("density", "loudness"):
            value = getattr(self, name)
            if not WISH[0] <= value <= WISH[1]:
                raise UserError(f"{name} must lie in {WISH[0]:g}..{WISH[1]:g} times the prompt's, not {value}")


AS_THE_PROMPT = Wishes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Give `seconds` (notes start less than that after the prompt) or `notes` (exactly so many); default 45 s.

    `end` brings the piece to a close near that length: within 20 % of it the model ends the piece by itself, or it is
    stopped there. `variation` k of a seed is the same music whatever the number of `variations`. `candidates`: of so
    many, the best is kept, a few seconds at a time (`decode/search.py`); 1 samples exactly what the model says. Without
    `sampling` or `candidates` the model's own are used (`abilities.py`).
    """

    seconds: float | None = None
    notes: int | None = None
    end: bool = False
    seed: int = 0
    variations: int = 1
    sampling: Sampling | None = None
    candidates: int | None = None
    wishes: Wishes = AS_THE_PROMPT

    def __post_init__(self) -> None:
        if self.seconds is not None and self.notes is not None:
            raise UserError("give a length in seconds or in notes, not both")
        if self.seconds is None and self.notes is None:
            object.__setattr__(self, "seconds", 45.0)
        if self.seconds is not None and not (math.isfinite(self.seconds) and 0 < self.seconds <= MOST_SECONDS):
            raise UserError(f"seconds must lie above 0 and at most at {MOST_SECONDS:.0f}, not {self.seconds}")
        if self.notes is not None and not 0 < self.notes <= 1_000_000:
            raise UserError(f"notes must lie in 1..1000000, not {self.notes}")
        if not 1 <= self.variations <= MOST_VARIATIONS:
            raise UserError(f"variations must lie in 1..{MOST_VARIATIONS}, not {self.variations}")
        if self.seed < 0:
            raise UserError(f"a seed must be 0 or more, not {self.seed}")
        if self.candidates is not None and not 1 <= self.candidates <= MOST_CANDIDATES:
            raise UserError(f"candidates must lie in 1..{MOST_CANDIDATES}, not {self.candidates}")
        if self.candidates == 1 and self.wishes != AS_THE_PROMPT:
            raise UserError("a wish needs candidates to choose from; give 2 or more")

    @classmethod
    def of(cls, own: Sampling, **asked: Any) -> Self:
        """Settings by the names of their fields, and of those of `Sampling` and `Wishes`; None counts as not given.

        What is not asked for of the sampling is as in `own`. Raises `UserError` for any other name.
        """
        given = {name: value for name, value in asked.items() if value is not None}
        drawn, wished, ours = (
            {f.name: given.pop(f.name) for f in fields(kind) if f.name in given} for kind in (Sampling, Wishes, cls)
        )
        if given:
            names = [f.name for kind in (cls, Sampling, Wishes) for f in fields(kind)]
            raise UserError(f"there is no setting {next(iter(given))!r}; there are {', '.join(names)}")
        sampling = replace(ours.pop("sampling", own), **drawn)
        wishes = replace(ours.pop("wishes", AS_THE_PROMPT), **wished)
        return cls(**ours, sampling=sampling, wishes=wishes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Classifier-free guidance: logits are g * with the reference + (1 - g) * without it.

    g rises linearly to `weight` over the first `ramp` tokens (0: it is there at once). At 1 the model just goes by the
    reference, at 0 not at all; above 1 what the reference makes likelier becomes likelier still. `ramp` is that of the
    published models. J. Ho, T. Salimans, "Classifier-Free Diffusion Guidance", 2022.
    """

    weight: float = 1.0
    ramp: int = 250

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and 0 <= self.weight <= MOST_GUIDANCE):
            raise UserError(f"guidance must lie in 0..{MOST_GUIDANCE:.0f}, not {self.weight}")
        if self.ramp < 0:
            raise UserError(f"guidance cannot rise over {self.ramp} tokens; give 0 or more")

    def at(self, chosen: int) -> float:
        """g where `chosen` tokens have been chosen before this one."""
        return self.weight * min(1.0, (chosen + 1) / self.ramp) if self.ramp else self.weight

    def mix(self, logits_2BV: NDArray[np.float32], chosen: int) -> NDArray[np.float32]:
        """Logits [B, V] out of B rows with the reference and, behind them, the same rows without it."""
        with_BV, without_BV = np.split(logits_2BV, 2)
        g = np.float32(self.at(chosen))
        return g * with_BV + (1 - g) * without_BV


GeneratedNote = Note
"""A new note has its seconds on the prompt's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds until the model has read the prompt and until the first note; tokens of all variations per second.

    `draft_accepted`: of the tokens that a draft proposed and the model looked at, the share that it accepted.
    """

    prefill_s: float
    first_note_s: float | None
    tokens_per_s: float
    draft_accepted: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """One variation. `performance` is the whole, `given` what was there before, `generated` the new notes and pedal
    alone, all on one clock.

    `tokens` spell the whole in the model's vocabulary, what was given first (`prompt_tokens` of them); `retries` says
    how often a loop was taken back, `fallback` in plain words what there is in place of what could not be had, or None.
    `ended`: where an ending was asked for, whether the model came to one by itself, or was stopped at the last moment
    (None: no ending was asked for). `filled`: start and end of the gap in seconds, None for a continuation.
    """

    performance: Performance
    given: Performance
    generated: Performance
    tokens: tuple[int, ...]
    prompt_tokens: int
    retries: int
    fallback: str | None = None
    ended: bool | None = None
    timings: Timings
    filled: tuple[float, float] | None = None

    def __repr__(self) -> str:
        kind = "Continuation" if self.filled is None else f"Filling of {self.filled[0]:g}-{self.filled[1]:g} s"
        whole = f"{len(self.performance)} notes, {self.performance.seconds:.2f} s in all"
        return f"<{kind} of {self.performance.source.name!r}: {len(self.generated)} new notes, {whole}>"

    def _repr_html_(self) -> str:
        """In a notebook: the piano roll in two colours, and the sound of a minute."""
        return self.performance._repr_html_(self.edges)

    def with_pedal(self) -> Continuation:
        """The same, played by hands and a foot: new keys of playable length and a pedal that sound as long as before.

        For models that fold the pedal into durations (`Abilities.pedal_tokens` is false); what was given stays as it
        is. docs/midi.md says how.
        """
        generated = pedalled(self.generated, beside=self.given)
        return replace(self, performance=self.given.merge(generated), generated=generated)

    def music(self, *, alone: bool = False) -> Performance:
        """The whole; or the new notes alone, beginning at once."""
        if not alone:
            return self.performance
        return self.generated.shift(-float(self.generated.onset_seconds[0])) if len(self.generated) else self.generated

    def write_midi(self, path: str | PathLike[str], *, alone: bool = False) -> None:
        """Write a MIDI file of the whole, or of the new notes alone."""
        self.music(alone=alone).write_midi(path)

    @property
    def edges(self) -> tuple[float | None, float | None]:
        """Seconds at which the new notes begin, and at which a gap ends; None where there is no such moment."""
        return self.filled or (float(self.generated.onset_seconds[0]) if len(self.generated) else None, None)

    def draw(self, path: str | PathLike[str], *, alone: bool = False) -> None:
        """A piano roll as PNG, with a line where the new notes begin, and where a gap ends."""
        from partimento.midi.picture import draw_piano_roll

        title = f"{Path(self.performance.source.name).stem}, {'filled' if self.filled else 'continued'}"
        draw_piano_roll(self.music(alone=True) if alone else self, path, title=title)

    @property
    def notes_per_s(self) -> float:
        """New notes made per second, of all variations together, if all have as many tokens to a note as this one."""
        tokens = len(self.tokens) - self.prompt_tokens
        return self.timings.tokens_per_s * len(self.generated) / max(tokens, 1)

    def facts(self) -> dict[str, Any]:
        """What there is to say of it, as JSON values."""
        return {
            "notes": len(self.generated),
            "retries": self.retries,
            "fallback": self.fallback,
            "prompt_tokens": self.prompt_tokens,
            "tokens": list(self.tokens),
            "timings": asdict(self.timings),
        }
