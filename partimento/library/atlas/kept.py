"""The map of a library: drawn once, kept in the library's folder, and what is new placed on it.

Knows when a kept map is still one of the library, and what the page says of its files. Refuses to know how places come
about (`map.py`) and what a page is (`page.py`).

    atlas = library_map(library)                       # Atlas, its names are ids of the library
    files = files_of(library, atlas.names)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from partimento.embed.vectors import nearest, unit
from partimento.library.atlas.map import Atlas, MapSettings, draw_map
from partimento.library.atlas.page import MapFiles
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from partimento.library.library import Library

FILE: Final = "atlas.parquet"
KINDS: Final = ("composer", "period", "collection")
"""What a library knows of its files that a map can be coloured by; the last one is where they are from."""


def library_map(
    library: Library,
    settings: MapSettings | None = None,
    *,
    again: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[float], None] | None = None,
) -> Atlas:
    """The library's map, kept in its folder; it is drawn anew only if it has to be, or `again`.

    That is: if there is none, if it was drawn by other `settings`, or if files of it have left the library. Files that
    have come since are placed on it. `say` is told which of these was done, `progress` how much of
    a drawing is done, from 0 to 1. Raises `UserError` for a kept map that is
    damaged, and for too few files.
    """
    path = library.path / FILE
    ids, vectors = library.vectors()
    kept = Atlas.read(path) if path.exists() and not again else None
    if kept is not None and settings is not None and kept.settings != settings:
        kept = None
    if kept is not None and not set(kept.names) <= set(ids):
        say("files of the map have left the library: it is drawn anew")
        settings, kept = kept.settings, None
    if kept is None:
        say(f"drawing a map of {len(ids):,} files")
        atlas = draw_map(vectors, ids, settings, progress=progress)
    else:
        of = {id_: at for at, id_ in enumerate(ids)}
        new = sorted(set(ids) - set(kept.names), key=of.__getitem__)
        if not new:
            return kept
        say(f"placing {len(new):,} files on the map")
        atlas = kept.add(vectors[[of[id_] for id_ in kept.names]], new, vectors[[of[id_] for id_ in new]])
    atlas.write(path)
    return atlas


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a file that is not in the library stands on its map; the ids most like it by the vectors, with cosines."""

    xy: tuple[float, float]
    near: Sequence[tuple[str, float]]


def place_in(library: Library, atlas: Atlas, items: Sequence[Performance | Path]) -> list[Placed]:
    """Where performances or MIDI files stand on the library's map. Raises `UserError` for one that cannot be read."""
    ids, vectors = library.vectors()
    of = {id_: at for at, id_ in enumerate(ids)}
    vectors = vectors[[of[id_] for id_ in atlas.names]]
    new = library.encoder.encode(items)
    # As many as each file of the map has, so that they fit into its table.
    near, distance = nearest(unit(vectors), unit(new), atlas.near.shape[1])
    cosines = 1 - np.square(distance) / 2
    return [
        Placed(
            xy=(float(x), float(y)),
            near=[(atlas.names[at], float(cosine)) for at, cosine in zip(of_one, cosines_of_one, strict=True)],
        )
        for (x, y), of_one, cosines_of_one in zip(atlas.place(vectors, new), near, cosines, strict=True)
    ]


def with_placed(
    atlas: Atlas, files: MapFiles, paths: Sequence[Path], placed: Sequence[Placed]
) -> tuple[Atlas, MapFiles]:
    """The map and what is said of its files, with files behind them that `place_in` has placed."""
    of = {id_: at for at, id_ in enumerate(atlas.names)}
    near = np.array([[of[id_] for id_, _ in one.near] for one in placed], np.int32)
    more = replace(
        atlas,
        names=[*atlas.names, *map(str, paths)],
        xy=np.concatenate([atlas.xy, [one.xy for one in placed]]),
        near=np.concatenate([atlas.near, near]),
    )
    return more, MapFiles(
        paths=[*files.paths, *map(str, paths)],
        titles=[*files.titles, *(path.stem for path in paths)],
        kinds={kind: [*values, *[""] * len(paths)] for kind, values in files.kinds.items()},
    )


def files_of(library: Library, ids: Sequence[str]) -> MapFiles:
    """What a page says of these files of the library."""
    rows = {row["id"]: row for row in library.files().to_pylist()}
    chosen = [rows[id_] for id_ in ids]
    return MapFiles(
        paths=[row["path"] for row in chosen],
        titles=[title_of(row["path"], row["title"]) for row in chosen],
        kinds={kind: [row[kind] or "" for row in chosen] for kind in KINDS},
    )


def title_of(path: str, title: str | None) -> str:
    """What a file is called: its title, else its name and the folder's."""
    return title or "/".join(Path(path).with_suffix("").parts[-2:])
