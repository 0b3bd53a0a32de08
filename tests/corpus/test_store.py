"""Many files become one store, whole or not at all; what is in it is what was played."""

import csv
import json

import numpy as np
import pytest
from playable import noise, write

from partimento.cli import main
from partimento.corpus.store import NoteStore, build
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes


def no_refusals(error):
    raise AssertionError(f"unexpectedly refused: {error}")


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "midi"
    return [(write(folder / f"{i}.mid", noise(i, 20 + 10 * i)), "heldout" if i == 2 else "train") for i in range(4)]


def test_notes_come_back_as_they_were_played(sources, tmp_path):
    build(sources, tmp_path / "store", refused=no_refusals)
    store = NoteStore(tmp_path / "store")
    assert len(store) == 4 and store.split("train") == [0, 1, 3] and store.split("heldout") == [2]
    for i, (path, split) in enumerate(sources):
        played, stored = Notes.from_performance(Performance.from_midi(path)), store.notes(i)
        assert (store.files[i].name, store.files[i].split, store.files[i].count) == (path.name, split, len(played))
        for column in ("onset_ms", "duration_ms", "pitch", "velocity", "instrument"):
            assert np.array_equal(getattr(stored, column), getattr(played, column)), column
    assert sum((tmp_path / "store" / f"{c}.npy").stat().st_size for c in ("onset_ms", "duration_ms")) > 0


def test_a_note_takes_eight_bytes(sources, tmp_path):
    build(sources, tmp_path / "store", refused=no_refusals)
    columns = [np.load(path) for path in (tmp_path / "store").glob("*.npy")]
    assert sum(column.itemsize for column in columns) == 8
    assert {len(column) for column in columns} == {sum(20 + 10 * i for i in range(4))}


def test_unreadable_files_are_reported_and_copies_and_silence_passed_over(sources, tmp_path):
    folder = tmp_path / "midi"
    (folder / "bad.mid").write_bytes(b"RIFF not a MIDI file")
    (folder / "copy.mid").write_bytes((folder / "1.mid").read_bytes())
    drums = Performance.from_notes(pitch=[40], velocity=64, onset=0, duration=0.1, channel=9)
    extra = [folder / "bad.mid", folder / "copy.mid", write(folder / "drums.mid", drums)]
    refused = []
    build([*sources, *((path, "train") for path in extra)], tmp_path / "store", refused=refused.append)
    assert [file.name for file in NoteStore(tmp_path / "store").files] == [path.name for path, _ in sources]
    assert len(refused) == 1 and "bad.mid" in str(refused[0])


def test_a_store_is_never_overwritten(sources, tmp_path):
    build(sources[:1], tmp_path / "store", refused=no_refusals)
    before = (tmp_path / "store" / "files.json").read_bytes()
    with pytest.raises(UserError, match="already exists"):
        build(sources, tmp_path / "store", refused=no_refusals)
    assert (tmp_path / "store" / "files.json").read_bytes() == before


def test_a_build_that_is_cut_short_leaves_no_store(sources, tmp_path):
    def interrupted(rows):
        yield from list(rows)[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(sources, tmp_path / "store", refused=no_refusals, progress=interrupted)
    assert not (tmp_path / "store").exists()
    (tmp_path / "store.partial").mkdir(exist_ok=True)
    (tmp_path / "store.partial" / "stale.npy").write_bytes(b"left by a killed run")
    build(sources, tmp_path / "store", refused=no_refusals)
    assert len(NoteStore(tmp_path / "store")) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["midi", "store"]
    assert not (tmp_path / "store" / "stale.npy").exists()


def test_nothing_to_store_is_refused(tmp_path):
    with pytest.raises(UserError, match="no file with piano notes"):
        build([], tmp_path / "store", refused=no_refusals)
    assert not (tmp_path / "store").exists()


def damaged(store, how):
    table = store / "files.json"
    if how == "no table":
        table.unlink()
    elif how == "no json":
        table.write_text("{")
    elif how == "a list":
        table.write_text("[]")
    elif how == "version":
        table.write_text(json.dumps({**json.loads(table.read_text()), "version": 99}))
    elif how == "rows":
        table.write_text(json.dumps({"version": 1, "files": [{"name": "x"}]}))
    elif how == "no column":
        (store / "pitch.npy").unlink()
    elif how == "cut column":
        (store / "pitch.npy").write_bytes((store / "pitch.npy").read_bytes()[:100])
    else:
        np.save(store / "pitch.npy", np.load(store / "pitch.npy")[:-1])


@pytest.mark.parametrize(
    "how", ["no table", "no json", "a list", "version", "rows", "no column", "cut column", "short column"]
)
def test_a_damaged_store_is_refused_in_one_line(sources, tmp_path, how):
    build(sources, tmp_path / "store", refused=no_refusals)
    damaged(tmp_path / "store", how)
    with pytest.raises(UserError, match="store") as caught:
        NoteStore(tmp_path / "store")
    assert "\n" not in str(caught.value)


def test_a_split_that_is_not_there_is_refused(sources, tmp_path):
    build(sources, tmp_path / "store", refused=no_refusals)
    with pytest.raises(UserError, match="heldout, train"):
        NoteStore(tmp_path / "store").split("test")


def test_the_command_stores_what_the_labels_name(sources, tmp_path, capsys):
    folder, labels = tmp_path / "midi", tmp_path / "labels.csv"
    (folder / "bad.mid").write_bytes(b"no")
    with labels.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["path", "split"], ["0.mid", "train"], ["1.mid", "test"], ["bad.mid", "train"]])
    assert main(["store", str(folder), "-o", str(tmp_path / "store"), "--labels", str(labels)]) == 0
    store = NoteStore(tmp_path / "store")
    assert {file.name: file.split for file in store.files} == {"0.mid": "train", "1.mid": "heldout"}
    out, err = capsys.readouterr()
    assert "train: 1 files, 20 notes" in out and "heldout: 1 files, 30 notes" in out and "bad.mid" in err


def test_the_command_splits_by_content_without_labels(sources, tmp_path):
    assert main(["store", str(tmp_path / "midi"), "-o", str(tmp_path / "a")]) == 0
    for path, _ in sources:
        path.rename(path.with_name("renamed " + path.name))
    assert main(["store", str(tmp_path / "midi"), "-o", str(tmp_path / "b")]) == 0
    splits = [{file.sha256: file.split for file in NoteStore(tmp_path / name).files} for name in "ab"]
    assert splits[0] == splits[1] and set(splits[0].values()) <= {"train", "heldout"}


@pytest.mark.parametrize("problem", ["no folder", "empty folder", "exists", "no labels", "other columns"])
def test_the_command_refuses_in_one_line(sources, tmp_path, capsys, problem):
    folder, out, labels = tmp_path / "midi", tmp_path / "store", []
    if problem == "no folder":
        folder = tmp_path / "nowhere"
    elif problem == "empty folder":
        folder = tmp_path / "empty"
        folder.mkdir()
    elif problem == "exists":
        out.mkdir()
    else:
        labels = ["--labels", str(tmp_path / "labels.csv")]
        if problem == "other columns":
            (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    assert main(["store", str(folder), "-o", str(out), *labels]) == 2
    err = capsys.readouterr().err
    assert err.startswith("partimento: ") and err.count("\n") == 1
