"""The messages of the studio's WebSocket: what a client may ask, what it is told (docs/studio.md).

Knows how messages are spelt and what may stand in them. Refuses to know connections, engines and the order in which
things happen.

    match parse(text):                                  # ProtocolError says what is wrong
        case Continue(id=id_, prompt=prompt, settings=settings): ...
    text = encode(State(id="a1", state="queued", place=3, seconds=20.0))
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.settings import WISH, Settings, Wishes
from partimento.midi.performance import Performance
from partimento.studio import music
from partimento.studio.fields import Fields, ProtocolError

VERSION: Final = 1
MOST_VARIATIONS: Final = 8
MOST_CANDIDATES: Final = 16
MOST_SECONDS: Final = 600.0
MOST_TEMPERATURE: Final = 5.0
MOST_SEED: Final = 2**53 - 1  # the largest integer that a browser's numbers hold exactly

# -- what a client asks -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSettings:
    """How a take is to be made; None stands for what the model's own file says."""

    seconds: float = 30.0
    seed: int = 0
    variations: int = 1
    candidates: int | None = None
    temperature: float | None = None
    min_p: float | None = None
    end: bool = False
    density: float = 1.0
    loudness: float = 1.0

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Raises `ProtocolError` for what is out of range or unknown."""
        least, most = WISH
        settings = cls(
            seconds=fields.number("seconds", low=0.1, high=MOST_SECONDS, default=30.0),
            seed=fields.whole("seed", low=0, high=MOST_SEED, default=0),
            variations=fields.whole("variations", low=1, high=MOST_VARIATIONS, default=1),
            candidates=fields.whole("candidates", low=1, high=MOST_CANDIDATES, default=None),
            temperature=fields.number("temperature", low=0, high=MOST_TEMPERATURE, default=None),
            min_p=fields.number("min_p", low=0, high=1, default=None),
            end=fields.flag("end", default=False),
            density=fields.number("density", low=least, high=most, default=1.0),
            loudness=fields.number("loudness", low=least, high=most, default=1.0),
        )
        fields.nothing_else()
        return settings

    def for_engine(self, abilities: Abilities) -> Settings:
        """What the engine is asked, with the model's own values where none are given."""
        given = abilities.sampling
        sampling = dataclasses.replace(
            given,
            temperature=given.temperature if self.temperature is None else self.temperature,
            min_p=given.min_p if self.min_p is None else self.min_p,
        )
        return Settings(
            seconds=self.seconds,
            end=self.end,
            seed=self.seed,
            variations=self.variations,
            sampling=sampling,
            candidates=abilities.candidates if self.candidates is None else self.candidates,
            wishes=Wishes(density=self.density, loudness=self.loudness),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is given: the music itself, or the number of a file that was uploaded; `end` (s) cuts either."""

    music: Performance | None = None
    performance: str | None = None
    end: float | None = None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Raises `ProtocolError` unless there is exactly one of the two."""
        performance = fields.word("performance", default=None)
        given = music.read_music(fields) if "notes" in fields else None
        if (performance is None) == (given is None):
            raise ProtocolError("prompt needs either performance, the name of an upload, or notes", field="prompt")
        end = fields.number("end", low=0, high=music.MOST_SECONDS, default=None)
        fields.nothing_else()
        return cls(music=given, performance=performance, end=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """Go on behind the prompt. `heard` says that somebody listens, who has come to that second.

    `at_once`: somebody plays in turns; the first note comes at the prompt's end, or at most 0.4 s later.
    """

    id: str
    prompt: Prompt
    settings: TakeSettings
    heard: float | None = None
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Take out what begins in [start, end) seconds and make it anew.

    Of the settings, length, candidates and wishes do not count.
    """

    id: str
    prompt: Prompt
    start: float
    end: float
    settings: TakeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Who plays in turns has played this so far, all of it ended: it can be read before an answer is asked for."""

    id: str
    prompt: Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End the take; what there is of it stays."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The listener of a take has come to this second of it."""

    id: str
    seconds: float


Request = Continue | Fill | Read | Stop | Heard


def parse(text: str | bytes) -> Request:
    """One message of a client. Raises `ProtocolError`, which names the field, its value and what it may be."""
    fields = Fields.of_text(text)
    kind, id_ = fields.word("type"), fields.word("id")
    try:
        return _request(kind, id_, fields)
    except UserError as error:
        raise ProtocolError(str(error), field=getattr(error, "field", None), id_=id_) from None


def _request(kind: str, id_: str, fields: Fields) -> Request:
    request: Request
    if kind == "continue":
        request = Continue(
            id=id_,
            prompt=Prompt.read(fields.object("prompt")),
            settings=TakeSettings.read(fields.object("settings", optional=True)),
            heard=fields.number("heard", low=0, high=2 * music.MOST_SECONDS, default=None),
            at_once=fields.flag("at_once", default=False),
        )
    elif kind == "fill":
        request = Fill(
            id=id_,
            prompt=Prompt.read(fields.object("prompt")),
            start=fields.number("start", low=0, high=music.MOST_SECONDS),
            end=fields.number("end", low=0, high=music.MOST_SECONDS),
            settings=TakeSettings.read(fields.object("settings", optional=True)),
        )
    elif kind == "read":
        request = Read(id=id_, prompt=Prompt.read(fields.object("prompt")))
    elif kind == "stop":
        request = Stop(id=id_)
    elif kind == "heard":
        request = Heard(id=id_, seconds=fields.number("seconds", low=0, high=2 * music.MOST_SECONDS))
    else:
        raise ProtocolError(f"type must be continue, fill, read, stop or heard, not {kind!r}", field="type")
    fields.nothing_else()
    return request


# -- what a client is told --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first message of every connection: what model is here, and what it can be asked.

    `library`: `name` and `files` of the library that can be asked for (docs/studio.md, "The library"), if there is one.
    """

    protocol: int = VERSION
    model: dict[str, Any]
    library: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a take stands. `place` (1 is next) and `seconds` (a guess) while it waits; `text` says it in words."""

    id: str
    state: Literal["queued", "reading", "running", "asleep"]
    place: int | None = None
    seconds: float | None = None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """New notes of one variation, decided for good, in the order of their onsets.

    `until` (s): there will be nothing more before it. `ahead`: how far that lies before the listener, if there is one.
    `pedal`: what is new of it. `at`: when they were decided, in seconds since 1970. `messages`, for who plays in turns:
    [second, status, number, value] of all that an instrument is sent so far, as two hands and a foot play it.
    """

    id: str
    variation: int
    notes: dict[str, list[float]]
    pedal: dict[str, list[float]]
    until: float
    ahead: float | None
    at: float
    messages: list[list[float]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A variation that is complete: its new notes and pedal as they are written to a file, instead of those streamed.

    `prompt_tokens` and `tokens` count those given and those of the whole; `ended`, `fallback` and `retries` as in
    `Continuation`. `originality`: what the new notes share with what the model learned from (`verdict`: copy,
    repertoire or own; `text` in words; the facts of docs/originality.md), None where there is no index of that.
    `messages`: the rest of them, where `Notes` had some.
    """

    id: str
    variation: int
    music: dict[str, Any]
    prompt_tokens: int
    tokens: int
    ended: bool | None
    fallback: str | None
    retries: int
    originality: dict[str, Any] | None = None
    messages: list[list[float]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The take is over; `settings` are all that were used, so that the same take can be made again."""

    id: str
    stopped: bool
    settings: dict[str, Any]
    model: str
    first_note_s: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Something that the client can mend: of a take (`id`), in a field. A take that has an error is over."""

    id: str | None = None
    message: str
    field: str | None = None


Message = Hello | State | Notes | Take | Done | Error


def encode(message: Message) -> str:
    """A message as it is sent: compact JSON whose `type` is the name of the class in lower case."""
    values = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    return json.dumps({"type": type(message).__name__.lower(), **values}, separators=(",", ":"), ensure_ascii=False)


def waiting(place: int, seconds: float) -> str:
    """A place in the queue in words: "third in line, about 20 s"."""
    ordinals = ("next", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    where = ordinals[place - 1] if place <= len(ordinals) else f"number {place}"
    step = 1 if seconds < 10 else 5 if seconds < 60 else 30
    return f"{where} in line, about {max(step, round(seconds / step) * step)} s"
