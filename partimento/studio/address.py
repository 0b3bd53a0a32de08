"""An ASGI application at an address of this machine, until it is interrupted: one address, one process.

Knows sockets, uvicorn, the browser, and what every server of ours does alike with requests. Refuses to know what is
served, and who may ask (`gate.py`).

    run(app, name="studio", host=None, port=7860, browser=True, say=print)
"""

from __future__ import annotations

import os
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from partimento.errors import UserError
from partimento.midi.reader import MidiError
from partimento.studio.fields import ProtocolError
from partimento.studio.gate import LOOPBACK, Gate, new_token

MOST_MESSAGE_BYTES: Final = 8 * 1024 * 1024
_GRACE_S: Final = 2
_SILENT: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def run(
    app: ASGIApp,
    *,
    name: str,
    host: str | None,
    port: int,
    browser: bool,
    say: Callable[[str], None],
    names: Sequence[str] = (),
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serves on 127.0.0.1, or on `host` with a token in the address, which `say` is told; `names` as of the `Gate`.

    `ready` is called once the address is had, before it is told. Raises `UserError` if the address cannot be had.
    """
    token = None if host is None else new_token()
    listening = listen(host or LOOPBACK, port)
    with listening:
        shown = f"[{host}]" if host and ":" in host else host or LOOPBACK
        address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
        ready()
        say(f"{name}: {address} (Ctrl+C ends it)")
        if host is not None:
            say(f"{name}: whoever has this address can use it; the connection is not encrypted")
        gate = Gate(app, host=host or LOOPBACK, token=token, names=names)
        if browser:
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


def plain_app(**options: Any) -> FastAPI:
    """An application without routes that answers what the client can mend in one line of JSON.

    What FastAPI offers besides (its pages load foreign scripts, its telemetry tells others) is left out.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, telemetry=_SILENT, **options)
    app.add_exception_handler(UserError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    return app


async def body_of(request: Request, *, most: int) -> bytes:
    """The whole body, if it has no more bytes than that."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > most:
            raise HTTPException(413, f"a body may have {most:,} bytes")
    return bytes(data)


async def _refused(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, status_code=error.status_code)
    answer = {"error": str(error)}
    if isinstance(error, MidiError):
        answer["reason"] = str(error.reason)
    if isinstance(error, ProtocolError) and error.field is not None:
        answer["field"] = error.field
    return JSONResponse(answer, status_code=422)
