"""A map as one page that needs nothing else: the points, what is known of the files, and the script that draws them.

Knows the JSON that the script reads (studio/web/src/atlas/data.ts) and the colours. Refuses to know where places and
labels come from, and the script itself, which the studio's build makes.

    files = MapFiles(paths=paths, titles=titles, kinds={"composer": composers})
    write_page("atlas.html", atlas, files, script=Path("atlas.js").read_text(), title="My collection")

Shape legend: n files, k neighbours.
"""

from __future__ import annotations

import base64
import html
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from partimento.files import replacing
from partimento.library.atlas.map import Atlas

LIGHT: Final = (
    "#2f6fd0", "#e06a12", "#178a62", "#c42a6e", "#7d55c7", "#a88400", "#0891a8", "#d63a34", "#7a5340", "#6c9c1e",
    "#e07fb5",
)  # fmt: skip
DARK: Final = (
    "#6ea8ff", "#ff9a4d", "#3ccf9c", "#ff6fa8", "#b493ff", "#e0bd2e", "#3fd0e6", "#ff7a72", "#c69a82", "#a8dc55",
    "#ffb3d9",
)  # fmt: skip
"""Colours of the classes with most files, on light and on dark ground."""
GREY: Final = ("#b9b4ab", "#57534c")
"""Of all other files, on light and on dark ground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFiles:
    """What is said of the n files of a map: where each is, its title, and for each kind of label a value.

    The value "" stands for what is not known.
    """

    paths: Sequence[str]
    titles: Sequence[str]
    kinds: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in {"titles": self.titles, **self.kinds}.items():
            if len(values) != len(self.paths):
                raise ValueError(f"{name}: {len(values)} values for {len(self.paths)} files; give one for each")

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """How a page comes by the music of its files; all fields are empty where it does not.

    `numbered` is an address that a file's number is put behind, for a page of a server; or `music` holds the files
    themselves and `piano` the recordings of the piano by their names.
    """

    numbered: str | None = None
    music: Sequence[bytes] | None = None
    piano: Mapping[str, bytes] | None = None


def classes_of(values: Sequence[str]) -> tuple[list[str], list[int]]:
    """Labels -> classes, those with most files first and "" last, and the class of each label.

    The first classes have the colours of `LIGHT` and `DARK`: ["bach", "", "bach", "liszt"] -> ["bach", "liszt", ""],
    [0, 2, 0, 1].
    """
    counts = Counter(values)
    # Of equal counts the first by name, so that nothing hangs on the order of files.
    classes = sorted(counts, key=lambda value: (not value, -counts[value], value))
    number = {name: at for at, name in enumerate(classes)}
    return classes, [number[value] for value in values]


def on_page(atlas: Atlas, xy: ArrayLike) -> NDArray[np.float64]:
    """Places [m, 2] of the map -> places of its page, float64 [m, 2]: the map's own files lie from -0.95 to 0.95."""
    low, high = atlas.xy.min(axis=0), atlas.xy.max(axis=0)
    # Both axes by one scale, the longer one from edge to edge with a rim.
    return (np.asarray(xy) - (low + high) / 2) / max(float((high - low).max()), np.finfo(float).tiny) * 1.9


def map_json(atlas: Atlas, files: MapFiles, *, title: str, sound: Sound | None = None) -> dict[str, Any]:
    """What the script reads, as values of JSON."""
    sound = sound or Sound()
    scaled = on_page(atlas, atlas.xy)
    kinds = [(name, *classes_of(values)) for name, values in files.kinds.items()]
    return {
        "title": title,
        "about": atlas.about,
        "names": list(files.paths),
        "titles": list(files.titles),
        "x": _packed(scaled[:, 0], "<f4"),
        "y": _packed(scaled[:, 1], "<f4"),
        "kinds": [{"name": name, "classes": classes, "of": _packed(of, "<u2")} for name, classes, of in kinds],
        "colours": {"light": [*LIGHT, GREY[0]], "dark": [*DARK, GREY[1]]},
        "near": _packed(atlas.near, "<i4"),
        "neighbours": atlas.near.shape[1],
        "placed": list(range(atlas.drawn, len(atlas))),
        "numbered": sound.numbered,
        "music": sound.music and [base64.b64encode(one).decode() for one in sound.music],
        "piano": sound.piano and {name: base64.b64encode(one).decode() for name, one in sound.piano.items()},
    }


def page(atlas: Atlas, files: MapFiles, *, script: str, title: str, sound: Sound | None = None) -> str:
    """The whole page as HTML."""
    if len(files) != len(atlas):
        raise ValueError(f"{len(files)} files said for a map of {len(atlas)}: give one for each")
    if sound is not None and sound.music is not None and len(sound.music) != len(atlas):
        raise ValueError(f"music of {len(sound.music)} files for a map of {len(atlas)}: give one for each")
    data = json.dumps(map_json(atlas, files, title=title, sound=sound), ensure_ascii=False)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title)}</title><style>body{{margin:0}}</style></head><body>"
        # Neither JSON nor script may end the element that holds it.
        f'<partimento-atlas><script type="application/json">{data.replace("<", chr(92) + "u003c")}</script>'
        f"</partimento-atlas><script>{script.replace('</script', '<' + chr(92) + '/script')}</script></body></html>\n"
    )


def write_page(
    path: str | os.PathLike[str], atlas: Atlas, files: MapFiles, *, script: str, title: str, sound: Sound | None = None
) -> None:
    """Write `page` as a file, whole or not at all."""
    with replacing(path) as part:
        part.write_text(page(atlas, files, script=script, title=title, sound=sound), encoding="utf-8")


def _packed(numbers: ArrayLike, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, np.dtype(dtype)).tobytes()).decode()
