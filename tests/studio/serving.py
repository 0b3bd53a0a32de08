"""A server in a thread of the test, with a small random model, and a client that waits for what it wants."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import uvicorn
from websockets.sync.client import ClientConnection, connect

from partimento import Library, Performance
from partimento.corpus.duplicates.index import PassageIndex
from partimento.generate.engine import Engine
from partimento.studio.address import configuration, listen
from partimento.studio.app import application
from partimento.studio.gate import LOOPBACK, Gate
from partimento.studio.music import columns
from tests.generate.generate_music import prompt

GIVEN = columns(prompt())
SECONDS = 120.0


@contextmanager
def served(
    engine: Engine,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    token: str | None = None,
    opened: Performance | None = None,
    learned: PassageIndex | None = None,
    library: Library | None = None,
):
    """The address of a running server, such as 127.0.0.1:41234; a port that is free, unless one is given."""
    with listen(LOOPBACK, port) as listening:
        app = application(engine, model="random", opened=opened, learned=learned, library=library)
        gate = Gate(app, host=host, token=token)
        server = uvicorn.Server(configuration(gate))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"{LOOPBACK}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Client:
    """One WebSocket."""

    def __init__(self, address: str, **options: Any) -> None:
        self._stack = ExitStack()
        connecting = connect(f"ws://{address}/socket", max_size=None, **options)
        self.socket: ClientConnection = self._stack.enter_context(connecting)
        self.hello = self.receive()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    def vanish(self) -> None:
        """As a process that is killed."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def receive(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=SECONDS))

    def continue_(self, id_: str, *, heard: float | None = None, **settings: Any) -> None:
        self.send(type="continue", id=id_, prompt=GIVEN, settings=settings, heard=heard)

    def until(self, kind: str, id_: str | None = None) -> Iterator[dict[str, Any]]:
        """All messages up to the first of a kind (of a take)."""
        while True:
            message = self.receive()
            yield message
            if message["type"] == kind and id_ in (None, message["id"]):
                return

    def takes(self, id_: str) -> list[dict[str, Any]]:
        """The music of all variations, once it is done."""
        told = [message for message in self.until("done", id_) if message["id"] == id_]
        return [message["music"] for message in told if message["type"] == "take"]


def ask(address: str, path: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Status and body of an HTTP request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}{path}", data, headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
