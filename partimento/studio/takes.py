"""A request -> a take in the batch -> the messages that tell of it, for one WebSocket or one HTTP request.

Knows how the batch's events become messages. Refuses to know how messages travel. Everything here but `Job`'s own
methods belongs to the thread of the event loop.

    take = studio.take(parse(text))
    async for message in take.messages(): ...
    take.job.leave()
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from partimento.errors import UserError
from partimento.generate import batching
from partimento.generate.settings import Continuation, GeneratedNote, Settings
from partimento.library.originality import originality
from partimento.library.originality.report import said
from partimento.live.duet import LEAST_AHEAD_S
from partimento.live.hands import Hands
from partimento.live.plan import Plan
from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.performance import Performance
from partimento.studio import protocol
from partimento.studio.fields import ProtocolError
from partimento.studio.memory import Memory
from partimento.studio.music import columns
from partimento.studio.protocol import Continue, Fill, Message, Prompt
from partimento.studio.uploads import Uploads

if TYPE_CHECKING:
    from partimento.corpus.duplicates.index import PassageIndex
    from partimento.generate.batching import Batch, Job
    from partimento.generate.engine import Engine
    from partimento.generate.run import Run
    from partimento.studio.library import ShownLibrary

KNOB_STEPS: Final = 5
"""On either side of the model's own sampling, from tame to wild."""
_WARMTH, _CUT = 1.35, 10.0
_DEFECT: Final = "the server failed on this; what happened is in its log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What all connections share."""

    engine: Engine
    model: str
    batch: Batch
    learned: PassageIndex | None = None
    library: ShownLibrary | None = None
    uploads: Uploads = field(default_factory=Uploads)

    def hello(self) -> protocol.Hello:
        """What a connection begins with."""
        return protocol.Hello(model=self.facts(), library=None if self.library is None else self.library.facts())

    def facts(self) -> dict[str, Any]:
        """What model is here, and what it can be asked (docs/studio.md, "The model")."""
        engine, sampling = self.engine, self.engine.abilities.sampling
        steps = [step / KNOB_STEPS for step in range(-KNOB_STEPS, KNOB_STEPS + 1)]
        return {
            "name": self.model,
            "engine": engine.backend.description,
            "parameters": engine.backend.config.parameters,
            "context": engine.context,
            "fills": engine.abilities.infilling and engine.vocabulary.delimiter is not None,
            "writes_pedal": engine.abilities.pedal_tokens,
            "temperature": sampling.temperature,
            "min_p": sampling.min_p,
            "candidates": engine.abilities.candidates,
            "instruments": [INSTRUMENTS[number] for number in engine.vocabulary.instruments],
            "knob": [
                {
                    "temperature": round(min(protocol.MOST_TEMPERATURE, sampling.temperature * _WARMTH**x), 3),
                    "min_p": round(min(1.0, sampling.min_p * _CUT**-x), 5),
                }
                for x in steps
            ],
        }

    def take(self, request: Continue | Fill, memory: Memory | None = None) -> TakeInProgress:
        """Lets the batch make it. Raises `UserError` for what can be refused at once.

        `memory`: of who plays in turns; nobody else uses it until the take is over.
        """
        settings = request.settings.for_engine(self.engine.abilities)
        filling = isinstance(request, Fill)
        candidates = self.engine.candidates(settings, filling=filling)
        settings = dataclasses.replace(settings, candidates=candidates) if not filling else settings
        given = self.given(request.prompt)
        begin: Callable[[], Run]
        if isinstance(request, Fill):
            seconds = request.end - request.start
            begin = partial(self.engine.filling, given, request.start, request.end, settings)
        else:
            assert settings.seconds is not None
            seconds, end = settings.seconds, request.prompt.end
            if end is not None and not request.at_once:
                end = min(end, given.seconds)
            begin = partial(self.engine.continuing, given, settings, end, at_once=request.at_once)
            if memory is not None:
                begin = partial(memory.answering, given, given.seconds if end is None else end, settings)
        folded = not self.engine.abilities.pedal_tokens
        take = TakeInProgress(request, settings, given, self.model, folded=folded, learned=self.learned)
        take.job = self.batch.join(
            begin,
            rows=candidates * settings.variations,
            seconds=seconds,
            heard=request.heard if isinstance(request, Continue) else None,
            tell=take.tell,
        )
        return take

    def given(self, prompt: Prompt) -> Performance:
        """The music of a prompt. Raises `ProtocolError` for an upload that is not there (any more)."""
        if prompt.music is not None:
            given = prompt.music
        else:
            assert prompt.performance is not None
            try:
                given = self.uploads.get(prompt.performance)
            except KeyError:
                known = "the server does not have that performance (any more); upload it again"
                raise ProtocolError(f"prompt.performance: {known}", field="prompt.performance") from None
        return given if prompt.end is None else given.slice_time(0, prompt.end)


