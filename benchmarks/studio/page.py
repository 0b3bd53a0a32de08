"""The studio's page in Chromium: milliseconds from a dropped file to its roll, and between frames with 5,000 notes.

python -m benchmarks.studio.page --chromium /usr/bin/chromium -o page.md
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
from benchmarks.studio.load import server
from partimento import Performance
from partimento.studio.build import PAGE, SOURCES, build, tools

NOTES = 5000
WORDS = {
    "drop": "from the drop to the roll",
    "still": "between frames, nothing moves",
    "scrolling": "between frames, scrolling (all notes painted anew)",
    "playing": "between frames, playing",
    "both": "between frames, scrolling while it plays",
}


def main(words: Sequence[str] | None = None) -> None:
    """Serves the studio, runs web/test/measure.mjs, and writes the page of results."""
    program = Program(__file__, __doc__, needs="it needs Chromium and npm")
    program.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    arguments = program.parse_args(words)
    build()
    random = np.random.default_rng(0)
    music = Performance.from_notes(
        pitch=random.integers(30, 100, NOTES),
        velocity=random.integers(20, 120, NOTES),
        onset=np.arange(NOTES) * 0.06,
        duration=random.uniform(0.05, 0.6, NOTES),
        pedal=[(second, second + 1.8) for second in range(0, 300, 2)],
    )
    with tempfile.TemporaryDirectory() as folder, server([]) as running:
        file = Path(folder) / "many.mid"
        music.write_midi(file)
        address = running.address.replace("ws://", "http://").removesuffix("socket")
        command = [tools()[0], "test/measure.mjs", address, str(file), arguments.chromium]
        done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    rows = [(WORDS[name], f"{of['median']:.1f}", f"{of['p95']:.1f}") for name, of in found.items()]
    size = sum(len(compress(path.read_bytes())) for path in PAGE.rglob("*") if path.is_file())
    publish(
        arguments,
        "The studio's page",
        f"{NOTES:,} notes, all of them to be seen, 1440 x 900 pixels, no graphics processor.",
        table(["milliseconds", "median", "95th percentile"], rows),
        f"The page with everything but the recordings: {size / 1000:.0f} kB by gzip.",
    )


if __name__ == "__main__":
    main()
