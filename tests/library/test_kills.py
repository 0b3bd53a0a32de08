"""Whenever adding ends, the next one makes the same library of what it left; meanwhile others read whole blocks."""

import shutil
import signal
from pathlib import Path

import pytest

from partimento.errors import UserError
from partimento.library import adding
from partimento.library.library import Library
from partimento.library.tables import FILES, SLICES, Tables
from tests import programs
from tests.embed.embedders import model_file
from tests.embed.test_encoder import playing


@pytest.fixture
def midi(tmp_path) -> Path:
    folder = tmp_path / "midi"
    folder.mkdir()
    for seed in range(5):
        playing(seed, 100 + 150 * seed).write_midi(folder / f"{seed}.mid")
    return folder


@pytest.fixture
def empty(tmp_path) -> Library:
    return Library.create(tmp_path / "library", model=str(model_file(tmp_path)))


def rows(library: Library) -> list:
    """Everything that a library holds, row by row."""
    return [
        sorted(library._tables.rows(name, schema.names).to_pylist(), key=lambda row: (row["id"], row.get("slice")))
        for name, schema in library._tables.schemas().items()
    ]


def test_from_every_moment_of_an_addition_the_next_one_makes_the_same_library(midi, empty, tmp_path, monkeypatch):
    """Files are added, moved, changed and removed; what stands on the disk around each write is what a kill leaves."""
    monkeypatch.setattr(adding, "FILES_AT_ONCE", 2)
    empty.add(midi)
    (midi / "0.mid").rename(midi / "moved.mid")
    (midi / "1.mid").unlink()
    for seed in (2, 7, 8, 9):
        playing(10 + seed, 330).write_midi(midi / f"{seed}.mid")
    left: list[Path] = []
    disk: list[str] = []

    told = Tables._told

    def watched(self: Tables):
        """Every read and write goes through this; what is on the disk is kept where it has changed since."""
        now = sorted(str(path) for path in empty.path.rglob("*"))
        if now != disk:
            disk[:] = now
            left.append(tmp_path / f"killed-{len(left)}")
            shutil.copytree(empty.path, left[-1])
        return told(self)

    with monkeypatch.context() as patch:
        patch.setattr(Tables, "_told", watched)
        empty.add(midi, tags=["mine"])
    assert len(left) > 8
    expected, states = rows(empty), []
    assert [len(table) for table in expected] == [8 - 1, sum(row["slices"] for row in expected[0])]
    for path in left:
        killed = Library(path)
        states.append(str(rows(killed)))
        killed.add(midi, tags=["mine"])
        assert rows(killed) == expected
    assert len(set(states)) > 6


def test_killed_in_earnest_while_another_process_reads(midi, empty, tmp_path):
    """Between slices and files, which are written one after the other; its lock is gone with it."""
    whole, reader = Library.create(tmp_path / "whole", model=empty.model).add(midi), Library(empty.path)
    assert len(reader) == 0
    programs.run("tests.library.killed_writing", whole.path, empty.path, status=-signal.SIGKILL)
    assert reader._tables.count(SLICES) == whole._tables.count(SLICES)
    assert len(reader) == 0 and reader.slices()[0].num_rows == 0 and reader.find(midi / "4.mid").num_rows == 0
    assert rows(empty.add(midi)) == rows(whole) == rows(reader)


def test_a_reader_sees_each_block_when_it_is_whole_and_nobody_else_may_write(midi, empty, monkeypatch):
    monkeypatch.setattr(adding, "FILES_AT_ONCE", 2)
    reader, seen = Library(empty.path), []

    def progress(_done: int, _total: int) -> None:
        assert len(set(reader.slices()[0]["id"].to_pylist())) == len(reader)
        seen.append(len(reader))
        with pytest.raises(UserError, match="another process is writing this library; wait for it"):
            reader.add(midi)

    empty.add(midi, progress=progress)
    assert seen == [0, 2, 4, 5]


def test_a_damaged_library_is_told_in_one_line(midi, empty):
    empty.add(midi)
    for name in (FILES, SLICES):
        for file in (empty.path / f"{name}.lance" / "data").iterdir():
            file.write_bytes(b"nothing")
    with pytest.raises(UserError, match="a damaged library") as told:
        Library(empty.path).vectors()
    assert "\n" not in str(told.value)
    for file in (empty.path / "files.lance" / "_versions").iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(UserError, match="a damaged library") as told:
        Library(empty.path)
    assert "\n" not in str(told.value)
    shutil.rmtree(empty.path / "files.lance")
    with pytest.raises(UserError, match="a damaged library"):
        Library(empty.path)
