"""The vocabulary: declared ranges of tokens, laid end to end and numbered from 0.

A vocabulary is a value that travels with the weights, never a constant of the program: the published ones differ. It
knows what each token says; it refuses to know which token may follow which (`grammar.py`) and how notes become tokens
(`tokenizer.py`).

    >>> v = Vocabulary.piano()
    >>> len(v), v.text_of(v.onset[0] + 100)
    (2675, 'onset 1000 ms')
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError
from partimento.midi.instruments import DRUM, INSTRUMENTS

SEGMENT_MS: Final = 5000
GRID_MS: Final = 10

COMPOSERS: Final = (
    "bach", "beethoven", "mozart", "chopin", "rachmaninoff", "liszt", "debussy", "schubert", "brahms", "ravel",
    "satie", "scarlatti",
)  # fmt: skip
FORMS: Final = ("sonata", "prelude", "nocturne", "étude", "waltz", "mazurka", "impromptu", "fugue")
GENRES: Final = ("jazz", "classical")


class Kind(IntEnum):
    """What sort of thing a token says."""

    START = 0
    END = 1
    PAD = 2
    UNKNOWN = 3
    DIM = 4
    SEGMENT = 5
    PREFIX = 6
    NOTE = 7
    DRUM = 8
    DURATION = 9
    ONSET = 10
    PEDAL_ON = 11
    PEDAL_OFF = 12
    DELIMITER = 13


_NAMES = {
    Kind.START: "<S>", Kind.END: "<E>", Kind.PAD: "<P>", Kind.UNKNOWN: "<U>", Kind.DIM: "<D>", Kind.SEGMENT: "<T>",
    Kind.PEDAL_ON: "<PED_ON>", Kind.PEDAL_OFF: "<PED_OFF>", Kind.DELIMITER: "<X>",
}  # fmt: skip


Axis = tuple[str, tuple[int | str, ...]]
"""One property that the tokens of a range spell out, and its values in the order of the tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Tokens of one kind: the product of the axes, the last one running fastest. No axes: a single token."""

    kind: Kind
    axes: tuple[Axis, ...] = ()

    def __len__(self) -> int:
        return math.prod(len(values) for _, values in self.axes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Ranges of tokens laid end to end; a token is its number, counted from 0.

    The columns say what each token means: `kind_of`, `instrument_of`, `pitch_of`, `velocity_of` (uint8 [size]) and
    `ms_of` (int32 [size], durations and onsets), 0 where a property does not apply. `spans` has the half-open range of
    each kind's tokens, also by name: `note`, `drum` ((0, 0) where there are none), `duration`, `onset`. Single tokens
    are `start` <S>, `end` <E>, `pad` <P>, `unknown` <U>, `dim` <D> (about a hundred tokens are left), `segment` <T>
    (another 5,000 ms begin), and what not every vocabulary has: `delimiter` <X> (`infill.py`), `pedal_on`, `pedal_off`.
    """

    ranges: tuple[Range, ...]
    start: int = field(init=False, repr=False, compare=False)
    end: int = field(init=False, repr=False, compare=False)
    pad: int = field(init=False, repr=False, compare=False)
    unknown: int = field(init=False, repr=False, compare=False)
    dim: int = field(init=False, repr=False, compare=False)
    segment: int = field(init=False, repr=False, compare=False)
    delimiter: int | None = field(init=False, repr=False, compare=False)
    pedal_on: int | None = field(init=False, repr=False, compare=False)
    pedal_off: int | None = field(init=False, repr=False, compare=False)
    note: tuple[int, int] = field(init=False, repr=False, compare=False)
    drum: tuple[int, int] = field(init=False, repr=False, compare=False)
    duration: tuple[int, int] = field(init=False, repr=False, compare=False)
    onset: tuple[int, int] = field(init=False, repr=False, compare=False)
    spans: dict[Kind, tuple[int, int]] = field(init=False, repr=False, compare=False)
    kind_of: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    instrument_of: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    pitch_of: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    velocity_of: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    ms_of: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    _prefixes: dict[tuple[str, str], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        size = sum(len(r) for r in self.ranges)
        bytes_ = ("kind_of", "instrument_of", "pitch_of", "velocity_of")
        columns: dict[str, npt.NDArray] = {name: np.zeros(size, np.uint8) for name in bytes_}
        columns["ms_of"] = np.zeros(size, np.int32)
        spans: dict[Kind, tuple[int, int]] = {}
        prefixes: dict[tuple[str, str], int] = {}
        first = 0
        for r in self.ranges:
            place = slice(first, first + len(r))
            columns["kind_of"][place] = r.kind
            spans[r.kind] = (spans.get(r.kind, (first, first))[0], first + len(r))
            shape = [len(values) for _, values in r.axes]
            for number, (name, values) in enumerate(r.axes):
                index = np.indices(shape)[number].ravel()
                if r.kind == Kind.PREFIX:
                    prefixes |= {(name, str(value)): first + i for i, value in enumerate(values)}
                if name == "instrument":
                    columns["instrument_of"][place] = np.array([INSTRUMENTS.index(str(v)) for v in values])[index]
                elif name in ("pitch", "velocity", "ms"):
                    columns[f"{name}_of"][place] = np.array(values)[index]
            first += len(r)
        columns["instrument_of"][columns["kind_of"] == Kind.DRUM] = DRUM
        for name, column in columns.items():
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        for kind in Kind:
            low, high = spans.setdefault(kind, (0, 0))
            if kind in _NAMES and not high and kind not in (Kind.DELIMITER, Kind.PEDAL_ON, Kind.PEDAL_OFF):
                raise UserError(f"the vocabulary has no {_NAMES[kind]} token")
            token = low if high else None
            if kind != Kind.PREFIX:
                object.__setattr__(self, kind.name.lower(), token if kind in _NAMES else (low, high))
        object.__setattr__(self, "spans", spans)
        object.__setattr__(self, "_prefixes", prefixes)

    @classmethod
    @lru_cache(maxsize=1)
    def aria(cls) -> Self:
        """The 17,727 tokens of the published base, generative and embedding models: ten instruments and drums."""
        return cls(ranges=_ranges(INSTRUMENTS[:DRUM], drums=True, metadata=True, extras=()))

    @classmethod
    @lru_cache(maxsize=1)
    def aria_with_pedal(cls) -> Self:
        """The 17,729 tokens of the live-play model as it was published first: those of `aria`, and the pedal."""
        extras = (Kind.PEDAL_ON, Kind.PEDAL_OFF)
        return cls(ranges=_ranges(INSTRUMENTS[:DRUM], drums=True, metadata=True, extras=extras))

    @classmethod
    @lru_cache(maxsize=1)
    def piano(cls) -> Self:
        """The 2,675 tokens of the published live-play model, which our own models use: piano, pedal and delimiter."""
        extras = (Kind.PEDAL_ON, Kind.PEDAL_OFF, Kind.DELIMITER)
        return cls(ranges=_ranges(("piano",), drums=False, metadata=False, extras=extras))

    def __len__(self) -> int:
        return len(self.kind_of)

    @property
    def instruments(self) -> tuple[int, ...]:
        """Instrument classes (indices into `INSTRUMENTS`) that have notes or drums here."""
        sounding = (self.kind_of == Kind.NOTE) | (self.kind_of == Kind.DRUM)
        return tuple(int(i) for i in np.unique(self.instrument_of[sounding]))

    def prefix(self, group: str, value: str) -> int:
        """Id of a prefix such as ("instrument", "piano") or ("composer", "bach"); raises `UserError` if unknown."""
        found = self._prefixes.get((group, value))
        if found is not None:
            return found
        raise UserError(f"the vocabulary has no prefix for {group} {value!r}")

    def note_bases(self) -> npt.NDArray[np.int64]:
        """First note token of each instrument class, -1 where it has none: int64 [len(INSTRUMENTS)]."""
        bases = np.full(len(INSTRUMENTS), -1, np.int64)
        low, high = self.note
        for i in range(high - 1, low - 1, -1):
            bases[self.instrument_of[i]] = i
        return bases

    def text_of(self, token: int) -> str:
        """Readable text of a token; raises `UserError` for a token outside the vocabulary."""
        first = 0
        for r in self.ranges:
            if 0 <= token - first < len(r):
                if r.kind in _NAMES:
                    return _NAMES[r.kind]
                index = np.unravel_index(token - first, [len(values) for _, values in r.axes])
                said = [values[int(i)] for (_, values), i in zip(r.axes, index, strict=True)]
                return _READABLE[r.kind](r.axes[0][0], said)
            first += len(r)
        raise UserError(f"token {token} lies outside the vocabulary of {len(self)} tokens")

    # -- JSON ---------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The declaration as JSON: ranges with their axes, arithmetic runs as first, last and step."""
        return json.dumps([_range_to_dict(r) for r in self.ranges], ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The vocabulary that `to_json` declared; raises `UserError` for anything else."""
        try:
            return cls(ranges=tuple(_range_from_dict(item) for item in json.loads(text)))
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise UserError(f"not a vocabulary: {error!r}") from error


_READABLE: Final[dict[Kind, Callable[[str, list[int | str]], str]]] = {
    Kind.PREFIX: lambda group, values: f"prefix {group} {values[0]}",
    Kind.NOTE: lambda _, values: f"{values[0]} pitch {values[1]} velocity {values[2]}",
    Kind.DRUM: lambda _, values: f"drum {values[0]}",
    Kind.DURATION: lambda _, values: f"duration {values[0]} ms",
    Kind.ONSET: lambda _, values: f"onset {values[0]} ms",
}


def _ranges(
    instruments: tuple[str, ...], *, drums: bool, metadata: bool, extras: tuple[Kind, ...]
) -> tuple[Range, ...]:
    def prefixes(group: str, values: tuple[str, ...]) -> Range:
        return Range(kind=Kind.PREFIX, axes=((group, values),))

    def times(kind: Kind, first: int, last: int) -> Range:
        return Range(kind=kind, axes=(("ms", tuple(range(first, last + 1, GRID_MS))),))

    notes = (
        ("instrument", instruments),
        ("pitch", tuple(range(128))),
        ("velocity", tuple(range(0, 121, 10))),
    )
    specials = (Kind.START, Kind.END, Kind.PAD, Kind.UNKNOWN, Kind.DIM, Kind.SEGMENT)
    described = (prefixes("composer", COMPOSERS), prefixes("form", FORMS), prefixes("genre", GENRES))
    return (
        *(Range(kind=kind) for kind in specials),
        prefixes("instrument", (*instruments, *(("drum",) if drums else ()))),
        *(described if metadata else ()),
        Range(kind=Kind.NOTE, axes=notes),
        *((Range(kind=Kind.DRUM, axes=(("pitch", tuple(range(35, 82))),)),) if drums else ()),
        times(Kind.DURATION, 0, SEGMENT_MS),
        times(Kind.ONSET, 0, SEGMENT_MS - GRID_MS),
        *(Range(kind=kind) for kind in extras),
    )


def _range_to_dict(r: Range) -> dict[str, Any]:
    def short(numbers: tuple[int | str, ...]) -> Any:
        if len(numbers) > 2 and isinstance(numbers[0], int) and isinstance(numbers[-1], int):
            step = (numbers[-1] - numbers[0]) // (len(numbers) - 1)
            if step and numbers == tuple(range(numbers[0], numbers[-1] + 1, step)):
                return {"first": numbers[0], "last": numbers[-1], "step": step}
        return list(numbers)

    return {"kind": r.kind.name.lower(), "axes": {name: short(values) for name, values in r.axes}}


def _range_from_dict(item: dict[str, Any]) -> Range:
    def values(declared: Any) -> tuple[int | str, ...]:
        if isinstance(declared, dict):
            return tuple(range(declared["first"], declared["last"] + 1, declared["step"]))
        return tuple(declared)

    axes = tuple((name, values(declared)) for name, declared in item["axes"].items())
    return Range(kind=Kind[item["kind"].upper()], axes=axes)
