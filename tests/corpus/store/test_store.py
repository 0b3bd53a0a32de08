"""Many files become one store, whole or not at all; what is in it is what was played, and damage is noticed."""

import csv
import json
import multiprocessing
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partimento.cli import main
from partimento.corpus.store import build as build_module
from partimento.corpus.store.build import build
from partimento.corpus.store.note_store import NoteStore
from partimento.corpus.store.plans import plan_folder, read_labels
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes
from tests.corpus.playable import noise, store_of, write

LABELS = {
    "00.mid": {"split": "train", "composer": "bach"},
    "01.mid": {"split": "train"},
    "02.mid": {"split": "validation", "composer": "satie", "title": "Gnossienne n° 1"},
    "03.mid": {"split": "test"},
}
PLAYED = [noise(i, 20 + 10 * i) for i in range(4)]


@pytest.fixture
def store(tmp_path):
    return store_of(tmp_path, PLAYED, LABELS, files_per_shard=3)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_notes_come_back_as_they_were_played(store):
    assert len(store) == len(list(store.files)) == 4
    assert [store.split(name).tolist() for name in ("train", "validation", "test")] == [[0, 1], [2], [3]]
    for i, performance in enumerate(PLAYED):
        played = Performance.from_midi(performance.to_midi())
        stored, file = store.notes(i), store.file(i)
        assert (file.name, file.count) == (f"{i:02}.mid", len(played))
        assert (file.sha256, file.split) == (played.source.sha256, LABELS[file.name]["split"])
        for column in ("onset_ms", "duration_ms", "pitch", "velocity", "instrument"):
            assert np.array_equal(getattr(stored, column), getattr(Notes.from_performance(played), column)), column


def test_labels_and_groups_come_back(store):
    assert store.file(2).labels == {"composer": "satie", "title": "Gnossienne n° 1"}
    assert store.file(1).labels == {}
    assert store.label("composer") == ["bach", None, "satie", None]
    assert store.pieces.tolist() == store.performances.tolist() == [0, 1, 2, 3]
    assert [store.file(i).name for i in (1, 2)] == ["01.mid", "02.mid"]
    with pytest.raises(IndexError):
        store.file(4)
    with pytest.raises(UserError, match="no label 'opus'; there are composer, title"):
        store.label("opus")


def test_shards_hold_what_the_manifest_says(store):
    shards = json.loads((store.path / "store.json").read_text())["shards"]
    assert [(shard["files"], shard["notes"]) for shard in shards] == [(3, 90), (1, 50)]
    assert (store.path / "00000.notes").stat().st_size == 8 * 90
    assert all(what == "" for _, what in store.damage())


def test_other_processes_read_the_same(store):
    # A worker process is sent the store like this.
    assert np.array_equal(pickle.loads(pickle.dumps(store)).packed(3).notes, store.packed(3).notes)  # noqa: S301
    with multiprocessing.get_context("fork").Pool(2) as pool:
        theirs = pool.map(store.packed, range(4))
    for i, packed in enumerate(theirs):
        assert np.array_equal(packed.notes, store.packed(i).notes)


def test_what_is_passed_over_is_said(tmp_path):
    folder = tmp_path / "midi"
    write(folder / "good.mid", noise(0, 20))
    (folder / "bad.mid").write_bytes(b"RIFF not a MIDI file")
    (folder / "good copy.mid").write_bytes((folder / "good.mid").read_bytes())
    write(folder / "drums.mid", Performance.from_notes(pitch=[40], velocity=64, onset=0, duration=0.1, channel=9))
    write(folder / "later.mid", noise(1, 20))
    plan, passed = plan_folder(folder)
    write(folder / "later.mid", noise(2, 20))
    passed += build(plan, tmp_path / "store")
    assert [file.name for file in NoteStore(tmp_path / "store").files] == ["good copy.mid"]
    assert {path: why.partition(": ")[2] for path, why in passed} == {
        "good.mid": "the same bytes as good copy.mid",
        "bad.mid": "a RIFF file without a MIDI file in its data chunk at byte 0 [bad-riff]",
        "drums.mid": "no piano notes",
        "later.mid": "has changed since it was listed",
    }


def test_an_archive_is_stored_as_its_folder_is(store, tmp_path):
    with zipfile.ZipFile(tmp_path / "midi.zip", "w") as archive:
        for path in (tmp_path / "midi").iterdir():
            archive.write(path, path.name)
    plan, _ = plan_folder(tmp_path / "midi.zip", LABELS)
    build(plan, tmp_path / "other")
    other = NoteStore(tmp_path / "other")
    theirs = {file.name: other.packed(i).notes.tobytes() for i, file in enumerate(other.files)}
    assert theirs == {file.name: store.packed(i).notes.tobytes() for i, file in enumerate(store.files)}


def test_a_store_is_never_overwritten(store, tmp_path):
    before = bytes_of(store.path)
    with pytest.raises(UserError, match="exists already"):
        build(plan_folder(tmp_path / "midi")[0], store.path)
    assert bytes_of(store.path) == before


