"""A map's page in Chromium: how long it takes to open, and milliseconds between frames, with 100,000 points.

python -m benchmarks.library.page --chromium /usr/bin/chromium -o page.md
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from gzip import compress
from pathlib import Path

import numpy as np

from benchmarks.common import Program, publish, table
from partimento.library.atlas.map import NEIGHBOURS, Atlas, MapSettings
from partimento.library.atlas.page import MapFiles, page
from partimento.studio.build import PAGE, SOURCES, build, tools

WORDS = {
    "still": "nothing moves",
    "hovering": "the pointer moves over points",
    "zooming": "zooming (all points drawn anew)",
    "moving": "dragging the map (all points drawn anew)",
}
COMPUTED = ("computed for each, all processes", "the page's own thread", "its script")


def made_up(points: int) -> tuple[Atlas, MapFiles]:
    """Points around forty places, with titles and labels as long as those of files."""
    random = np.random.default_rng(0)
    group = random.integers(0, 40, points)
    xy = random.normal(size=(40, 2))[group] * 30 + random.normal(size=(points, 2)) * 4
    near = random.integers(0, points, (points, NEIGHBOURS)).astype(np.int32)
    names = [f"collection {one % 5}/composer {one}/opus {at}.mid" for at, one in enumerate(group.tolist())]
    kinds = {
        "composer": [f"composer {one}" if one < 30 else "" for one in group.tolist()],
        "collection": [f"collection {one % 5}" for one in group.tolist()],
    }
    atlas = Atlas(names=names, xy=xy, near=near, drawn=points, settings=MapSettings(), divergence=1.0)
    return atlas, MapFiles(paths=names, titles=[name.rpartition("/")[2] for name in names], kinds=kinds)


def main(words: Sequence[str] | None = None) -> None:
    """Makes the page, runs web/test/measure-atlas.mjs, and writes the page of results."""
    program = Program(__file__, __doc__, needs="it needs Chromium and npm")
    program.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    program.add_argument("--points", type=int, default=100_000)
    arguments = program.parse_args(words)
    build()
    text = page(*made_up(arguments.points), script=(PAGE / "atlas.js").read_text(encoding="utf-8"), title="Made up")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "atlas.html"
        file.write_text(text, encoding="utf-8")
        command = [tools()[0], "test/measure-atlas.mjs", str(file), arguments.chromium]
        done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    rows = [
        (WORDS[name], *(f"{of[key]:.1f}" for key in ("median", "p95", "computed", "task", "script")))
        for name, of in found["frames"].items()
    ]
    data, script = text.encode(), (PAGE / "atlas.js").stat().st_size
    publish(
        arguments,
        "The page of a map",
        f"{arguments.points:,} points, 1440 x 900 pixels, drawn by {found['renderer']}.",
        table(["milliseconds between frames", "median", "95th percentile", *COMPUTED], rows),
        f"From opening to the first picture: {found['opened'] / 1000:.1f} s. The page has {len(data) / 1e6:.1f} MB, "
        f"{len(compress(data)) / 1e6:.1f} MB by gzip; {script / 1000:.0f} kB of it are the script.",
    )


if __name__ == "__main__":
    main()