class TakeInProgress:
    """One take, as its client sees it."""

    job: Job

    def __init__(
        self,
        request: Continue | Fill,
        settings: Settings,
        given: Performance,
        model: str,
        *,
        folded: bool,
        learned: PassageIndex | None,
    ) -> None:
        """`folded`: the model's durations hold the pedal, which is found again for what is kept.

        `learned`: what new notes are compared with, if anything.
        """
        self.request, self._settings, self._given, self._model = request, settings, given, model
        self._folded, self._learned = folded, learned
        self.continuations: tuple[Continuation, ...] = ()
        self._compared: list[dict[str, Any]] = []
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[float, batching.Event]] = asyncio.Queue()
        self._began = time.monotonic()
        self._first_note_s: float | None = None
        self._heard = request.heard if isinstance(request, Continue) else None
        self._plan = Plan() if isinstance(request, Continue) and request.at_once else None

    def tell(self, event: batching.Event) -> None:
        """Called by the batch, on any thread."""
        self._loop.call_soon_threadsafe(self._events.put_nowait, (time.time(), event))

    def heard(self, seconds: float) -> None:
        """The listener has come to this second."""
        self._heard = seconds
        self.job.heard(seconds)

    async def messages(self) -> AsyncIterator[Message]:
        """All messages of the take, to the last."""
        while True:
            at, event = await self._events.get()
            if isinstance(event, batching.Over) and self._learned is not None:
                self._compared = await asyncio.to_thread(compared, event.continuations, self._learned)
            for message in self._told(at, event):
                yield message
            if isinstance(event, batching.Over | batching.Failed):
                return

    def _told(self, at: float, event: batching.Event) -> Iterator[Message]:
        id_ = self.request.id
        match event:
            case batching.Standing(state=state, place=place, seconds=seconds):
                text = protocol.waiting(place, seconds) if place is not None and seconds is not None else _WORDS[state]
                yield protocol.State(id=id_, state=state, place=place, seconds=seconds, text=text)
            case batching.Decided(notes=notes):
                if self._first_note_s is None:
                    self._first_note_s = time.monotonic() - self._began
                for variation in sorted({number for number, _ in notes}):
                    yield self._notes(at, variation, event)
            case batching.Over(continuations=continuations, stopped=stopped):
                self.continuations = tuple(each.with_pedal() if self._folded else each for each in continuations)
                for variation, continuation in enumerate(self.continuations):
                    yield protocol.Take(
                        id=id_,
                        variation=variation,
                        music=columns(continuation.generated),
                        prompt_tokens=continuation.prompt_tokens,
                        tokens=len(continuation.tokens),
                        ended=continuation.ended,
                        fallback=continuation.fallback,
                        retries=continuation.retries,
                        originality=self._compared[variation] if self._compared else None,
                        messages=None if variation else self._messages((), math.inf),
                    )
                yield protocol.Done(
                    id=id_,
                    stopped=stopped,
                    settings=self._used(),
                    model=self._model,
                    first_note_s=None if self._first_note_s is None else round(self._first_note_s, 3),
                    seconds=round(time.monotonic() - self._began, 3),
                )
            case batching.Failed(error=error):
                known = isinstance(error, UserError)
                field_ = error.field if isinstance(error, ProtocolError) else None
                yield protocol.Error(id=id_, message=str(error) if known else _DEFECT, field=field_)

    def _notes(self, at: float, variation: int, event: batching.Decided) -> Message:
        notes = [note for number, note in event.notes if number == variation]
        pedal = [interval for number, interval in event.pedal if number == variation]
        end = event.until[variation]
        if not math.isfinite(end):
            end = max(note.onset_s for note in notes)
        return protocol.Notes(
            id=self.request.id,
            variation=variation,
            notes={
                "onset": [round(note.onset_s, 6) for note in notes],
                "duration": [round(note.duration_s, 6) for note in notes],
                "sounding_end": [round(note.onset_s + note.duration_s, 6) for note in notes],
                "pitch": [note.pitch for note in notes],
                "velocity": [note.velocity for note in notes],
            },
            pedal={"down": [round(down, 6) for down, _ in pedal], "up": [round(up, 6) for _, up in pedal]},
            until=round(end, 3),
            ahead=None if self._heard is None else round(end - self._heard, 3),
            at=at,
            messages=None if variation else self._messages(notes, event.until[variation]),
        )

    def _messages(self, notes: Iterable[GeneratedNote], until: float) -> list[list[float]] | None:
        """What an instrument is sent before that second, which nothing that follows can change; for who plays in turns.

        Of one variation, the first; there is one.
        """
        if self._plan is None:
            return None
        hands = Hands(self._plan)
        for note in notes:
            end = note.onset_s + note.duration_s
            hands.place(pitch=note.pitch, velocity=note.velocity, on=note.onset_s, end=end)
        due = self._plan.take(until - LEAST_AHEAD_S)
        return [[round(each.at, 6), *each.message.to_bytes()] for each in due]

    def _used(self) -> dict[str, Any]:
        """All settings of the take, spelt as they are asked for."""
        settings, sampling = self._settings, self._settings.sampling
        assert sampling is not None
        return {
            "seconds": settings.seconds,
            "seed": settings.seed,
            "variations": settings.variations,
            "candidates": settings.candidates,
            "temperature": sampling.temperature,
            "min_p": sampling.min_p,
            "end": settings.end,
            "density": settings.wishes.density,
            "loudness": settings.wishes.loudness,
        }


def compared(takes: Iterable[Continuation], learned: PassageIndex) -> list[dict[str, Any]]:
    """What each take shares with what the model learned from, in words and as facts; some milliseconds each."""
    found = [originality(take, against=learned) for take in takes]
    return [{"text": said(each, beside="what the model learned from"), **each.facts()} for each in found]


_WORDS: Final = {
    "queued": "waiting",
    "reading": "reading the prompt",
    "running": "making music",
    "asleep": f"{batching.AHEAD_S:g} s ahead of the listener",
}
