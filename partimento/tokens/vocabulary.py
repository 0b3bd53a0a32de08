"""The vocabulary: declared ranges of tokens, laid end to end and numbered from 0.

A vocabulary is a value that travels with the weights, never a constant of the program: two published ones differ. It
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One property that the tokens of a range spell out, and its values in the order of the tokens."""

    name: str
    values: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Tokens of one kind: the product of the axes, the last one running fastest. No axes: a single token."""

    kind: Kind
    axes: tuple[Axis, ...] = ()

    def __len__(self) -> int:
        return math.prod(len(axis.values) for axis in self.axes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Ranges of tokens laid end to end; a token is its number, counted from 0.

    The columns say what each token means: `kind_of`, `instrument_of`, `pitch_of`, `velocity_of` (uint8 [size]) and
    `ms_of` (int32 [size], durations and onsets), 0 where a property does not apply. `note`, `drum`, `duration` and
    `onset` are half-open token ranges; `drum` is empty in a vocabulary without drums.
    """

    ranges: tuple[Range, ...]
    kind_of: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    instrument_of: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    pitch_of: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    velocity_of: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    ms_of: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    _spans: dict[Kind, tuple[int, int]] = field(init=False, repr=False, compare=False)
    _prefixes: dict[tuple[str, str], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        size = sum(len(r) for r in self.ranges)
        columns: dict[str, npt.NDArray] = {
            name: np.zeros(size, np.uint8) for name in ("instrument_of", "pitch_of", "velocity_of")
        }
        ms_of, kind_of = np.zeros(size, np.int32), np.zeros(size, np.uint8)
        spans: dict[Kind, tuple[int, int]] = {}
        prefixes: dict[tuple[str, str], int] = {}
        first = 0
        for r in self.ranges:
            span = slice(first, first + len(r))
            kind_of[span] = r.kind
            spans[r.kind] = (spans.get(r.kind, (first, first))[0], first + len(r))
            if r.kind == Kind.PREFIX:
                prefixes |= {(r.axes[0].name, str(value)): first + i for i, value in enumerate(r.axes[0].values)}
            shape = [len(axis.values) for axis in r.axes]
            for number, axis in enumerate(r.axes):
                index = np.indices(shape)[number].ravel()
                if axis.name == "ms":
                    ms_of[span] = np.array(axis.values)[index]
                elif axis.name == "instrument":
                    columns["instrument_of"][span] = np.array([INSTRUMENTS.index(str(v)) for v in axis.values])[index]
                elif axis.name in ("pitch", "velocity"):
                    columns[f"{axis.name}_of"][span] = np.array(axis.values)[index]
            first += len(r)
        columns["instrument_of"][kind_of == Kind.DRUM] = DRUM
        columns |= {"ms_of": ms_of, "kind_of": kind_of}
        for name, column in columns.items():
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        object.__setattr__(self, "_spans", spans)
        object.__setattr__(self, "_prefixes", prefixes)

    @classmethod
    @lru_cache(maxsize=1)
    def aria(cls) -> Self:
        """The 17,727 tokens of the published base, generative and embedding models: ten instruments and drums."""
        return cls(ranges=_ranges(INSTRUMENTS[:DRUM], drums=True, metadata=True, extras=()))

    @classmethod
    @lru_cache(maxsize=1)
    def piano(cls) -> Self:
        """The 2,675 tokens of the published live-play model, which our own models use: piano, pedal and delimiter."""
        extras = (Kind.PEDAL_ON, Kind.PEDAL_OFF, Kind.DELIMITER)
        return cls(ranges=_ranges(("piano",), drums=False, metadata=False, extras=extras))

    def __len__(self) -> int:
        return len(self.kind_of)

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.kind_of)

    # -- tokens by what they say
    # -----------------------------------------------------------------------------------------

    def span(self, kind: Kind) -> tuple[int, int]:
        """Half-open range of all tokens of a kind, (0, 0) if the vocabulary has none (prefixes stand in one
        stretch).
        """
        return self._spans.get(kind, (0, 0))

    def _single(self, kind: Kind) -> int | None:
        low, high = self.span(kind)
        return low if high > low else None

    def _required(self, kind: Kind) -> int:
        found = self._single(kind)
        if found is None:
            raise UserError(f"the vocabulary has no {_NAMES[kind]} token")
        return found

    @property
    def start(self) -> int:
        """Id of <S>."""
        return self._required(Kind.START)

    @property
    def end(self) -> int:
        """Id of <E>."""
        return self._required(Kind.END)

    @property
    def pad(self) -> int:
        """Id of <P>."""
        return self._required(Kind.PAD)

    @property
    def unknown(self) -> int:
        """Id of <U>."""
        return self._required(Kind.UNKNOWN)

    @property
    def dim(self) -> int:
        """Id of <D>, which says that about a hundred tokens are left."""
        return self._required(Kind.DIM)

    @property
    def segment(self) -> int:
        """Id of <T>, which begins a new segment of 5,000 ms."""
        return self._required(Kind.SEGMENT)

    @property
    def delimiter(self) -> int | None:
        """Id of <X>, which parts what follows a gap from what leads up to it (`infill.py`)."""
        return self._single(Kind.DELIMITER)

    @property
    def pedal_on(self) -> int | None:
        """Id of <PED_ON>."""
        return self._single(Kind.PEDAL_ON)

    @property
    def pedal_off(self) -> int | None:
        """Id of <PED_OFF>."""
        return self._single(Kind.PEDAL_OFF)

    @property
    def note(self) -> tuple[int, int]:
        """Half-open token range of the notes of all instruments but drums."""
        return self.span(Kind.NOTE)

    @property
    def drum(self) -> tuple[int, int]:
        """Half-open token range of the drums, (0, 0) if there are none."""
        return self.span(Kind.DRUM)

    @property
    def duration(self) -> tuple[int, int]:
        """Half-open token range of the durations."""
        return self.span(Kind.DURATION)

    @property
    def onset(self) -> tuple[int, int]:
        """Half-open token range of the onsets."""
        return self.span(Kind.ONSET)

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
                index = np.unravel_index(token - first, [len(axis.values) for axis in r.axes])
                values = [axis.values[int(i)] for axis, i in zip(r.axes, index, strict=True)]
                return _READABLE[r.kind](r.axes[0].name, values)
            first += len(r)
        raise UserError(f"token {token} lies outside the vocabulary of {self.size} tokens")

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
        return Range(kind=Kind.PREFIX, axes=(Axis(name=group, values=values),))

    def times(kind: Kind, first: int, last: int) -> Range:
        return Range(kind=kind, axes=(Axis(name="ms", values=tuple(range(first, last + 1, GRID_MS))),))

    notes = (
        Axis(name="instrument", values=instruments),
        Axis(name="pitch", values=tuple(range(128))),
        Axis(name="velocity", values=tuple(range(0, 121, 10))),
    )
    specials = (Kind.START, Kind.END, Kind.PAD, Kind.UNKNOWN, Kind.DIM, Kind.SEGMENT)
    described = (prefixes("composer", COMPOSERS), prefixes("form", FORMS), prefixes("genre", GENRES))
    return (
        *(Range(kind=kind) for kind in specials),
        prefixes("instrument", (*instruments, *(("drum",) if drums else ()))),
        *(described if metadata else ()),
        Range(kind=Kind.NOTE, axes=notes),
        *((Range(kind=Kind.DRUM, axes=(Axis(name="pitch", values=tuple(range(35, 82))),)),) if drums else ()),
        times(Kind.DURATION, 0, SEGMENT_MS),
        times(Kind.ONSET, 0, SEGMENT_MS - GRID_MS),
        *(Range(kind=kind) for kind in extras),
    )


def _range_to_dict(r: Range) -> dict[str, Any]:
    def values(axis: Axis) -> Any:
        numbers = axis.values
        if len(numbers) > 2 and isinstance(numbers[0], int) and isinstance(numbers[-1], int):
            step = (numbers[-1] - numbers[0]) // (len(numbers) - 1)
            if step and numbers == tuple(range(numbers[0], numbers[-1] + 1, step)):
                return {"first": numbers[0], "last": numbers[-1], "step": step}
        return list(numbers)

    return {"kind": r.kind.name.lower(), "axes": {axis.name: values(axis) for axis in r.axes}}


def _range_from_dict(item: dict[str, Any]) -> Range:
    def values(declared: Any) -> tuple[int | str, ...]:
        if isinstance(declared, dict):
            return tuple(range(declared["first"], declared["last"] + 1, declared["step"]))
        return tuple(declared)

    axes = tuple(Axis(name=name, values=values(declared)) for name, declared in item["axes"].items())
    return Range(kind=Kind[item["kind"].upper()], axes=axes)
