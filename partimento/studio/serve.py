"""Serves the studio until it is interrupted: one address, one process.

Knows sockets, uvicorn and the browser. Refuses to know routes (`app.py`) and who may ask (`gate.py`).

    serve(engine, model="bundled", opened=None, host=None, port=7860, browser=True, say=print)
"""

from __future__ import annotations

import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import uvicorn

from partimento.corpus.duplicates.index import PassageIndex
from partimento.errors import UserError
from partimento.generate.engine import Engine
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance
from partimento.studio.app import application
from partimento.studio.build import PAGE
from partimento.studio.gate import LOOPBACK, Gate, new_token
from partimento.studio.music import tokens_behind
from partimento.studio.takes import compared

MOST_MESSAGE_BYTES: Final = 8 * 1024 * 1024
_GRACE_S: Final = 2


def serve(
    engine: Engine,
    *,
    model: str,
    opened: Performance | None,
    host: str | None,
    port: int,
    browser: bool,
    say: Callable[[str], None],
    learned: PassageIndex | None = None,
) -> None:
    """Serves on 127.0.0.1, or on `host` with a token in the address; `say` is told the address.

    Takes are compared with `learned`, the index of what the model learned from.

    Raises `UserError` if the address cannot be had.
    """
    token = None if host is None else new_token()
    listening = listen(host or LOOPBACK, port)
    with listening:
        name = f"[{host}]" if host and ":" in host else host or LOOPBACK
        address = f"http://{name}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
        _warm_up(engine, learned)
        say(f"studio: {address} (Ctrl+C ends it)")
        if host is not None:
            say("studio: whoever has this address can use it; the connection is not encrypted")
        gate = Gate(
            application(engine, model=model, opened=opened, learned=learned), host=host or LOOPBACK, token=token
        )
        if browser and PAGE.is_dir():
            # It listens already, so the browser waits until the server answers.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        with suppress(KeyboardInterrupt):  # which uvicorn raises once more, when it has closed everything
            uvicorn.Server(configuration(gate)).run(sockets=[listening])


def configuration(gate: Gate) -> uvicorn.Config:
    """How uvicorn runs it: quiet, one process, nothing compressed that has a few metres to go."""
    return uvicorn.Config(
        gate,
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        http="h11",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free. Raises `UserError` if the address cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        why = os.strerror(number) if number and number > 0 else str(error)
        raise UserError(f"cannot listen on {host}, port {port}: {why.lower()}; give another with --port") from error


def _warm_up(engine: Engine, learned: PassageIndex | None) -> None:
    """Compiles and loads what the first file and the first take would wait for."""
    played = Performance.from_notes(pitch=[60, 64, 67], velocity=60, onset=[0.0, 0.4, 0.8], duration=0.4)
    prompt = Performance.from_midi(played.to_midi())
    tokens_behind(engine.vocabulary, prompt, pedal=engine.abilities.pedal_tokens)
    takes = engine.continue_(prompt, settings=Settings(notes=4))
    if learned is not None:
        compared(takes, learned)
