"""Systems that go on where a prompt ends: the kinds that a TOML file can name, a line in `KINDS` for each.

A system is asked for its k-th continuation of a prompt, and answers with notes or with sound. `evaluate continuation`
measures those that answer with notes, `listen make` lets all be heard. Knows models, folders, pianists and the
baselines. Refuses to know what becomes of the answer.

    for system in systems_of(study.systems, base=Path("folder of STUDY.toml")):
        music = system.continuation(prompt, study.span, sample=0, seed=study.seed)

Another kind is a frozen dataclass with the fields of its table and the methods of `System`, and a line in `KINDS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self

import numpy as np

from partimento.errors import UserError
from partimento.evaluate.baselines import floors
from partimento.evaluate.continuation.prompts import Prompt, Span
from partimento.evaluate.folders import AudioFolder, MidiFolder, Played
from partimento.toml import EXACT, from_table, read_toml, unknown

if TYPE_CHECKING:
    from partimento.evaluate.baselines.anticipatory import Anticipatory

LEAST_PIECES: Final = 8
"""Fewer are in their own order too often."""


class System(Protocol):
    """What can be asked to go on where a prompt ends."""

    @property
    def name(self) -> str:
        """As tables call it; listeners never see it."""

    def under(self, base: Path) -> Self:
        """The same with its paths seen from the folder of STUDY.toml."""

    def samples(self, most: int) -> int:
        """How many continuations of a prompt there are, at most so many."""

    def identity(self, prompt: Prompt, *, sample: int) -> str:
        """What decides the continuation and does not stand in STUDY.toml; `UserError` where it cannot be had."""

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:
        """The continuation, from `span.prompt` to `span.end`; what is beyond is cut off. The same for the same seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One of our models: bundled, a file, a folder, or one of the hub, at any settings.

    `sampling` changes fields of the model's own (temperature, min_p, top_p, time_temperature, cut_times).
    """

    __pydantic_config__: ClassVar = EXACT

    name: str
    kind: str = "model"
    model: str = "bundled"
    engine: str = "auto"
    candidates: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)

    def under(self, base: Path) -> Self:
        """A path beside STUDY.toml; other names stay."""
        beside = base / self.model
        return replace(self, model=str(beside)) if beside.exists() else self

    def samples(self, most: int) -> int:
        """As many as are wanted."""
        return most

    def identity(self, prompt: Prompt, *, sample: int) -> str:  # noqa: ARG002
        """The content of the model."""
        return _model_key(self.model)

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:
        """Continued; the seed of sample k is the study's plus k."""
        from partimento.generate.settings import Settings

        engine = _engine(self.model, self.engine)
        own = engine.abilities.sampling
        for name in self.sampling:
            if name not in own.__dataclass_fields__:
                raise UserError(f"systems.{self.name}.sampling has {unknown(name, own.__dataclass_fields__)}")
        settings = Settings(
            seconds=span.seconds, seed=seed + sample, sampling=replace(own, **self.sampling), candidates=self.candidates
        )
        (made,) = engine.continue_(prompt.given, settings=settings, from_seconds=span.prompt)
        return made.generated


