"""The page and the picture of a map: what they say is what is there; and the page in Chromium, as people use it.

Where no Chromium is found the last test is skipped and says so; `.ci/run` installs one and sets
PARTIMENTO_NEEDS_CHROMIUM.
"""

import base64
import json
import os
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from partimento import Performance
from partimento.audio.fetch import FOLDER
from partimento.errors import UserError
from partimento.library.atlas.figure import write_figure
from partimento.library.atlas.map import MapSettings, draw_map
from partimento.library.atlas.page import LIGHT, MapFiles, Sound, classes_of, page, write_page
from partimento.studio.build import PAGE, build
from tests.library.atlas.test_map import vectors
from tests.studio.node import CHROMIUM, run

N = 40
HOSTILE = "<b>bach</b>"


@pytest.fixture(scope="module")
def drawn():
    x, group = vectors(N, groups=2)
    names = [f"{i}.mid" for i in range(N)]
    atlas = draw_map(x, names, MapSettings(perplexity=5, exaggerated=60, steps=60))
    composers = [HOSTILE if one == 1 else "" for one in group]
    titles = [f"Piece {i}" for i in range(N)]
    return atlas, MapFiles(paths=[f"music/{i}.mid" for i in range(N)], titles=titles, kinds={"composer": composers})


class Reader(HTMLParser):
    """The contents of a page's scripts, and its other text, as a browser divides them."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.text, self._inside = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._inside = tag == "script"
        self.scripts += [""] * self._inside

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data
        else:
            self.text += data


def test_the_page_holds_the_map_whatever_files_are_called(drawn):
    atlas, files = drawn
    script = "const x = '<\\u002fscript>'; const y = '</script>';"
    made = Reader(page(atlas, files, script=script, title="A & </title> <b>"))
    held, own = made.scripts
    assert own == script.replace("</script>", "<\\/script>") and "A & </title> <b>" in made.text
    data = json.loads(held)
    assert (data["names"], data["titles"], data["about"]) == (files.paths, files.titles, atlas.about)
    (kind,) = data["kinds"]
    of = np.frombuffer(base64.b64decode(kind["of"]), "<u2")
    assert [kind["classes"][number] for number in of] == files.kinds["composer"]
    near = np.frombuffer(base64.b64decode(data["near"]), "<i4").reshape(N, data["neighbours"])
    assert (near == atlas.near).all()
    xy = np.stack([np.frombuffer(base64.b64decode(data[axis]), "<f4") for axis in "xy"], axis=1)
    assert np.abs(xy).max() == pytest.approx(0.95)
    shape = (atlas.xy - atlas.xy.mean(axis=0)) / np.linalg.norm(atlas.xy - atlas.xy.mean(axis=0))
    centred = xy - xy.mean(axis=0)
    np.testing.assert_allclose(centred / np.linalg.norm(centred), shape, atol=1e-6)


@given(st.lists(st.sampled_from(["", "a", "b", "c", "d"])))
def test_classes_come_by_the_number_of_their_files_and_the_unknown_last(values):
    classes, of = classes_of(values)
    assert [classes[number] for number in of] == values
    counts = Counter(values)
    named = [name for name in classes if name]
    assert classes == named + [""] * ("" in counts)
    assert all(counts[a] >= counts[b] for a, b in pairwise(named))


def test_the_picture_shows_every_class_and_is_the_same_every_time(drawn, tmp_path):
    atlas, files = drawn
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        write_figure(tmp_path / name, atlas, files, named={3: "a waltz"})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    colour = np.array([int(LIGHT[0][at : at + 2], 16) for at in (1, 3, 5)])
    assert (np.abs(pixels.astype(int) - colour).max(axis=1) <= 2).sum() > 50
    with pytest.raises(UserError, match=r"\.png, \.svg, \.pdf"):
        write_figure(tmp_path / "a.gif", atlas, files)


def test_lists_of_unlike_length_are_refused(drawn):
    atlas, _ = drawn
    with pytest.raises(ValueError, match="titles: 1 values for 2 files"):
        MapFiles(paths=["a", "b"], titles=["a"])
    with pytest.raises(ValueError, match="1 files said for a map of 40"):
        page(atlas, MapFiles(paths=["a"], titles=["a"]), script="", title="")


@pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("PARTIMENTO_NEEDS_CHROMIUM"),
    reason="no Chromium on this machine: the map was not tried in a browser (Debian: apt-get install chromium)",
)
def test_the_page_in_a_browser(drawn, tmp_path):
    assert CHROMIUM is not None, "PARTIMENTO_NEEDS_CHROMIUM is set, and there is no Chromium"
    build()
    atlas, files = drawn
    music = Performance.from_notes(pitch=[60] * 20, velocity=[60] * 20, onset=np.arange(20) * 1.0, duration=[0.5] * 20)
    piano = {path.name: path.read_bytes() for path in FOLDER.glob("*.ogg")}
    sound = Sound(music=[music.to_midi()] * N, piano=piano)
    script = (PAGE / "atlas.js").read_text(encoding="utf-8")
    write_page(tmp_path / "atlas.html", atlas, files, script=script, title="Forty pieces", sound=sound)
    run(
        "vitest/vitest.mjs",
        "run",
        "--dir=test/e2e",
        "--testTimeout=240000",
        "--hookTimeout=240000",
        "--expect.poll.timeout=60000",
        "atlas",
        PARTIMENTO_MAP=str(tmp_path / "atlas.html"),
        PARTIMENTO_CHROMIUM=CHROMIUM,
    )