def test_processes_build_what_one_builds(store, tmp_path):
    plan, _ = plan_folder(tmp_path / "midi", LABELS)
    build(plan, tmp_path / "other", workers=2, files_per_shard=3)
    assert bytes_of(tmp_path / "other") == bytes_of(store.path)


def test_an_interrupted_build_goes_on_after_its_last_shard(store, tmp_path, monkeypatch):
    plan, _ = plan_folder(tmp_path / "midi", LABELS)

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(plan, tmp_path / "other", files_per_shard=3, progress=interrupt)
    assert not (tmp_path / "other").exists()
    (tmp_path / "other.partial" / "00001.notes").write_bytes(b"begun and not finished")
    read = []
    pack = build_module.pack
    monkeypatch.setattr(build_module, "pack", lambda performance: read.append(performance) or pack(performance))
    build(plan, tmp_path / "other", files_per_shard=3)
    assert len(read) == 1
    assert bytes_of(tmp_path / "other") == bytes_of(store.path)
    assert not (tmp_path / "other.partial").exists()


def test_what_another_plan_left_is_not_used(tmp_path):
    write(tmp_path / "a" / "0.mid", noise(0, 20))
    write(tmp_path / "b" / "0.mid", noise(1, 25))

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(plan_folder(tmp_path / "a")[0], tmp_path / "store", progress=interrupt)
    build(plan_folder(tmp_path / "b")[0], tmp_path / "store")
    assert NoteStore(tmp_path / "store").counts.tolist() == [25]


