"""Who may use the server: the names it answers to, the pages it answers, the token, and what browsers may load.

Knows HTTP's headers. Refuses to know routes and music. A page of somebody else cannot use the server, whether it sends
its own Origin or makes its own name lead here (DNS rebinding); whoever listens on more than this machine asks for a
token as well (docs/studio.md, "Who may ask").

    app = Gate(app, host="0.0.0.0", token=new_token())
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = "127.0.0.1"
COOKIE: Final = "partimento-token"
MAP_PAGE: Final = "/library.html"
"""Stands in a frame of the studio's page, and may turn strings into code: what draws its points (regl) writes its
drawing functions as text and has no other way. No other page may, and this one loads scripts of this server alone."""
_LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST: Final = re.compile(r"[\w.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", re.ASCII)
_PORT: Final = re.compile(r":\d{1,5}$")
_ANY: Final = frozenset({"0.0.0.0", "::"})


def new_token() -> str:
    """One that nobody guesses, good for an address."""
    return secrets.token_urlsafe(18)


class Gate:
    """An ASGI application around another one."""

    def __init__(
        self, app: ASGIApp, *, host: str = LOOPBACK, token: str | None = None, names: Iterable[str] = ()
    ) -> None:
        """`host` is the address that is listened to; without a token whoever reaches it may ask.

        `names`: others that lead here, through a proxy say.
        """
        self._app, self._token = app, token
        self._any_address = host in _ANY
        self._names = {*_LOCAL_NAMES, host.lower(), *(name.lower() for name in names)}
        if self._any_address:
            self._names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands on what may pass, with the headers that browsers go by; answers the rest itself."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            # Before a WebSocket is accepted, this refuses the handshake.
            answer = {"type": "websocket.close", "code": 1008}
            await (refusal(scope, receive, send) if scope["type"] == "http" else send(answer))
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _protect(MutableHeaders(scope=message), headers["host"], scope["path"])
            await send(message)

        await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _error(421, f"this server is not called {host[:100]!r}")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return _error(403, f"pages of {origin[:100]} may not use this server")
        if self._token is None:
            return None
        in_address = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if self._is_token(in_address):
            if scope["type"] == "http" and scope["path"] == "/":
                response = RedirectResponse("/", status_code=303)
                response.set_cookie(COOKIE, self._token, httponly=True, samesite="lax")
                return response
            return None
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._is_token(bearer) or self._is_token(_cookie(headers)):
            return None
        return _error(401, "this server wants the token of its address: ?token=..., or Authorization: Bearer ...")

    def _is_ours(self, host: str) -> bool:
        if not _HOST.fullmatch(host):
            return False
        name = _PORT.sub("", host).strip("[]").lower()
        return name in self._names or (self._any_address and _is_address(name))

    def _is_token(self, given: str) -> bool:
        return self._token is not None and secrets.compare_digest(given.encode(), self._token.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)


def _protect(headers: MutableHeaders, host: str, path: str) -> None:
    eval_, ancestors = (" 'unsafe-eval'", "'self'") if path == MAP_PAGE else ("", "'none'")
    headers["Content-Security-Policy"] = (
        f"script-src 'self'{eval_}; frame-ancestors {ancestors}; "
        f"default-src 'self'; connect-src 'self' ws://{host} wss://{host}; img-src 'self' data: blob:; "
        "media-src 'self' blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
