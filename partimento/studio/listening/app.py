"""A listening test as an ASGI application: what the page asks, and the page's files.

Knows addresses and bodies (docs/listening.md). Refuses to know what a listener is to do (`panel.py`), and who may ask
(`../gate.py`). Nothing that tells one system from another ever leaves: sounds are "a" and "b".

    app = application(panel)
"""

from __future__ import annotations

from typing import Any, Final, cast

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from partimento.evaluate.listening.votes import Choice, Listener
from partimento.studio.address import body_of, plain_app
from partimento.studio.build import HOW, PAGE
from partimento.studio.fields import Fields, ProtocolError
from partimento.studio.listening.panel import Panel

MOST_BYTES: Final = 16 * 1024
MOST_REASON: Final = 2000
HEADER: Final = "Listener"
NO_PAGE: Final = f"The page was not built when this copy of partimento was installed. To get it: {HOW}\n"


def application(panel: Panel) -> FastAPI:
    """Everything behind the gate."""
    app = plain_app()

    @app.get("/study")
    async def study() -> dict[str, Any]:
        about = panel.manifest.study
        return {
            "name": about.name,
            "consent": about.consent,
            "question": about.question,
            "criteria": about.criteria,
            "thanks": about.thanks,
            "prompt_seconds": about.prompts.seconds,
            "seconds": about.span.end,
            "least_seconds": about.trials.least_seconds,
        }

    @app.post("/listeners")
    async def join(request: Request) -> dict[str, str]:
        fields = Fields.of_text(await body_of(request, most=MOST_BYTES))
        consents = fields.flag("consent", default=False)
        fields.nothing_else()
        if not consents:
            raise ProtocolError("nobody takes part without consent", field="consent")
        return {"token": panel.join()}

    @app.post("/task")
    async def task(request: Request) -> dict[str, Any]:
        return panel.task(_listener(panel, request))

    @app.post("/headphones")
    async def headphones(request: Request) -> dict[str, Any]:
        listener = _listener(panel, request)
        fields = Fields.of_text(await body_of(request, most=MOST_BYTES))
        answers = fields.column("answers", low=0, high=2, most=100)
        fields.nothing_else()
        return panel.answer_headphones(listener, answers.astype(int).tolist())

    @app.post("/votes")
    async def vote(request: Request) -> dict[str, Any]:
        listener = _listener(panel, request)
        fields = Fields.of_text(await body_of(request, most=MOST_BYTES))
        choice = fields.word("choice")
        if choice not in ("a", "b", "none"):
            raise ProtocolError("choice must be a, b or none", field="choice")
        number = fields.whole("number", low=0, high=10_000)
        reason = fields.word("reason", default="", most=MOST_REASON)
        heard = tuple(fields.number(f"heard_{side}", low=0, high=1e5) for side in ("a", "b"))
        fields.nothing_else()
        return panel.vote(
            listener,
            number=number,
            choice=cast(Choice, choice),
            reason=reason,
            heard=(heard[0], heard[1]),
        )

    @app.get("/sounds/{name}")
    async def sound(request: Request, name: str) -> Response:
        data = panel.sound(_listener(panel, request), name)
        if data is None:
            raise HTTPException(404, "there is no such sound to hear now")
        return Response(data, media_type="audio/flac", headers={"Cache-Control": "no-store"})

    @app.get("/")
    async def page() -> Response:
        return _file("listen.html")

    @app.get("/icon.svg")
    async def icon() -> Response:
        return _file("icon.svg")

    app.mount("/assets", StaticFiles(directory=PAGE / "assets", check_dir=False))
    return app


def _file(name: str) -> Response:
    path = PAGE / name
    return FileResponse(path) if path.is_file() else PlainTextResponse(NO_PAGE, status_code=503)


def _listener(panel: Panel, request: Request) -> Listener:
    listener = panel.listener(request.headers.get(HEADER, ""))
    if listener is None:
        raise HTTPException(401, "nobody here has this token; begin anew")
    return listener
