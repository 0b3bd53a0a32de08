"""The map that a library keeps: when it is drawn, when files are placed on it, and what the verb says and writes."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from partimento import Performance
from partimento.cli import main
from partimento.library.atlas.kept import FILE, files_of, library_map, place_in
from partimento.library.atlas.map import Atlas, MapSettings
from partimento.library.library import Library
from partimento.studio.build import build
from tests.embed.embedders import model_file
from tests.embed.test_encoder import playing
from tests.library.atlas.test_page import Reader

QUICK = MapSettings(perplexity=3, exaggerated=10, steps=10)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return model_file(tmp_path_factory.mktemp("model"))


def collected(folder: Path, model: Path) -> Library:
    """Ten pieces by two composers."""
    for seed in range(10):
        path = folder / "midi" / ("Chopin" if seed % 2 else "Bach") / f"piece {seed}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        playing(seed, 60).write_midi(path)
    return Library.create(folder / "mine.library", model=str(model)).add(folder / "midi")


@pytest.fixture(scope="module")
def library(model, tmp_path_factory) -> Library:
    return collected(tmp_path_factory.mktemp("library"), model)


def test_a_map_is_drawn_once_and_new_files_are_placed_on_it(model, tmp_path):
    library = collected(tmp_path, model)
    said: list[str] = []
    first = library_map(library, QUICK, say=said.append)
    assert sorted(first.names) == sorted(library.vectors()[0]) and first.drawn == 10
    again = library_map(library, say=said.append)
    assert again.xy.tobytes() == first.xy.tobytes() and said == ["drawing a map of 10 files"]
    for seed in (20, 21):
        playing(seed, 60).write_midi(tmp_path / f"midi/Bach/later {seed}.mid")
    more = library_map(library.add(tmp_path / "midi"), say=said.append)
    assert said[1:] == ["placing 2 files on the map"] and (more.drawn, len(more)) == (10, 12)
    assert more.xy[:10].tobytes() == first.xy.tobytes() and more.names[:10] == first.names
    assert Atlas.read(library.path / FILE).xy.tobytes() == more.xy.tobytes()
    placed = place_in(library, more, [library.performance(more.names[10])])
    np.testing.assert_allclose(placed[0].xy, more.xy[10], atol=1e-3)
    assert placed[0].near[0] == (more.names[10], pytest.approx(1, abs=1e-6))

    (tmp_path / "midi/Chopin/piece 3.mid").unlink()
    fewer = library_map(library.add(tmp_path / "midi"), say=said.append)
    assert said[2:] == ["files of the map have left the library: it is drawn anew", "drawing a map of 11 files"]
    assert (fewer.settings, fewer.drawn) == (QUICK, 11)
    other = library_map(library, MapSettings(perplexity=2, exaggerated=10, steps=10))
    assert other.settings.perplexity == 2


def test_what_is_said_of_files_is_what_the_library_knows(library):
    ids = library.vectors()[0][::-1]
    files = files_of(library, ids)
    assert [Path(path).name for path in files.paths] == [f"piece {seed}.mid" for seed in (9, 7, 5, 3, 1, 8, 6, 4, 2, 0)]
    assert files.kinds["composer"] == ["chopin"] * 5 + ["bach"] * 5
    assert files.kinds["period"] == ["romantic"] * 5 + ["baroque"] * 5
    assert files.titles[0] == "Chopin/piece 9"


def test_the_verb_writes_page_and_figure_and_says_where_a_new_file_stands(library, tmp_path, capsys):
    build()
    new = tmp_path / "found.mid"
    playing(3, 60).write_midi(new)
    out, figure = tmp_path / "atlas.html", tmp_path / "atlas.png"
    words = [
        "atlas",
        str(library.path),
        "-o",
        str(out),
        "--figure",
        str(figure),
        "--place",
        str(new),
        "--colour",
        "period",
    ]
    assert main([*words, "--perplexity", "2.5", "--music"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "perplexity 2.5" in said[0] and said[1].startswith(f"{new}: at (")
    assert said[2].split() == ["1.000", "Chopin/piece", "3", "(chopin)"]
    data = json.loads(Reader(out.read_text(encoding="utf-8")).scripts[0])
    assert data["title"] == "mine" and data["titles"][-1] == "found" and data["placed"] == [10]
    assert [kind["name"] for kind in data["kinds"]] == ["period", "composer", "collection"]
    music = [Performance.from_midi(base64.b64decode(one)) for one in data["music"]]
    assert len(music) == 11 and music[10] == Performance.from_midi(new) and len(data["piano"]) == 30
    assert figure.read_bytes().startswith(b"\x89PNG") and len(Atlas.read(library.path / FILE)) == 10


def test_what_the_user_can_mend_is_one_line(library, tmp_path, capsys, monkeypatch):
    build()
    monkeypatch.chdir(tmp_path)
    for words, said in (
        (["nowhere"], "no library here"),
        ([str(library.path), "--place", "absent.mid"], "absent.mid"),
        ([str(library.path), "--perplexity", "0.1"], "perplexity is 0.1; give at least 1"),
        ([str(library.path), "--figure", "a.gif"], "choose one of these endings"),
    ):
        assert main(["atlas", *words]) == 2
        assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "atlas.html").exists()
