"""Everybody who takes part in a listening test: who they are, what they are to do next, what they said.

Knows the steps of a listener (headphones, comparisons, done) and that whatever is answered for stands in the log.
Refuses to know HTTP. A listener is known by a token that their browser keeps; the log holds a hash of it.

    with VoteLog(study / VOTES, digest=manifest.digest) as log:
        panel = Panel(study, manifest, log)
        token = panel.join()
        panel.task(panel.listener(token))       # {"task": "headphones", "questions": 6, "attempt": 1, "attempts": 2}
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from partimento.errors import UserError
from partimento.evaluate.listening.assignment import headphone_order, next_trial, total_trials
from partimento.evaluate.listening.manifest import Manifest, hash_of, sound_file
from partimento.evaluate.listening.votes import Choice, Event, Listener, Trial, VoteLog, apply, listeners_of
from partimento.studio.fields import ProtocolError

Task = dict[str, Any]


class Panel:
    """The listeners of one study, as far as its log tells."""

    def __init__(
        self, folder: Path, manifest: Manifest, log: VoteLog, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`folder` is the study's; `clock` gives seconds since 1970."""
        self._folder, self.manifest, self._log, self._clock = folder, manifest, log, clock
        self._listeners = listeners_of(log.events)

    def join(self) -> str:
        """Somebody new, who consents; returns their token."""
        token = secrets.token_urlsafe(18)
        self._record({"event": "joined", "listener": _id(token), "time": self._now()})
        return token

    def listener(self, token: str) -> Listener | None:
        """Who has a token, if anybody."""
        return self._listeners.get(_id(token))

    def task(self, listener: Listener) -> Task:
        """What a listener is to do now; a comparison is drawn if one is due."""
        checks = self.manifest.study.checks
        if self._hears_noises(listener):
            attempt = len(listener.right) + 1
            return {
                "task": "headphones",
                "questions": checks.headphones,
                "attempt": attempt,
                "attempts": checks.attempts,
            }
        if not listener.passed_headphones(self.manifest.study):
            return {"task": "refused"}
        trial = self._open_trial(listener)
        if trial is None:
            event = next_trial(listener, self._listeners, self.manifest, now=self._now())
            if event is None:
                return {"task": "done"}
            self._record(event)
            trial = listener.trials[-1]
        return {"task": "compare", "number": trial.number, "of": total_trials(self.manifest)}

    def answer_headphones(self, listener: Listener, answers: list[int]) -> Task:
        """The answers of an attempt, in the order of the questions. Raises `ProtocolError` where none are wanted."""
        if not self._hears_noises(listener):
            raise ProtocolError("the headphone test is over")
        order = headphone_order(listener, self.manifest)
        if len(answers) != len(order):
            raise ProtocolError(f"answers must be {len(order)}, not {len(answers)}", field="answers")
        right = sum(self.manifest.headphones[k].answer == said for k, said in zip(order, answers, strict=True))
        self._record({"event": "headphones", "listener": listener.id, "time": self._now(), "right": right})
        return self.task(listener)

    def vote(self, listener: Listener, *, number: int, choice: Choice, reason: str, heard: tuple[float, float]) -> Task:
        """The answer to a comparison; one that was answered already stays as it was (a browser that asks again).

        Raises `ProtocolError` for a comparison that was not asked, or was not heard for as long as the study says.
        """
        if not 0 <= number < len(listener.trials):
            raise ProtocolError(f"comparison {number} was not asked", field="number")
        if listener.trials[number].choice is None:
            least = self.manifest.study.trials.least_seconds
            if min(heard) < least:
                raise ProtocolError(f"both clips are to be heard for {least:g} s before the answer", field="heard")
            said = {"number": number, "choice": choice, "reason": reason, "heard": [round(one, 1) for one in heard]}
            self._record({"event": "voted", "listener": listener.id, "time": self._now(), **said})
        return self.task(listener)

    def sound(self, listener: Listener, name: str) -> bytes | None:
        """What a listener may hear now: "a" or "b" of the open comparison, "0", "1" ... of the headphone test.

        Raises `UserError` where the file is not the one that was made.
        """
        id_ = self._sound_id(listener, name)
        if id_ is None:
            return None
        path = sound_file(self._folder, id_)
        if not path.is_file() or hash_of(path) != self.manifest.files[id_]:
            raise UserError("this clip is not the one that was made; tell those who run the study")
        return path.read_bytes()

    def _sound_id(self, listener: Listener, name: str) -> str | None:
        trial = self._open_trial(listener)
        if trial is not None:
            return {"a": trial.a, "b": trial.b}.get(name)
        if not self._hears_noises(listener):
            return None
        order = headphone_order(listener, self.manifest)
        return next((self.manifest.headphones[k].id for place, k in enumerate(order) if str(place) == name), None)

    def _hears_noises(self, listener: Listener) -> bool:
        """Whether the headphone test is due."""
        study = self.manifest.study
        return not listener.passed_headphones(study) and len(listener.right) < study.checks.attempts

    def _open_trial(self, listener: Listener) -> Trial | None:
        return next((trial for trial in listener.trials if trial.choice is None), None)

    def _record(self, event: Event) -> None:
        """On the disk first, then here."""
        self._log.append(event)
        apply(event, self._listeners)

    def _now(self) -> int:
        return int(self._clock())


def _id(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]
