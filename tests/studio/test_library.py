"""The library in the studio: what the server says of it is what the library says, and nobody gets at anything else."""

import base64
import http.client
import json
import pathlib
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from partimento import Library, Performance
from partimento.cli import main
from partimento.library.atlas.kept import FILE
from partimento.library.atlas.map import Atlas
from partimento.studio import library as of_studio
from tests.embed.embedders import model_file
from tests.embed.test_encoder import playing
from tests.generate.generate_music import measured_engine
from tests.library.atlas.test_kept import collected
from tests.studio.serving import Client, ask, served


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Ten pieces by two composers, none of them drawn on a map yet."""
    return collected(tmp_path_factory.mktemp("library"), model_file(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def engine():
    return measured_engine()


@pytest.fixture(scope="module")
def address(engine, library):
    with served(engine, library=library) as address:
        yield address


def drawn(address):
    """The map, once the server has made it."""
    while True:
        status, body = ask(address, "/library/map")
        told = json.loads(body)
        if status != 202:
            return status, told
        assert told["doing"]


def test_the_map_is_that_of_the_library_and_its_numbers_are_its_files(address, library):
    status, told = drawn(address)
    assert (status, told["title"], told["numbered"]) == (200, "mine", "library/files/")
    kept = Atlas.read(library.path / FILE)
    xy = np.stack([np.frombuffer(base64.b64decode(told[axis]), "<f4") for axis in "xy"], axis=1)
    shapes = [one / np.ptp(one, axis=0).max() for one in (xy - xy.mean(axis=0), kept.xy - kept.xy.mean(axis=0))]
    np.testing.assert_allclose(*shapes, atol=1e-4)
    paths = {row["id"]: row["path"] for row in library.files().to_pylist()}
    assert told["names"] == [paths[id_] for id_ in kept.names]
    for number in (0, 9):
        status, data = ask(address, f"/library/files/{number}")
        assert status == 200
        assert Performance.from_midi(data) == Performance.from_midi(library.performance(kept.names[number]).to_midi())
    with Client(address) as client:
        assert client.hello["library"] == {"name": "mine", "files": 10}


def named(library, near):
    """Ids, similarities and moments of an answer."""
    names = Atlas.read(library.path / FILE).names
    return [(names[one["number"]], one["similarity"], one["start"], one["end"]) for one in near]


def expected(library, query):
    rows = library.find(query, limit=8).to_pylist()
    values = ("similarity", "start", "end")
    return [(row["id"], *(pytest.approx(row[name], abs=1e-3) for name in values)) for row in rows]


def test_what_is_near_is_what_find_names(address, library):
    drawn(address)
    id_ = Atlas.read(library.path / FILE).names[5]
    near = json.loads(ask(address, "/library/files/5/near")[1])["near"]
    assert named(library, near) == expected(library, id_) and len(near) == 8
    assert {one["composer"] for one in near} == {"bach", "chopin"}
    titles = {row["id"]: Path(row["path"]).stem for row in library.files().to_pylist()}
    assert [one["title"].split("/")[1] for one in near] == [titles[id_] for id_, *_ in named(library, near)]


def test_a_file_from_elsewhere_is_placed_and_one_of_the_library_is_known_again(address, library):
    _, told = drawn(address)
    before = (library.path / FILE).read_bytes()
    found = playing(99, 150)
    status, body = ask(address, "/library/place", found.to_midi())
    placed = json.loads(body)
    assert (status, placed["number"]) == (200, None)
    assert abs(placed["x"]) < 2 and abs(placed["y"]) < 2
    assert named(library, placed["near"]) == expected(library, Performance.from_midi(found.to_midi()))
    with pathlib.Path(told["names"][3]).open("rb") as file:
        again = json.loads(ask(address, "/library/place", file.read())[1])
    x, y = (np.frombuffer(base64.b64decode(told[axis]), "<f4")[3] for axis in "xy")
    assert again["number"] == 3 and (again["x"], again["y"]) == (pytest.approx(x), pytest.approx(y))
    assert 3 not in {one["number"] for one in again["near"]}
    assert (library.path / FILE).read_bytes() == before and len(library) == 10


def test_only_numbers_of_the_map_are_files_and_every_refusal_is_one_line(address):
    drawn(address)
    for number in ("10", "-1", "1e3", "0x1", "%D9%A3", "9" * 5000, "00000000000", "%2e%2e", "midi", "1.0"):
        for path in (f"/library/files/{number}", f"/library/files/{number}/near"):
            status, body = ask(address, path)
            error = json.loads(body)["error"]
            assert status in (404, 422) and "\n" not in error and len(error) < 120, path
            assert status == 404 or "numbers 0 to 9" in error
    for path in ("/library/files/%2Fetc%2Fpasswd", "/library/files/../map.json", "/library/nowhere"):
        assert ask(address, path)[0] == 404
    silent = Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[]).to_midi()
    for body, said in ((b"no midi", "MIDI"), (b"", "empty"), (silent, "notes")):
        status, answer = ask(address, "/library/place", body)
        error = json.loads(answer)["error"]
        assert status == 422 and said in error and "\n" not in error
    assert ask(address, "/library/map", Origin="http://elsewhere.example")[0] == 403


def test_what_is_not_there_yet_is_said_and_a_map_that_cannot_be_is_one_line(engine, library, tmp_path):
    few = Library.create(tmp_path / "few.library", model=library.model)
    with served(engine, library=few) as address:
        status, body = ask(address, "/library/files/0")
        assert (status, "/library/map first" in json.loads(body)["error"]) == (422, True)
        for _ in range(2):  # it can be asked for again
            status, told = drawn(address)
            assert status == 422 and "at least 5" in told["error"]
    with served(engine) as address:
        status, body = ask(address, "/library/map")
        assert (status, "--library" in json.loads(body)["error"]) == (404, True)
        with Client(address) as client:
            assert client.hello["library"] is None


def test_takes_go_on_while_a_map_is_drawn(engine, library, monkeypatch):
    """The map waits for a take: if one thread did both, neither would end."""
    taken = threading.Event()

    def drawing(*_args, progress, **_options):
        progress(0.5)
        assert taken.wait(60)
        return Atlas.read(library.path / FILE)

    monkeypatch.setattr(of_studio, "library_map", drawing)
    with served(engine, library=library) as address, Client(address) as client:
        status, body = ask(address, "/library/map")
        assert (status, json.loads(body)) == (202, {"doing": "drawing a map of 10 files: 50%"})
        client.continue_("a", seconds=1, candidates=1)
        assert client.takes("a")
        taken.set()
        assert drawn(address)[0] == 200


def test_only_the_map_s_page_may_turn_text_into_code(address):
    def policy(path):
        connection = http.client.HTTPConnection(address)
        connection.request("GET", path)
        return connection.getresponse().headers["Content-Security-Policy"]

    assert "script-src 'self' 'unsafe-eval'; frame-ancestors 'self'" in policy("/library.html")
    for path in ("/", "/model", "/library/map", "/library.html/", "/listen.html", "/LIBRARY.html"):
        assert "unsafe-eval" not in policy(path) and "frame-ancestors 'none'" in policy(path)


def test_a_library_that_is_none_and_one_without_its_extra_are_one_line(tmp_path, library, capsys, monkeypatch):
    assert main(["studio", "--no-browser", "--library", str(tmp_path)]) == 2
    complaint = capsys.readouterr().err
    assert "no library here" in complaint and complaint.count("\n") == 1
    monkeypatch.setitem(sys.modules, "lancedb", None)
    assert main(["studio", "--no-browser", "--library", str(library.path)]) == 2
    complaint = capsys.readouterr().err
    assert "pip install 'partimento[library]'" in complaint and complaint.count("\n") == 1
