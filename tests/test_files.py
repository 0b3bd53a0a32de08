"""A file is written whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from partimento.errors import UserError
from partimento.export.onnx_folder import cache_folder
from partimento.files import held_alone, new_folder, others_write, place_for_compiled, replacing


def test_the_new_file_stands_only_when_it_is_complete(tmp_path: Path):
    target = tmp_path / "notes.json"
    target.write_text("old")
    with replacing(target) as part:
        part.write_text("half")
        assert target.read_text() == "old"
        part.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("before", [None, "old"])
def test_a_failure_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path, before: str | None):
    target = tmp_path / "notes.json"
    if before is not None:
        target.write_text(before)

    def fail(part: Path) -> None:
        part.write_text("half", encoding="utf-8")
        raise KeyError

    with pytest.raises(KeyError), replacing(target) as part:
        fail(part)
    assert [path.read_text() for path in tmp_path.iterdir()] == ([] if before is None else [before])


@pytest.mark.parametrize("name", ["", ".", "missing/notes.json", "a\0b", "x" * 300], ids=lambda name: repr(name[:9]))
def test_what_cannot_be_written_is_refused_in_one_line(tmp_path: Path, name: str):
    target = f"{tmp_path}/{name}"
    with pytest.raises(UserError, match="cannot write") as refusal, replacing(target) as part:
        part.write_text("new")
    assert str(refusal.value).endswith("name a file in a folder you may write to")
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix
def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path):
    for name in ("x" * 255, "ü" * 127):
        with replacing(tmp_path / name) as part:
            part.write_text("new")
        assert (tmp_path / name).read_text() == "new"


@pytest.mark.posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_that_a_library_wrote_for_the_user_alone_get_the_mode_of_the_umask(tmp_path: Path, umask: int):
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "a") as part:
            part.touch(mode=0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.posix
def test_where_nothing_can_be_written_compiled_code_goes_to_the_temporary_files(tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    nowhere = Path(os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place_for_compiled(nowhere) is None
    monkeypatch.setenv("HOME", os.devnull)
    assert place_for_compiled(tmp_path) is None
    found = place_for_compiled(nowhere)
    assert found is not None
    assert found.parent.parent == tmp_path
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    assert place_for_compiled(nowhere) == found
    assert caplog.text.count(str(found.parent)) == 1
    found.parent.chmod(0o777)  # anybody might have put something there
    assert place_for_compiled(nowhere) != found


@pytest.mark.posix
def test_in_a_folder_that_others_share_every_user_has_their_own(tmp_path: Path, monkeypatch):
    shared = tmp_path / "shared"
    assert not others_write(shared)
    shared.mkdir()
    assert not others_write(shared)
    monkeypatch.setenv("PARTIMENTO_CACHE", str(shared))
    assert cache_folder() == shared
    shared.chmod(0o1777)
    assert others_write(shared)
    mine, me = cache_folder(), os.getuid()
    assert (mine.parent, stat.S_IMODE(mine.stat().st_mode)) == (shared, 0o700)
    assert cache_folder() == mine
    shared.chmod(0o755)
    monkeypatch.setattr("os.getuid", lambda: me + 1)  # what stands there is now somebody else's
    assert others_write(shared) == (me != 0)  # root's word is taken
    shared.chmod(0o1777)
    mine.rename(shared / f"partimento-{me + 1}")
    assert cache_folder() not in (shared, shared / f"partimento-{me + 1}")


def test_of_two_that_want_a_lock_one_is_told(tmp_path: Path):
    lock = tmp_path / ".lock"
    with held_alone(lock, "busy"), pytest.raises(UserError, match=r"^busy$"), held_alone(lock, "busy"):
        pytest.fail("held twice")
    with held_alone(tmp_path / ".lock", "busy"):
        pass


def test_writers_at_once_do_not_meet(tmp_path: Path):
    target = tmp_path / "notes.json"

    def write(letter: str) -> None:
        for _ in range(20):
            with replacing(target) as part:
                part.write_text(letter * 10_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = target.read_text()
    assert (len(text), len(set(text))) == (10_000, 1)
    assert list(tmp_path.iterdir()) == [target]


def test_parts_of_one_folder_may_be_open_together(tmp_path: Path):
    with replacing(tmp_path / "a") as a, replacing(tmp_path / "a") as b:
        a.write_text("first opened, last closed")
        b.write_text("second")
    assert (tmp_path / "a").read_text() == "first opened, last closed"


def test_a_new_folder_has_its_name_only_when_it_is_complete(tmp_path: Path):
    target = tmp_path / "deep" / "store"
    with new_folder(target) as part:
        (part / "notes").write_text("all")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["store"]
    assert (target / "notes").read_text() == "all"
    with pytest.raises(UserError, match=r"store exists already"), new_folder(target):
        pytest.fail("nothing may be written beside a folder that is there")
    with new_folder(target, replace=True) as part:
        (part / "other").write_text("all")
        assert (target / "notes").read_text() == "all"
    assert [path.name for path in target.parent.rglob("*")] == ["store", "other"]


@pytest.mark.posix
def test_of_a_new_folder_that_failed_or_was_killed_nothing_is_left(tmp_path: Path):
    def fail(part: Path) -> None:
        (part / "notes").write_text("half")
        raise KeyError

    with pytest.raises(KeyError), new_folder(tmp_path / "store") as part:
        fail(part)
    assert not list(tmp_path.iterdir())
    part.mkdir()
    (part / "left by a kill").touch()
    with new_folder(tmp_path / "store"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["store"]
    with pytest.raises(UserError, match=r"cannot make .*new: .*may write"), new_folder("/proc/new"):
        pytest.fail("there is no folder to write to")
