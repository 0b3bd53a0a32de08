"""Recipes of selection: which filters with which bounds, how many files of one piece, which splits.

A recipe is everything that decides which files of a survey are trained on. It knows numbers and why they were chosen;
it refuses to know files. The named ones are functions here; one's own is a TOML file with the same fields, for which
`partimento select --show NAME` prints a beginning (docs/corpus.md).

    >>> selection_recipe("pretrain").filters["too-short"]
    30.0

Source: section 3.2 of the paper, which gives the rule about pieces and names the kinds of filters, but no bounds.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from partimento.corpus.selection.quality import FILTERS
from partimento.errors import UserError
from partimento.toml import EXACT, from_table, read_toml, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """The paper's rule against works that everybody records.

    Composers with more than `crowded_above` files that carry an opus or piece number keep at most `per_piece` files of
    each pair of opus and piece number, and lose their files that carry neither. With `every_piece` at most so many stay
    of any piece, whoever wrote it, told by its sound or by a composer's opus and piece number.
    """

    __pydantic_config__: ClassVar = EXACT

    crowded_above: int
    per_piece: int
    every_piece: bool

    def __post_init__(self) -> None:
        """Raises `UserError` for numbers that select nothing."""
        if self.crowded_above < 0:
            raise UserError(f"crowded_above is {self.crowded_above}; it must be 0 or more")
        if self.per_piece < 1:
            raise UserError(f"per_piece is {self.per_piece}; it must be 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Shares of the validation and test splits, the rest trains; `seed` draws which pieces go where.

    With `declared`, a split that a collection declares for a file goes before the draw, for all that belongs with it.
    """

    __pydantic_config__: ClassVar = EXACT

    seed: int
    validation: float
    test: float
    declared: bool

    def __post_init__(self) -> None:
        """Raises `UserError` for shares that leave nothing to train on."""
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed is {self.seed}; it must lie in 0..2^63-1")
        for name in ("validation", "test"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be a share from 0 to below 1")
        if self.validation + self.test >= 1:
            raise UserError(f"validation and test are {self.validation} and {self.test}; together they must be below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRecipe:
    """`filters`: bounds by name of the filter, in `FILTERS`' units. `one_per_performance`: of one performance in
    several files (transposed, re-timed, cut, re-encoded) only one stays. `composition` None: no rule about pieces.
    """

    __pydantic_config__: ClassVar = EXACT

    name: str
    one_per_performance: bool
    filters: Mapping[str, float]
    composition: Composition | None = None
    splits: Splits

    def __post_init__(self) -> None:
        """Raises `UserError` for a name that is no file name, an unknown filter, or a bound that is no number."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise UserError(f"name is {self.name!r}; it names a file, so use letters, digits, '-' and '_'")
        for name, bound in self.filters.items():
            if name not in FILTERS:
                raise UserError(f"filters has {unknown(name, FILTERS)}")
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
                raise UserError(f"filters.{name} is {bound!r}; it must be a number ({FILTERS[name].unit})")

    def to_json(self) -> str:
        """Every field, as stored with a selection."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SelectionRecipe:
        """Reads what `to_json` wrote."""
        return from_table(json.loads(text), SelectionRecipe, what="recipe")

    def to_toml(self) -> str:
        """What `read_recipe` reads, with each filter's side and reason beside it; filters not in use are comments."""
        lines = [f'name = "{self.name}"', f"one_per_performance = {_toml(self.one_per_performance)}", "", "[filters]"]
        for name, filter_ in FILTERS.items():
            bound = f"{name} = {_toml(self.filters[name])}" if name in self.filters else f"# {name} ="
            lines.append(f"{bound:<24} # {filter_.side}, {filter_.unit}: {filter_.reason}")
        for title, section in (("composition", self.composition), ("splits", self.splits)):
            if section is not None:
                fields = (f"{key} = {_toml(value)}" for key, value in dataclasses.asdict(section).items())
                lines += ["", f"[{title}]", *fields]
        return "\n".join(lines) + "\n"


def read_recipe(path: Path) -> SelectionRecipe:
    """The recipe in a TOML file; a `UserError` that names file and field if it is none."""
    return read_toml(path, SelectionRecipe, what="recipe")


def selection_recipe(name: str) -> SelectionRecipe:
    """The recipe of that name, or in the TOML file of that name."""
    if name in RECIPES:
        return RECIPES[name]()
    if name.endswith(".toml"):
        return read_recipe(Path(name))
    raise UserError(f"no recipe is called {name!r}; choose {', '.join(RECIPES)} or a file ending in .toml")


_SPLITS: Final = Splits(seed=1, validation=0.02, test=0.02, declared=True)


def pretrain() -> SelectionRecipe:
    """Broad: only what would teach a model wrong things leaves. At most 10 files of a piece, as in the paper.

    The bounds are those that the authors' published code holds ready, but for density. Theirs (60, 45, 40 and 30 notes
    a second; 10, 8 and 6 of one key) take 34 of 874 recordings from piano competitions: Chopin's op. 25 no. 10, Liszt's
    Mephisto waltz, the repeated notes of Ravel's Alborada. Ours lie above the densest playing in 3,373 recordings of
    competitions and jazz pianists (61, 53, 44 and 35; 10.7, 10.4, 9.2 and 6.0), and below what piano rolls do that no
    hands could (88, 86, 73 and 41).
    """
    return SelectionRecipe(
        name="pretrain",
        one_per_performance=True,
        filters={
            "other-instruments": 0.9,
            "too-short": 30.0,
            "too-long": 7200.0,
            "too-sparse": 1.5,
            "too-dense": 30.0,
            "dense-3s": 70.0,
            "dense-5s": 60.0,
            "dense-10s": 50.0,
            "dense-45s": 40.0,
            "one-key-3s": 15.0,
            "one-key-5s": 12.0,
            "one-key-10s": 10.0,
            "one-key-45s": 7.0,
            "silence": 20.0,
            "few-pitches": 12.0,
            "few-pitches-30s": 5.0,
            "few-pitches-60s": 8.0,
            "few-pitches-120s": 10.0,
            "pitch-entropy": 3.0,
            "duration-entropy": 2.5,
            "too-soft": 20.0,
            "too-loud": 105.0,
            "repetitive": 0.2,
        },
        composition=Composition(crowded_above=250, per_piece=10, every_piece=False),
        splits=_SPLITS,
    )


def finetune() -> SelectionRecipe:
    """Better music, less of it: tighter bounds, one file of any piece, nothing synthesised.

    "We removed all identified compositional duplicates": what is one piece is told by its sound here, which identifies
    more of them than opus and piece numbers do.

    The paper says that bounds are tightened, not how far. These let nearly everything pass that was played in a piano
    competition, with little room beyond. `synthesised`: of 4,993 files that were recorded or transcribed none has more
    than 0.26 of its onsets on a grid, of 1,143 that were sequenced all but 18 have more than 0.4. It sees a written
    beat only; `too-together`, `too-legato` and `too-even` see a machine behind any clock (what they find and what they
    take wrongly: benchmarks/corpus/synthesised.md). `flat-touch`: piano rolls without expression have no touch at all.
    `poor-recording` is for collections with scores (Aria-MIDI).
    """
    base = pretrain()
    tightened = {
        "too-short": 45.0,
        "too-long": 3600.0,
        "too-sparse": 2.0,
        "too-dense": 25.0,
        "dense-3s": 62.0,
        "dense-5s": 54.0,
        "dense-10s": 44.0,
        "dense-45s": 35.0,
        "one-key-3s": 12.0,
        "one-key-5s": 11.0,
        "one-key-10s": 9.5,
        "one-key-45s": 6.5,
        "silence": 10.0,
        "few-pitches": 24.0,
        "pitch-entropy": 3.8,
        "duration-entropy": 3.2,
        "too-soft": 30.0,
        "too-loud": 100.0,
        "flat-touch": 4.0,
        "synthesised": 0.4,
        "too-together": 0.8,
        "too-legato": 0.45,
        "too-even": 0.95,
        "poor-recording": 0.9,
    }
    return dataclasses.replace(
        base,
        name="finetune",
        filters={**base.filters, **tightened},
        composition=Composition(crowded_above=250, per_piece=1, every_piece=True),
    )


def contrastive() -> SelectionRecipe:
    """The fine-tuning data with several performances of a piece, which embeddings are to tell apart (section 4.1).

    The paper relaxes the rule about pieces without saying how far; this takes pretraining's, which caps nothing but the
    crowded composers' pieces.
    """
    return dataclasses.replace(finetune(), name="contrastive", composition=pretrain().composition)


RECIPES: Final[dict[str, Callable[[], SelectionRecipe]]] = {
    "pretrain": pretrain,
    "finetune": finetune,
    "contrastive": contrastive,
}


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
