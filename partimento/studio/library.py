"""The library that a studio was given: its map, its files by their numbers on the map, and where other music lies.

Knows what a page or a program can ask about a library, and that none of it may keep the server or anybody's take
waiting: the map is made in a thread of its own, everything else in a thread and one after the other. Refuses to know
HTTP, how a map is drawn and what is near (`partimento.library`). Nobody names a path: a file is a number, which counts
the files of the map from 0.

    shown = ShownLibrary(Library("music.library"))
    await shown.map()                       # bytes of JSON; meanwhile a str: what is being done
    await shown.midi("7"), await shown.near("7")
    await shown.place(data)                 # a MIDI file that is not in the library

A map is made once for a server: files that the library is given later are on it when the studio is started again.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from partimento.errors import UserError
from partimento.library.adding import ID_LENGTH
from partimento.library.atlas.kept import files_of, library_map, place_in
from partimento.library.atlas.map import Atlas
from partimento.library.atlas.page import Sound, map_json, on_page
from partimento.library.library import Item, Library
from partimento.midi.performance import Performance

T = TypeVar("T")

FILES: Final = "library/files/"
"""The address, beside the page, that a number is put behind."""
MOST_NEAR: Final = 8
_PATIENCE_S: Final = 1.0
"""Who asks for a map that is being made is told after this time how far it is, and asks again."""


class ShownLibrary:
    """One library, for all pages of a server. All methods but `facts` raise `UserError` for what a user can mend."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._title = library.path.resolve().name.removesuffix(".library")
        self._doing = "opening the library"
        self._made: asyncio.Future[bytes | UserError] | None = None
        self._atlas: Atlas | None = None
        self._titles: dict[str, str] = {}
        self._number: dict[str, int] = {}
        self._one_at_a_time = asyncio.Semaphore(1)

    def facts(self) -> dict[str, Any]:
        """`name` and `files`: what a page is greeted with."""
        return {"name": self._title, "files": len(self._library)}

    async def map(self) -> bytes | str:
        """The map as a page reads it (JSON), kept or drawn; if that takes more than a second, how far it is."""
        if self._made is None:
            making: Future[bytes | UserError] = Future()
            making.set_running_or_notify_cancel()  # a client that leaves does not end it
            self._made = asyncio.wrap_future(making)
            # Nobody who ends the server waits for a map of 100,000 files.
            threading.Thread(target=self._make, args=(making,), name="map", daemon=True).start()
        made = self._made
        await asyncio.wait({made}, timeout=_PATIENCE_S)
        if not made.done():
            return self._doing
        result = made.result()
        if isinstance(result, UserError):
            self._made = None  # who has mended it asks again
            raise result
        return result

    async def midi(self, number: str) -> bytes:
        """The file of a number as a MIDI file."""
        id_ = self._id(number)
        return await self._in_turn(lambda: self._library.performance(id_).to_midi())

    async def near(self, number: str) -> list[dict[str, Any]]:
        """The files most like the one of a number, the most alike first, as `Library.find` finds them.

        Of each `number`, `title`, `composer`, `similarity` (cosine), `start` and `end` (seconds of the moment in it
        that is most alike), `query_start` and `query_end` (of the file asked about).
        """
        id_ = self._id(number)
        return await self._in_turn(lambda: self._near(id_))

    async def place(self, data: bytes) -> dict[str, Any]:
        """Where a MIDI file lies: `x`, `y` as on the page's map, and `near` as above; nothing of it is kept.

        `number` is that of the same file in the library, else null.
        """
        atlas = self._there()
        return await self._in_turn(lambda: self._place(atlas, data))

    # -- in threads ---------------------------------------------------------------------------------------------------

    def _make(self, making: Future[bytes | UserError]) -> None:
        try:
            making.set_result(self._map())
        except UserError as error:
            making.set_result(error)
        except OSError as error:
            making.set_result(UserError(f"{self._library.path}: the map cannot be kept: {error.strerror or error}"))
        finally:
            if not making.done():  # a defect, of which the thread tells as it ends
                making.set_result(UserError("the map could not be made; what happened is in the server's log"))

    def _map(self) -> bytes:
        def say(text: str) -> None:
            self._doing = text

        def progress(share: float) -> None:
            self._doing = f"drawing a map of {len(self._library):,} files: {share:.0%}"

        atlas = library_map(self._library, say=say, progress=progress)
        files = files_of(self._library, atlas.names)
        page = map_json(atlas, files, title=self._title, sound=Sound(numbered=FILES))
        self._number = {id_: number for number, id_ in enumerate(atlas.names)}
        self._titles = dict(zip(atlas.names, files.titles, strict=True))
        self._atlas = atlas
        return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()

    def _near(self, query: Item) -> list[dict[str, Any]]:
        rows = self._library.find(query, limit=MOST_NEAR).to_pylist()
        times = ("start", "end", "query_start", "query_end")
        return [
            {
                "number": self._number[row["id"]],
                "title": self._titles[row["id"]],
                "composer": row["composer"] or "",
                "similarity": round(row["similarity"], 4),
                **{name: round(row[name], 3) for name in times},
            }
            for row in rows
            if row["id"] in self._number  # others have come since
        ]

    def _place(self, atlas: Atlas, data: bytes) -> dict[str, Any]:
        performance = Performance.from_midi(data)
        known = self._number.get(performance.source.sha256[:ID_LENGTH])
        xy = atlas.xy[known] if known is not None else place_in(self._library, atlas, [performance])[0].xy
        [(x, y)] = on_page(atlas, [xy]).tolist()
        return {"number": known, "x": x, "y": y, "near": self._near(performance)}

    # -- -------------------------------------------------------------------------------------------------------------

    async def _in_turn(self, work: Callable[[], T]) -> T:
        async with self._one_at_a_time:
            return await asyncio.to_thread(work)

    def _there(self) -> Atlas:
        if self._atlas is None:
            raise UserError("the library's map is not made yet: ask for /library/map first")
        return self._atlas

    def _id(self, number: str) -> str:
        names = self._there().names
        # Digits alone, and few of them: what int() takes besides is no number of ours.
        if not (number.isascii() and number.isdigit() and len(number) <= 9 and int(number) < len(names)):
            raise UserError(f"the files of the map have the numbers 0 to {len(names) - 1}, not {number[:20]!r}")
        return names[int(number)]