def test_nothing_to_store_is_refused(tmp_path):
    (tmp_path / "midi").mkdir()
    with pytest.raises(UserError, match="no MIDI files"):
        plan_folder(tmp_path / "midi")
    (tmp_path / "midi" / "bad.mid").write_bytes(b"no")
    with pytest.raises(UserError, match="no file with piano notes"):
        build(plan_folder(tmp_path / "midi")[0], tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["midi"]


def damaged(store, how):
    manifest, files = store / "store.json", store / "00000.files.parquet"
    values, rows = json.loads(manifest.read_text()), pq.read_table(files)
    if how == "no manifest":
        manifest.unlink()
    elif how == "no json":
        manifest.write_text("{")
    elif how == "a list":
        manifest.write_text("[]")
    elif how == "version":
        manifest.write_text(json.dumps(values | {"version": 99}))
    elif how == "no shards":
        manifest.write_text(json.dumps(values | {"shards": None}))
    elif how == "strange shards":
        manifest.write_text(json.dumps(values | {"shards": [{"name": "00000"}]}))
    elif how == "no notes":
        (store / "00000.notes").unlink()
    elif how == "short notes":
        (store / "00000.notes").write_bytes((store / "00000.notes").read_bytes()[:-8])
    elif how == "no files":
        files.unlink()
    elif how == "files cut short":
        files.write_bytes(files.read_bytes()[:-100])
    elif how == "fewer files":
        pq.write_table(rows.slice(1), files)
    elif how == "no piece":
        pq.write_table(rows.drop_columns(["piece"]), files)
    else:
        pq.write_table(rows.set_column(3, rows.schema.field("notes"), pa.array([21] * 3, pa.int32())), files)


@pytest.mark.parametrize(
    "how",
    [
        "no manifest",
        "no json",
        "a list",
        "version",
        "no shards",
        "strange shards",
        "no notes",
        "short notes",
        "no files",
        "files cut short",
        "fewer files",
        "no piece",
        "other counts",
    ],
)
def test_a_damaged_store_is_refused_in_one_line(store, how):
    damaged(store.path, how)
    with pytest.raises(UserError, match="store") as caught:
        NoteStore(store.path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["00000.notes", "00001.notes", "00000.pedal", "00001.files.parquet"])
def test_one_changed_bit_is_found(store, capsys, part):
    assert main(["verify", str(store.path)]) == 0
    assert "sound; 2 shards, 4 files, 140 notes" in capsys.readouterr().out
    path = store.path / part
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    assert main(["verify", str(store.path)]) == 2
    assert part in capsys.readouterr().err


def test_a_split_that_is_not_there_is_refused(tmp_path):
    store = store_of(tmp_path, PLAYED[:2])
    for name in ("test", "heldout"):
        with pytest.raises(UserError, match=f"no files in split '{name}'; there are train"):
            store.split(name)


# -- the command ------------------------------------------------------------------------------------------------------


def write_labels(path: Path, *rows: tuple[str, ...]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_the_command_stores_what_the_labels_name(store, tmp_path, capsys):
    (tmp_path / "midi" / "bad.mid").write_bytes(b"no")
    labels = write_labels(
        tmp_path / "labels.csv",
        ("path", "split", "pianist", "notes"),
        ("00.mid", "train", "", "7"),
        ("01.mid", "test", "Hess", "7"),
        ("bad.mid", "train", "", "7"),
    )
    out = tmp_path / "other"
    assert main(["store", str(tmp_path / "midi"), "-o", str(out), "--labels", str(labels)]) == 0
    assert {file.name: (file.split, dict(file.labels)) for file in NoteStore(out).files} == {
        "00.mid": ("train", {}),
        "01.mid": ("test", {"performer": "Hess"}),
    }
    out, err = capsys.readouterr()
    assert "train: 1 files, 20 notes" in out and "test: 1 files, 30 notes" in out and "bad.mid" in err


def test_the_command_splits_by_content_without_labels(store, tmp_path):
    assert main(["store", str(tmp_path / "midi"), "-o", str(tmp_path / "a")]) == 0
    for path in (tmp_path / "midi").iterdir():
        path.rename(path.with_name("renamed " + path.name))
    assert main(["store", str(tmp_path / "midi"), "-o", str(tmp_path / "b")]) == 0
    splits = [{file.sha256: file.split for file in NoteStore(tmp_path / name).files} for name in "ab"]
    assert splits[0] == splits[1] and set(splits[0].values()) <= {"train", "validation"}


@pytest.mark.parametrize(
    ("files", "share", "held_out"), [(5, 0.05, 1), (5, 0, 0), (1, 0.5, 0), (2, 0.999, 1), (60, 0.5, None)]
)
def test_of_a_few_files_one_is_held_out_and_never_all(tmp_path, files, share, held_out):
    for number in range(files):
        noise(number, 5).write_midi(tmp_path / f"{number}.mid")
    plan, _ = plan_folder(tmp_path, validation_share=share)
    found = plan["split"].to_pylist().count("validation")
    assert found == held_out or (held_out is None and 15 < found < 45)


def test_a_store_of_which_nothing_is_held_out_says_so_and_how_to_mend_it(tmp_path, capsys):
    (tmp_path / "midi").mkdir()
    for number in range(3):
        noise(number, 5).write_midi(tmp_path / "midi" / f"{number}.mid")
    argv = ["store", str(tmp_path / "midi"), "--workers", "1", "-o"]
    assert main([*argv, str(tmp_path / "none"), "--validation-share", "0"]) == 0
    assert "warning: no file is held out" in capsys.readouterr().err
    with pytest.raises(
        UserError, match=r"no files in split 'validation'; there are train; make .* --validation-share 0.1"
    ):
        NoteStore(tmp_path / "none").split("validation")
    assert main([*argv, str(tmp_path / "one")]) == 0
    said = capsys.readouterr()
    assert "validation: 1 files" in said.out and f"next: partimento pretrain {tmp_path / 'one'}" in said.out
    assert main([*argv, str(tmp_path / "bad"), "--validation-share", "1"]) == 2
    assert "--validation-share is 1.0" in capsys.readouterr().err


def test_other_splits_are_refused_by_line(tmp_path):
    labels = write_labels(tmp_path / "labels.csv", ("path", "split"), ("a.mid", "train"), ("b.mid", "heldout"))
    with pytest.raises(UserError, match="split 'heldout' in line 3; use one of train, validation, test"):
        read_labels(labels)


def test_labels_that_fit_nothing_say_what_they_have(store, tmp_path):
    with pytest.raises(UserError, match=r"none of its \d+ MIDI files, but midi/00\.mid; .* as 00\.mid"):
        plan_folder(tmp_path / "midi", {"midi/00.mid": {"split": "train"}})
    labels = write_labels(tmp_path / "labels.csv", ("a", "b"))
    with pytest.raises(UserError, match=r"columns path and split; it has a, b$"):
        read_labels(labels)
    labels.write_bytes(b"path,split\n" + bytes(range(128, 256)) * 50)
    with pytest.raises(UserError, match=r"labels\.csv: cannot be read") as refusal:
        read_labels(labels)
    assert len(str(refusal.value)) < len(str(labels)) + 200  # not all of its bytes
    labels.write_text("path,split\n00.mid,test\n", encoding="utf-8-sig")  # as spreadsheets write it
    assert read_labels(labels) == {"00.mid": {"split": "test"}}


@pytest.mark.parametrize(
    "problem", ["no folder", "empty folder", "exists", "no labels", "other columns", "corpus", "two kinds", "workers"]
)
def test_the_command_refuses_in_one_line(store, tmp_path, capsys, problem):
    source, out, more = tmp_path / "midi", tmp_path / "other", []
    if problem == "no folder":
        source = tmp_path / "nowhere"
    elif problem == "empty folder":
        source = tmp_path / "empty"
        source.mkdir()
    elif problem == "exists":
        out.mkdir()
    elif problem == "corpus":
        (source / "selections").mkdir()
    elif problem == "workers":
        more = ["--workers", "0"]
    else:
        more = ["--labels", str(tmp_path / "labels.csv")]
        if problem == "other columns":
            write_labels(tmp_path / "labels.csv", ("a", "b"), ("1", "2"))
        elif problem == "two kinds":
            more += ["--selection", "pretrain"]
    assert main(["store", str(source), "-o", str(out), *more]) == 2
    err = capsys.readouterr().err
    assert err.startswith("partimento: ") and err.count("\n") == 1
