"""The studio's server as an ASGI application: HTTP routes, the WebSocket, the page's files.

Knows addresses and bodies (docs/studio.md). Refuses to know how music is made, and who may ask (`gate.py`).

    app = application(engine, model="bundled", opened=None)
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from partimento.audio.fetch import FOLDER as SAMPLES
from partimento.audio.files import write_sound
from partimento.audio.sampler import blocks
from partimento.corpus.duplicates.index import PassageIndex
from partimento.generate.batching import Batch
from partimento.generate.engine import Engine
from partimento.library.library import Library
from partimento.midi.performance import Performance
from partimento.studio.address import body_of, plain_app
from partimento.studio.build import HOW, PAGE
from partimento.studio.fields import Fields, ProtocolError
from partimento.studio.library import ShownLibrary
from partimento.studio.music import columns, read_music, tokens_behind
from partimento.studio.protocol import Continue, Error, Fill, Prompt, TakeSettings, encode
from partimento.studio.socket import Conversation
from partimento.studio.takes import Studio, TakeInProgress

MOST_BYTES: Final = 16 * 1024 * 1024
MOST_CLIENTS: Final = 256
MOST_SOUND_S: Final = 1200.0
NO_PAGE: Final = (
    "The page was not built when this copy of partimento was installed; the server works without it (docs/studio.md).\n"
    f"To get it: {HOW}  (it needs npm or a Python package index); a wheel has it.\n"
)
_MIDI: Final = "audio/midi"


def application(
    engine: Engine,
    *,
    model: str,
    opened: Performance | None = None,
    learned: PassageIndex | None = None,
    library: Library | None = None,
) -> FastAPI:
    """Everything behind the gate.

    `opened`: what the page begins with; `learned`: what takes are compared with; `library`: what the map is of.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Batch(engine) as batch:
            shown = ShownLibrary(library) if library is not None else None
            app.state.studio = Studio(engine=engine, model=model, batch=batch, learned=learned, library=shown)
            app.state.clients = 0
            yield

    app = plain_app(lifespan=lifespan)

    @app.get("/model")
    async def model_facts(request: Request) -> dict[str, Any]:
        return _studio(request).facts()

    @app.get("/status")
    async def status(request: Request) -> dict[str, int]:
        return {"clients": request.app.state.clients, **_studio(request).batch.facts}

    @app.post("/performances")
    async def upload(request: Request, title: str = "") -> Response:
        data = await body_of(request, most=MOST_BYTES)
        studio = _studio(request)
        return await asyncio.to_thread(_uploaded, studio, data, title)

    @app.get("/performances/opened")
    async def opened_file(request: Request) -> Response:
        if opened is None:
            raise HTTPException(404, "the command was given no file")
        return await asyncio.to_thread(_uploaded, _studio(request), opened.to_midi(), Path(opened.source.name).name)

    @app.post("/continue")
    async def continue_(request: Request) -> Response:
        fields, form, only = _parameters(request)
        prompt = Prompt(
            music=await _performance(request), end=fields.number("prompt_seconds", low=0, high=1e5, default=None)
        )
        asked = Continue(id="http", prompt=prompt, settings=TakeSettings.read(fields))
        return await _made(request, _studio(request).take(asked), form, only)

    @app.post("/fill")
    async def fill(request: Request) -> Response:
        fields, form, only = _parameters(request)
        start, end = (fields.number(name, low=0, high=1e5) for name in ("start", "end"))
        prompt = Prompt(music=await _performance(request))
        asked = Fill(id="http", prompt=prompt, start=start, end=end, settings=TakeSettings.read(fields))
        return await _made(request, _studio(request).take(asked), form, only)

    @app.post("/export")
    async def export(request: Request, format: str = "mid") -> Response:
        if format not in ("mid", "wav"):
            raise ProtocolError(f"format must be mid or wav, not {format[:20]!r}", field="format")
        data = await body_of(request, most=MOST_BYTES)
        return await asyncio.to_thread(_exported, data, format)

    @app.get("/library/map")
    async def library_map(request: Request) -> Response:
        """The map, 200; 202 and `{"doing": "..."}` while it is being made: ask again."""
        made = await _library(request).map()
        if isinstance(made, str):
            return JSONResponse({"doing": made}, status_code=202)
        return Response(made, media_type="application/json")

    @app.get("/library/files/{number}")
    async def library_file(request: Request, number: str) -> Response:
        """A file of the map as a MIDI file."""
        return Response(await _library(request).midi(number), media_type=_MIDI)

    @app.get("/library/files/{number}/near")
    async def library_near(request: Request, number: str) -> Response:
        """`{"near": [...]}`: the files most like it, and where."""
        return JSONResponse({"near": await _library(request).near(number)})

    @app.post("/library/place")
    async def library_place(request: Request) -> Response:
        """Where the MIDI file of the body lies on the map, and the files most like it."""
        library = _library(request)
        return JSONResponse(await library.place(await body_of(request, most=MOST_BYTES)))

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        state = websocket.app.state
        if state.clients >= MOST_CLIENTS:
            await websocket.close(1013, f"{MOST_CLIENTS} clients are here already")
            return
        state.clients += 1
        try:
            await Conversation(websocket, state.studio).run()
        finally:
            state.clients -= 1

    app.mount("/samples", StaticFiles(directory=SAMPLES, check_dir=False))
    if PAGE.is_dir():
        app.mount("/", StaticFiles(directory=PAGE, html=True))
    else:
        app.add_api_route("/", _no_page)
    return app


