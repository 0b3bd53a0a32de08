"""What listeners did: an append-only file of events, and what they add up to for each listener.

Knows the events and that a line that was answered for is on the disk. Refuses to know who is asked what
(`assignment.py`). No line holds an address or what browser somebody uses; `listener` is a hash of a token that only the
listener's browser has.

    with VoteLog(Path("study/votes.jsonl"), digest=manifest.digest) as log:
        log.append({"event": "joined", "listener": "5fe1...", "time": 1764300000})
    listeners = listeners_of(read_events(Path("study/votes.jsonl"), digest=manifest.digest))

Events, a line of JSON each: `study` (the digest of the manifest that all others are about), `joined` (consent was
given), `headphones` (`right` answers of an attempt), `asked` (trial `number`, clips `a` and `b`, and the pair's systems
and prompt or the attention check), `voted` (`choice` a, b or none, `reason`, `heard` seconds of a and b).
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

from partimento.errors import UserError
from partimento.evaluate.listening.study import Study
from partimento.files import held_alone

VOTES: Final = "votes.jsonl"
Choice = Literal["a", "b", "none"]
Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Two clips that a listener compared or is to compare, and the answer, None as long as there is none.

    `first` and `second` are systems, `first_is_a` says which side is which; of an attention check (`attention`: its
    number) first is the good one.
    """

    number: int
    prompt: str
    first: str
    second: str
    a: str
    b: str
    first_is_a: bool
    attention: int | None = None
    choice: Choice | None = None
    reason: str = ""
    heard: tuple[float, float] = (0.0, 0.0)

    @property
    def won(self) -> bool:
        """Whether the first one was preferred."""
        return self.choice == ("a" if self.first_is_a else "b")

    @property
    def tied(self) -> bool:
        """Whether neither was."""
        return self.choice == "none"


@dataclass(slots=True, kw_only=True)
class Listener:
    """What one listener did so far; `last` is the time of the latest event."""

    id: str
    number: int
    last: float
    right: list[int] = field(default_factory=list)
    """Right answers in each attempt at the headphone test."""
    trials: list[Trial] = field(default_factory=list)

    def passed_headphones(self, study: Study) -> bool:
        """Whether they may go on to the comparisons."""
        return study.checks.headphones == 0 or any(right >= study.checks.headphones_right for right in self.right)

    @property
    def votes(self) -> list[Trial]:
        """The comparisons that have an answer, without the attention checks."""
        return [trial for trial in self.trials if trial.attention is None and trial.choice is not None]

    def attentive(self, study: Study) -> bool:
        """Whether enough attention checks were answered rightly: the rule by which votes count."""
        return sum(t.won for t in self.trials if t.attention is not None) >= study.checks.attention_right

    def may_become_attentive(self, study: Study) -> bool:
        """Whether they are, or those that are still to come could make it so."""
        wrong = sum(t.choice is not None and not t.won for t in self.trials if t.attention is not None)
        return wrong <= study.checks.attention - study.checks.attention_right


def listeners_of(events: Iterable[Event]) -> dict[str, Listener]:
    """Everybody who came, by id."""
    listeners: dict[str, Listener] = {}
    for event in events:
        apply(event, listeners)
    return listeners


def apply(event: Event, listeners: dict[str, Listener]) -> None:
    """One more event."""
    kind = event["event"]
    if kind == "study":
        return
    if kind == "joined":
        listeners[event["listener"]] = Listener(id=event["listener"], number=len(listeners), last=event["time"])
        return
    listener = listeners[event["listener"]]
    listener.last = event["time"]
    if kind == "headphones":
        listener.right.append(event["right"])
    elif kind == "asked":
        fields = {name: value for name, value in event.items() if name not in ("event", "listener", "time")}
        listener.trials.append(Trial(**fields))
    elif kind == "voted":
        trial = listener.trials[event["number"]]
        listener.trials[event["number"]] = replace(
            trial, choice=event["choice"], reason=event["reason"], heard=tuple(event["heard"])
        )


def read_events(path: Path, *, digest: str) -> list[Event]:
    """All events of a log; none if there is no file. A last line that was not finished is no event.

    Raises `UserError` for a file that is none, or is about another study.
    """
    if not path.exists():
        return []
    events: list[Event] = []
    *lines, _unfinished = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
            events.append(event)
            known = event["event"]
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path}, line {number}: no event of a listening test; restore the file") from error
        if (number == 1) != (known == "study"):
            raise UserError(f"{path}, line {number}: the line that names the study stands first and once")
    if events and events[0]["digest"] != digest:
        raise UserError(f"{path}: these votes were given on other clips or rules; restore the study's manifest.json")
    return events


class VoteLog:
    """The file of events, held by one process; a line is on the disk when `append` returns."""

    def __init__(self, path: Path, *, digest: str) -> None:
        """Raises `UserError` where another process holds it, or it is about another study."""
        with ExitStack() as held:
            busy = f"{path}: another server collects votes there already; end that one first"
            held.enter_context(held_alone(path.with_suffix(".lock"), busy))
            self._file = held.enter_context(path.open("ab", buffering=0))
            self.events = read_events(path, digest=digest)
            self._held = held.pop_all()
        whole = path.read_bytes().rfind(b"\n") + 1
        self._file.truncate(whole)
        if not self.events:
            self.events = [{"event": "study", "digest": digest}]
            self.append(self.events[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def append(self, event: Event) -> None:
        """One line more; nothing more where that fails."""
        line = json.dumps(event).encode() + b"\n"
        end = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise
