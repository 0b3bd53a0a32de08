"""Wherever files lie, the same paths give the same bytes; what cannot be read is said and keeps nobody else."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from partimento.corpus.archives import SourceError
from partimento.corpus.sources import open_source
from partimento.midi.reader import MAX_BYTES
from tests.corpus.collections_of_midi import write_folder, write_tar, write_zip

FILES = {"b/Two.MID": b"two", "a.mid": b"one", "b/c/three.midi": b"three" * 1000, "b/é.kar": b"four", "d/five.rmi": b""}
OTHERS = {"b/readme.txt": b"-", "b/mid": b"-", "b/._a.mid": b"a resource fork"}


def contents(source, paths=None) -> dict[str, bytes | SourceError]:
    return dict(source.read_many(paths if paths is not None else [entry.path for entry in source.entries()]))


@pytest.fixture(params=["folder", "zip", "tar", "tar.gz", "tar.xz", "url"])
def location(request, tmp_path):
    kind = request.param
    everything = FILES | OTHERS
    if kind in ("folder", "url"):
        folder = write_folder(tmp_path / "midi", everything)
        return str(folder) if kind == "folder" else f"file://{folder}"
    if kind == "zip":
        return str(write_zip(tmp_path / "midi.zip", everything))
    return str(write_tar(tmp_path / f"midi.{kind}", everything, f"w:{kind[4:]}"))


def test_every_kind_of_source_has_the_same_files(location):
    source = open_source(location)
    entries = list(source.entries())
    assert sorted(entry.path for entry in entries) == sorted(FILES)
    assert {entry.path: entry.size for entry in entries} == {path: len(data) for path, data in FILES.items()}
    assert contents(source) == FILES
    assert contents(source, ["b/c/three.midi", "a.mid"]) == {p: FILES[p] for p in ("a.mid", "b/c/three.midi")}
    assert [contents(source, [path]) for path in FILES] == [{path: data} for path, data in FILES.items()]
    assert contents(source, sorted(FILES, reverse=True)) == FILES


def test_what_is_missing_is_said_and_the_others_are_read(location):
    found = contents(open_source(location), ["a.mid", "gone.mid", "b/Two.MID"])
    gone = found.pop("gone.mid")
    assert found == {"a.mid": b"one", "b/Two.MID": b"two"}
    assert isinstance(gone, SourceError) and "gone.mid" in str(gone)


def test_members_of_archives_in_a_folder(tmp_path):
    write_folder(tmp_path, {"plain.mid": b"plain"})
    (tmp_path / "sub").mkdir()
    write_zip(tmp_path / "sub/x.zip", FILES)
    write_tar(tmp_path / "y.tgz", FILES)
    for rest in sorted((tmp_path / "y.tgz-members").rglob("*"), reverse=True):
        rest.unlink() if rest.is_file() else rest.rmdir()
    (tmp_path / "bad.zip").write_bytes(b"PK but no")
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "y.tgz").read_bytes()[:200])
    source = open_source(tmp_path)
    entries = list(source.entries())
    inside = {f"{a}!/{path}": data for a in ("sub/x.zip", "y.tgz") for path, data in FILES.items()}
    assert {entry.path for entry in entries} == {"plain.mid", "bad.zip", "cut.tar.gz", *inside}
    paths = [entry.path for entry in entries]
    assert [path.partition("!/")[0] for path in paths[3:]] == ["sub/x.zip"] * len(FILES) + ["y.tgz"] * len(FILES)
    found = contents(source, paths)
    assert all(isinstance(found.pop(path), SourceError) for path in ("bad.zip", "cut.tar.gz"))
    assert found == inside | {"plain.mid": b"plain"}
    assert contents(source, ["y.tgz!/a.mid"]) == {"y.tgz!/a.mid": b"one"}
    assert all(isinstance(data, SourceError) for data in contents(source, ["bad.zip!/a.mid", "gone.zip!/b"]).values())


def test_times_of_modification(tmp_path):
    when = datetime(2024, 2, 29, 12, 30, 2, tzinfo=UTC)
    folder = write_folder(tmp_path / "midi", {"a.mid": b"x"})
    os.utime(folder / "a.mid", ns=(0, int(when.timestamp()) * 10**9 + 7))
    assert open_source(folder).entries()[0].modified_ns == int(when.timestamp()) * 10**9 + 7
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.mid", (2024, 2, 29, 12, 30, 2)), b"x")
    assert open_source(tmp_path / "a.zip").entries()[0].modified_ns == int(when.timestamp()) * 10**9


@pytest.mark.linux
def test_names_that_are_not_text_and_links_to_nowhere(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mid")).write_bytes(b"latin")
    (tmp_path / "a\\xe9.mid").write_bytes(b"literal")
    (tmp_path / "lost.mid").symlink_to("nowhere")
    source = open_source(tmp_path)
    paths = [entry.path for entry in source.entries()]
    assert paths == ["a\\xe9.mid", "caf\\xe9.mid", "lost.mid"]
    literal, latin, lost = contents(source, paths).values()
    assert (literal, latin) == (b"literal", b"latin") and "no such file" in str(lost)


@pytest.mark.linux
def test_places_whose_names_are_not_text_are_written_so_that_they_can_be_opened_again(tmp_path):
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    write_folder(place / "f", {"a.mid": b"one"})
    write_zip(place / "z.zip", {"a.mid": b"one"})
    for name, paths in {
        "f": ["a.mid"],
        "z.zip": ["a.mid"],
        "f/a.mid": ["a.mid"],
        "": ["f/a.mid", "z.zip!/a.mid"],
    }.items():
        source = open_source(place / name)
        assert source.location.encode() == os.fsencode(tmp_path) + rb"/caf\xe9" + (f"/{name}" if name else "").encode()
        assert contents(open_source(source.location)) == dict.fromkeys(paths, b"one")
    with pytest.raises(SourceError, match=r"gone\\xe9: no such folder"):
        open_source(Path(os.fsdecode(os.fsencode(tmp_path) + b"/gone\xe9")))


def test_no_more_is_read_than_can_be_refused(tmp_path):
    files = {"large.mid": bytes(MAX_BYTES + 1000)}
    for source in (write_folder(tmp_path / "f", files), write_zip(tmp_path / "z.zip", files)):
        assert len(contents(open_source(source))["large.mid"]) == MAX_BYTES + 1


def test_one_midi_file_is_a_source_too(tmp_path):
    write_folder(tmp_path / "f", {"a.mid": b"one", "b.mid": b"two"})
    source = open_source(tmp_path / "f" / "a.mid")
    assert [entry.path for entry in source.entries()] == ["a.mid"]
    assert contents(open_source(source.location)) == {"a.mid": b"one"}


def test_what_is_no_source_is_said_in_one_line(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"")
    (tmp_path / "x.zip").write_bytes(b"no archive")
    for location, complaint in [("nowhere", "no such"), ("x.txt", "neither"), ("x.zip", "not a zip")]:
        with pytest.raises(SourceError, match=complaint):
            open_source(tmp_path / location)
    with pytest.raises(SourceError, match="nowhere"):
        list(open_source(f"file://{tmp_path}/nowhere").entries())
    (tmp_path / "x.tar").write_bytes(b"no archive either" * 100)
    with pytest.raises(SourceError, match=r"x\.tar"):
        list(open_source(tmp_path / "x.tar").entries())