def _studio(request: Request) -> Studio:
    return request.app.state.studio


def _library(request: Request) -> ShownLibrary:
    library = _studio(request).library
    if library is None:
        raise HTTPException(404, "this studio has no library; start it with: partimento studio --library LIBRARY")
    return library


async def _no_page() -> Response:
    return PlainTextResponse(NO_PAGE, status_code=503)


async def _performance(request: Request) -> Performance:
    return await asyncio.to_thread(Performance.from_midi, await body_of(request, most=MOST_BYTES))


def _parameters(request: Request) -> tuple[Fields, str, bool]:
    """Those of the address as JSON values: the others, `format`, and whether `only=new`."""
    values: dict[str, Any] = {}
    for name, text in request.query_params.items():
        try:
            values[name] = json.loads(text)
        except (ValueError, RecursionError):
            values[name] = text
    values.pop("token", None)
    form, only = values.pop("format", "mid"), values.pop("only", None)
    if form not in ("mid", "events"):
        raise ProtocolError("format must be mid or events", field="format")
    if only not in (None, "new"):
        raise ProtocolError("only may be: new", field="only")
    if form == "mid" and values.get("variations", 1) != 1:
        raise ProtocolError("format=mid answers one variation; ask for format=events", field="variations")
    return Fields(values), form, only == "new"


async def _made(request: Request, take: TakeInProgress, form: str, only_new: bool) -> Response:
    """The take as its events or as a file; a client that goes away ends it."""
    if form == "events":
        return StreamingResponse(_lines(take), media_type="application/x-ndjson")
    making = asyncio.create_task(_last_error(take))
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({making, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            return Response(status_code=499)
        error = making.result()
        if error is not None:
            raise ProtocolError(error.message, field=error.field)
    finally:
        take.job.leave()
        making.cancel()
        leaving.cancel()
    (continuation,) = take.continuations
    return Response((continuation.generated if only_new else continuation.performance).to_midi(), media_type=_MIDI)


async def _lines(take: TakeInProgress) -> AsyncIterator[str]:
    try:
        async for message in take.messages():
            yield encode(message) + "\n"
    finally:
        take.job.leave()


async def _last_error(take: TakeInProgress) -> Error | None:
    error = None
    async for message in take.messages():
        error = message if isinstance(message, Error) else None
    return error


def _uploaded(studio: Studio, data: bytes, title: str) -> Response:
    engine = studio.engine
    name, performance = studio.uploads.add(data)
    return JSONResponse(
        {
            "performance": name,
            "title": title[:200] or "untitled",
            "seconds": round(performance.seconds, 6),
            "music": columns(performance),
            "tokens": tokens_behind(engine.vocabulary, performance, pedal=engine.abilities.pedal_tokens),
        }
    )


def _exported(data: bytes, form: str) -> Response:
    fields = Fields.of_text(data)
    fields.word("title", default=None, most=200)
    performance = read_music(fields)
    fields.nothing_else()
    if form == "mid":
        return Response(performance.to_midi(), media_type=_MIDI)
    if performance.seconds > MOST_SOUND_S:
        raise ProtocolError(f"a sound may last {MOST_SOUND_S:.0f} s; 'partimento render' has no such bound")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "take.wav"
        write_sound(path, blocks(performance))
        return Response(path.read_bytes(), media_type="audio/wav")
