"""One WebSocket: reads what its client asks, tells what becomes of it, and frees everything when it is gone.

Knows connections and who asked for which take. Refuses to know how a take is made.

    await Conversation(websocket, studio).run()
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.studio.fields import ProtocolError
from partimento.studio.memory import Memory
from partimento.studio.protocol import Continue, Error, Fill, Heard, Message, Read, Request, Stop, encode, parse
from partimento.studio.takes import Studio, TakeInProgress

MOST_TAKES: Final = 8
_SHORT: Final = 10_000  # characters that are parsed at once; what is longer must not keep others waiting


class Conversation:
    """The takes of one connection."""

    def __init__(self, websocket: WebSocket, studio: Studio) -> None:
        self._websocket, self._studio = websocket, studio
        self._takes: dict[str, TakeInProgress] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._memory = Memory(studio.engine)
        self._answer_of: str | None = None
        self._unread: Performance | None = None
        self._reading = False

    async def run(self) -> None:
        """Until the client is gone."""
        await self._websocket.accept()
        try:
            await self._say(self._studio.hello())
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._answer(message.get("text"))
        except WebSocketDisconnect:
            return
        finally:
            self._unread = None
            for take in self._takes.values():
                take.job.leave()
            for task in self._tasks:
                task.cancel()

    async def _answer(self, text: str | None) -> None:
        try:
            if text is None:
                raise ProtocolError("messages are text frames of JSON, not binary ones")
            request = parse(text) if len(text) <= _SHORT else await asyncio.to_thread(parse, text)
        except UserError as error:
            field, id_ = getattr(error, "field", None), getattr(error, "id", None)
            await self._say(Error(id=self._over(id_), message=str(error), field=field))
            return
        try:
            self._do(request)
        except UserError as error:
            await self._say(Error(id=self._over(request.id), message=str(error), field=getattr(error, "field", None)))

    def _over(self, id_: str | None) -> str | None:
        """The take that an error is the end of; none where a take of that name goes on."""
        return None if id_ in self._takes else id_

    def _do(self, request: Request) -> None:
        take = self._takes.get(request.id)
        match request:
            case Continue() | Fill():
                if take is not None:
                    raise ProtocolError(f"the take {request.id!r} is not over; give this one another id", field="id")
                if len(self._takes) >= MOST_TAKES:
                    raise ProtocolError(f"a connection may have {MOST_TAKES} takes at once; stop one of them")
                in_turns = isinstance(request, Continue) and request.at_once and self._answer_of is None
                take = self._studio.take(request, self._memory if in_turns else None)
                if in_turns:
                    self._answer_of, self._unread = request.id, None
                self._takes[request.id] = take
                self._start(self._tell(take))
            case Read(prompt=prompt):
                self._unread = self._studio.given(prompt)
                self._read_on()
            case Heard(seconds=seconds) if take is not None:
                take.heard(seconds)
            case Stop() if take is not None:
                take.job.stop()
            case _:
                pass  # of a take that is over: the two messages have crossed

    async def _tell(self, take: TakeInProgress) -> None:
        try:
            async for message in take.messages():
                await self._say(message)
        except WebSocketDisconnect:
            take.job.leave()
        finally:
            self._takes.pop(take.request.id, None)
            if take.request.id == self._answer_of:
                self._answer_of = None
                self._read_on()

    def _read_on(self) -> None:
        """Reads what was played last, unless an answer is in the making or something is being read."""
        if self._unread is None or self._reading or self._answer_of is not None:
            return
        given, self._unread, self._reading = self._unread, None, True
        self._start(self._read(given))

    async def _read(self, given: Performance) -> None:
        try:
            await asyncio.to_thread(self._memory.read, given)
        finally:
            self._reading = False
            self._read_on()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, message: Message) -> None:
        await self._websocket.send_text(encode(message))
