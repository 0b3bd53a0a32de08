"""Taking turns: who listens, who plays, what is sent when. A state machine that is told the time and never waits.

    listening --hand-over--> thinking --first note--> playing --all of it, or the human strikes a key--> listening

Knows both players' notes (`heard.py`), the sign (`hand_over.py`), what hands can play (`hands.py`) and what is planned
(`plan.py`). Refuses to know ports, threads and models: messages and notes are handed in with the time at which they
came, what is due is handed out, and `ask` says what a model should do meanwhile.

    duet = Duet(Rules(hand_over=HandOver(sign="silence")))
    duet.hear(0.5, strike(60, 70)); duet.hear(0.9, release(60))
    duet.tick(2.4); duet.ask(seen=0)                 # Answer(prompt=..., from_seconds=2.65, ...)
    duet.decided(2.6, number=1, notes=[note])
    for due in duet.tick(2.66): ports.send(due.message)
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from partimento.errors import UserError
from partimento.live.hand_over import HandOver, Signs
from partimento.live.hands import HIGHEST, LOWEST, RESTRIKE_S, Hands
from partimento.live.heard import Heard
from partimento.live.plan import Due, Plan, Planned
from partimento.live.ports import ALL_NOTES_OFF, SUSTAIN, Message, control, release
from partimento.midi.columns import Note
from partimento.midi.performance import Performance

LEAST_AHEAD_S: Final = 0.035
"""A note is planned so long before it sounds that a key can come up and be struck again."""
AHEAD_S: Final = 8.0
"""So much of an answer is made ahead."""
SHORTEST_TURN_S: Final = 4.0
LONGEST_TURN_S: Final = 60.0
_PATIENCE_S: Final = 0.3
_GRACE_S: Final = 0.08
"""What is struck so shortly after the sign belongs to it."""


class State(Enum):
    """Whose turn it is."""

    LISTENING = "listening"
    THINKING = "thinking"
    PLAYING = "playing"
    UNPLUGGED = "unplugged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How it is played.

    An answer lasts `seconds`, or as long as the human's turn did, within 4..60 s (bars: as many). It begins `lead_s`
    after the sign, when a first note can be there. `latency_s`: from a message to its sound (`calibrate.py`); messages
    leave so much earlier. Of more than `most_notes`, half are remembered.
    """

    hand_over: HandOver = field(default_factory=HandOver)
    seconds: float | None = None
    lead_s: float = 0.25
    latency_s: float = 0.0
    most_notes: int = 320

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0.5 <= self.seconds <= 600:
            raise UserError(f"an answer must last 0.5..600 s, not {self.seconds}")
        if not 0 <= self.lead_s <= 5:
            raise UserError(f"the lead must lie in 0..5 s, not {self.lead_s}")
        if not 0 <= self.latency_s <= 1:
            raise UserError(f"the output's latency must lie in 0..1 s, not {self.latency_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What is certain so far, to be read ahead."""

    version: int
    prompt: Performance


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Go on from here: the notes `held` of the prompt still sound; begin at `from_seconds`, for so many seconds.

    `slipped`: the music of the answer before had to wait for its notes.
    """

    version: int
    number: int
    prompt: Performance
    held: tuple[int, ...]
    from_seconds: float
    seconds: float
    slipped: bool = False


@dataclass(slots=True, kw_only=True)
class Turn:
    """One answer: when it was asked for, when its first note was known and sent, and what became of it (s).

    `slips_s`: by how much it came later than it should, all in all; `left_out`: notes that nobody can play.
    """

    handed_over: float
    decided: float | None = None
    sent: float | None = None
    notes: int = 0
    left_out: int = 0
    slips_s: float = 0.0
    interrupted: bool = False


class Duet:
    """See the module. Times never go back; every method may be called at any time."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.state = State.LISTENING
        self.turns: deque[Turn] = deque(maxlen=1000)
        self._heard, self._signs = Heard(), Signs(rules.hand_over)
        self._plan = Plan()
        self._hands = Hands(self._plan)
        self._out: list[Due] = []
        self._version, self._number = 1, 0
        self._turn_began: float | None = None
        self._asked: Answer | None = None
        self._finished = True
        self._slip = self._last_on = 0.0
        self._quiet_until = -math.inf

    # -- what happens -------------------------------------------------------------------------------------------------

    def hear(self, t: float, message: Message) -> None:
        """The human's message came in."""
        if self.state is State.UNPLUGGED:
            return
        if self._signs.given_by(message):
            self.sign(t)
        elif self._signs.is_no_music(message):
            return
        elif message.kind == "on":
            if self.state is not State.LISTENING and t >= self._quiet_until:
                self._interrupt(t)
            if self.state is State.LISTENING and self._turn_began is None:
                self._turn_began = t
            self._heard.strike(t, pitch=message.number, velocity=message.value)
            self._remember()
        elif message.kind == "off":
            self._heard.release(t, pitch=message.number)
        elif message.number == SUSTAIN:
            self._heard.pedal(t, down=message.value >= 64)
        self._version += 1

    def sign(self, t: float) -> None:
        """The human hands over; while an answer goes on, takes back."""
        if self.state is State.LISTENING:
            self._hand_over(t, begins_at=t + self.rules.lead_s)
        elif self.state is not State.UNPLUGGED:
            self._interrupt(t)

    def tick(self, t: float) -> list[Due]:
        """What has to be sent by now, in order. Waiting, too, may be a sign."""
        waited = self._sign_is_due()
        if waited <= t:
            self._hand_over(t, begins_at=t + self.rules.lead_s)
            if self.rules.hand_over.sign == "bars":  # the last notes of the last bar
                self._quiet_until = t + self.rules.lead_s
        for due in self._plan.take(t):
            if due.strikes is None or self._strikes(due.strikes, t):
                self._out.append(due)
        if self.state is State.PLAYING and self._finished and not self._plan:
            self._listen(t)
        out, self._out = self._out, []
        return out

    def decided(self, t: float, *, number: int, notes: Sequence[Note]) -> None:
        """The next notes of the answer with this number; those of any other are of the past."""
        if number != self.answering:
            return
        turn = self.turns[-1]
        turn.decided = t if turn.decided is None else turn.decided
        for note in notes:
            on = note.onset_s - self.rules.latency_s + self._slip
            late = t + LEAST_AHEAD_S - on
            if late > 0:  # the music waits rather than hurries after itself
                self._slip += late
                turn.slips_s += late
                on += late
            on = max(on, self._last_on)
            end = on + note.duration_s
            placed = self._hands.place(pitch=note.pitch, velocity=note.velocity, on=on, end=end)
            turn.left_out += not placed
            self._last_on = on
        if self.state is State.THINKING and self._plan:
            self.state = State.PLAYING

    def finished(self, t: float, *, number: int) -> None:
        """That answer has no more notes."""
        if number == self.answering:
            self._finished = True
            if not self._plan:
                self._listen(t)

    def unplug(self, t: float) -> None:
        """The ports are gone: whatever sounds has to be ended when they come back."""
        if self.state is State.UNPLUGGED:
            return
        self._heard.let_go(t)
        self._stop(t)
        self._out = []
        self.state = State.UNPLUGGED

    def plug(self, t: float) -> None:
        """The ports are back: nothing sounds, and it listens."""
        if self.state is State.UNPLUGGED:
            keys = range(LOWEST, HIGHEST + 1)  # nobody knows what was lost with the cable
            silence = [control(SUSTAIN, 0), control(ALL_NOTES_OFF, 0), *map(release, keys)]
            self._out += [Due(at=t, message=message) for message in silence]
            self._listen(t)

    def close(self, t: float) -> list[Due]:
        """It is over: what has to be sent so that nothing sounds."""
        if self.state is not State.UNPLUGGED:
            self._stop(t)
        out, self._out = self._out, []
        return out

    # -- what others want to know -------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When to tick again at the latest, unless something happens before (inf: no need)."""
        return -math.inf if self._out else min(self._plan.due, self._sign_is_due())

    @property
    def rest_until(self) -> float:
        """The answer is so far ahead that it need not be worked on before (s)."""
        return self._last_on - AHEAD_S

    @property
    def upcoming(self) -> list[Planned]:
        """What will be struck, as far as it is known."""
        return [note for note in self._plan.notes if not note.struck]

    @property
    def keys(self) -> list[int]:
        """What the human holds."""
        return sorted(self._heard.keys)

    @property
    def answering(self) -> int | None:
        """The number of the answer that is wanted, None where none is."""
        return None if self._asked is None or self._finished else self._asked.number

    def ask(self, seen: int) -> Read | Answer | None:
        """What a model should do, unless it is what it did when the version was `seen`."""
        if self._asked is not None and not self._finished:
            return None if self._asked.version == seen else self._asked
        if self.state is not State.LISTENING or self._version == seen or not len(self._heard):
            return None
        return Read(version=self._version, prompt=self._heard.certain())

    # -- inside -------------------------------------------------------------------------------------------------------

    def _sign_is_due(self) -> float:
        if self.state is not State.LISTENING:
            return math.inf
        quiet = None if self._heard.keys else self._heard.last_release
        return self._signs.due(turn_began=self._turn_began, quiet_since=quiet, lead_s=self.rules.lead_s)

    def _hand_over(self, t: float, *, begins_at: float) -> None:
        if not len(self._heard):
            return
        rules, began = self.rules, self._turn_began
        if rules.hand_over.sign == "bars":
            seconds = rules.hand_over.turn_s
        elif rules.seconds is not None:
            seconds = rules.seconds
        else:
            seconds = min(max(t - (t if began is None else began), SHORTEST_TURN_S), LONGEST_TURN_S)
        prompt, held = self._heard.whole(t)
        self._number += 1
        self._version += 1
        self._asked = Answer(
            version=self._version,
            number=self._number,
            prompt=prompt,
            held=tuple(held),
            from_seconds=begins_at + rules.latency_s,
            seconds=seconds,
            slipped=bool(self.turns) and self.turns[-1].slips_s > _PATIENCE_S,
        )
        self._finished, self._slip, self._last_on = False, 0.0, 0.0
        self._quiet_until = t + _GRACE_S
        self.state = State.THINKING
        self.turns.append(Turn(handed_over=t))

    def _strikes(self, note: Planned, t: float) -> bool:
        """Whether the key is free: the human may hold it, or have just let go."""
        human = self._heard.keys.get(note.pitch)
        if human is not None or t - self._heard.up_since(note.pitch) < RESTRIKE_S:
            self._plan.skip(note)
            self.turns[-1].left_out += 1
            return False
        turn = self.turns[-1]
        turn.sent = t if turn.sent is None else turn.sent
        turn.notes += 1
        on = t + self.rules.latency_s
        self._heard.answered(pitch=note.pitch, velocity=note.velocity, on=on, end=on + note.end - note.on)
        return True

    def _interrupt(self, t: float) -> None:
        if self.turns:
            self.turns[-1].interrupted = True
        self._stop(t)
        self._listen(t)

    def _stop(self, t: float) -> None:
        """Nothing of the answer sounds any more."""
        self._out += [Due(at=t, message=message) for message in self._plan.silence()]
        self._heard.cut(t)
        self._asked, self._finished = None, True

    def _listen(self, t: float) -> None:
        self.state = State.LISTENING
        self._asked, self._turn_began, self._quiet_until = None, None, t
        self._remember()
        self._version += 1

    def _remember(self) -> None:
        """Half of what is too much, at once: what was read stands as long as its beginning does."""
        if len(self._heard) > self.rules.most_notes:
            self._heard.forget(self.rules.most_notes // 2)