@dataclass(frozen=True, slots=True, kw_only=True)
class Pianists:
    """How the pianist went on: one continuation of each prompt."""

    __pydantic_config__: ClassVar = EXACT

    name: str
    kind: str = "pianists"

    def under(self, base: Path) -> Self:  # noqa: ARG002
        """Nothing to find."""
        return self

    def samples(self, most: int) -> int:  # noqa: ARG002
        """There is one."""
        return 1

    def identity(self, prompt: Prompt, *, sample: int) -> str:  # noqa: ARG002
        """Nothing but the prompt's file."""
        return prompt.sha256

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:  # noqa: ARG002
        """The notes that were played."""
        return prompt.music.slice_time(span.prompt, span.end).shift(span.prompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled(Pianists):
    """A control: what the pianist played, cut into pieces of `seconds`, which follow each other in random order."""

    kind: str = "shuffled"
    seconds: float = 2.0

    def __post_init__(self) -> None:
        if not 0.05 <= self.seconds <= 60:
            raise UserError(f"seconds is {self.seconds}; it must lie in 0.05..60")

    def samples(self, most: int) -> int:
        """As many orders as are wanted."""
        return most

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:
        """The same notes and pedal, elsewhere."""
        pieces = int(span.seconds / self.seconds)
        if pieces < LEAST_PIECES:
            raise UserError(
                f"systems.{self.name}.seconds is {self.seconds:g}; what follows a prompt must be {LEAST_PIECES} pieces"
            )
        each = span.seconds / pieces
        order = np.random.default_rng([seed, sample, int(prompt.sha256, 16)]).permutation(pieces)
        cuts = [prompt.music.slice_time(span.prompt + each * k, span.prompt + each * (k + 1)) for k in order.tolist()]
        played = cuts[0].shift(span.prompt)
        for place, cut in enumerate(cuts[1:], start=1):
            played = played.merge(cut.shift(span.prompt + each * place))
        return played


@dataclass(frozen=True, slots=True, kw_only=True)
class Again(Pianists):
    """A floor: the prompt over and over."""

    kind: str = "again"

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:  # noqa: ARG002
        """The prompt's notes and pedal."""
        return floors.again(prompt.given, start=span.prompt, end=span.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Markov(Pianists):
    """A floor: a Markov chain of the prompt's notes, of an `order`."""

    kind: str = "markov"
    order: int = 2

    def samples(self, most: int) -> int:
        """As many as are wanted."""
        return most

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:
        """What the chain draws; the seed of sample k is the study's plus k."""
        chain = floors.Markov(order=self.order)
        return chain.continuation(prompt.given, start=span.prompt, end=span.end, seed=seed + sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnticipatoryMusicTransformer:
    """The Anticipatory Music Transformer with the published weights in `folder` (`baselines/anticipatory.py`)."""

    __pydantic_config__: ClassVar = EXACT

    name: str
    kind: str = "anticipatory"
    folder: str
    top_p: float = 0.98
    device: str = "cpu"

    def under(self, base: Path) -> Self:
        """The folder beside the TOML file."""
        return replace(self, folder=str(base / self.folder))

    def samples(self, most: int) -> int:
        """As many as are wanted."""
        return most

    def identity(self, prompt: Prompt, *, sample: int) -> str:  # noqa: ARG002
        """The content of its weights."""
        return _weights_key(self.folder)

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:
        """What it draws; the seed of sample k is the study's plus k."""
        model = _anticipatory(self.folder, self.top_p, self.device)
        return model.continuation(prompt.given, start=span.prompt, end=span.end, seed=seed + sample)


KINDS: Final[dict[str, type[System]]] = {
    "model": Model,
    "anticipatory": AnticipatoryMusicTransformer,
    "midi": MidiFolder,
    "audio": AudioFolder,
    "pianists": Pianists,
    "shuffled": Shuffled,
    "again": Again,
    "markov": Markov,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Systems:
    """A TOML file of systems alone: tables `systems` with `name`, `kind` and what it needs."""

    __pydantic_config__: ClassVar = EXACT

    systems: tuple[Mapping[str, Any], ...]


def read_systems(path: Path) -> list[System]:
    """The systems of a TOML file; raises `UserError` that names the field, its value and the mend."""
    systems = systems_of(read_toml(path, Systems, what="systems").systems, path.parent)
    names = [system.name for system in systems]
    if not names or len(set(names)) < len(names):
        raise UserError(f"{path}: systems are {', '.join(names) or 'none'}; it takes one or more, of different names")
    return systems


def systems_of(tables: Sequence[Mapping[str, Any]], base: Path) -> list[System]:
    """The systems of tables whose paths start at `base`; raises `UserError` for a table that is none."""
    return [_system(table, base) for table in tables]


def _system(table: Mapping[str, Any], base: Path) -> System:
    kind = table.get("kind")
    if kind not in KINDS:
        raise UserError(f"systems.{table.get('name')}.kind: {unknown(str(kind), KINDS)}")
    return from_table(table, KINDS[kind], what=f"systems.{table.get('name')}").under(base)


@cache
def _model_key(model: str) -> str:
    from partimento.evaluate.continuation.run import model_key

    return model_key(model)


@cache
def _engine(model: str, engine: str) -> Any:
    from partimento.generate.engine import Engine

    return Engine.load(model, engine=engine)


@cache
def _anticipatory(folder: str, top_p: float, device: str) -> Anticipatory:
    from partimento.evaluate.baselines.anticipatory import Anticipatory

    return Anticipatory.load(folder, top_p=top_p, device=device)


@cache
def _weights_key(folder: str) -> str:
    found = sorted(path for path in Path(folder).glob("*") if path.suffix in (".safetensors", ".bin"))
    if not found:
        raise UserError(f"{folder} holds no weights (.safetensors or .bin)")
    together = hashlib.sha256()
    for path in found:
        with path.open("rb") as file:
            together.update(hashlib.file_digest(file, "sha256").digest())
    return together.hexdigest()
