"""The verb from the outside: lines, JSON, status, the picture, and the index that is kept for a model."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from partimento.cli import main
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.overlap import index_of
from partimento.corpus.sources import performances
from partimento.errors import UserError
from partimento.library.originality.against import notes_at_hand, notes_of, training_index
from partimento.tokens.notes import Notes
from tests.corpus.melodies import piece, retimed, transposed
from tests.corpus.playable import store_of
from tests.library.originality.stolen import joined, played


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three files of a library, a file that holds part of one of them, and a file of its own."""
    folder = tmp_path_factory.mktemp("originality")
    (folder / "library").mkdir()
    for k in range(3):
        played(piece(k, 300)).write_midi(folder / "library" / f"{k}.mid")
    stolen = transposed(retimed(piece(1, 300).slice(100, 220), 1.1), 3)
    played(joined(piece(50, 60), stolen, piece(51, 60))).write_midi(folder / "copy.mid")
    played(piece(52, 200)).write_midi(folder / "own.mid")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTIMENTO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(capsys, *words: object) -> tuple[int, str, str]:
    status = main(["originality", *map(str, words)])
    return status, *capsys.readouterr()


def test_a_line_says_what_is_copied_from_where(folder, cache, capsys):
    status, out, err = run(capsys, folder / "copy.mid", "--library", folder / "library")
    [line] = out.splitlines()
    assert status == 0 and "COPIES from" in line and "1.mid" in line
    assert "3 semitones higher" in line and "0.91 times as fast" in line and "p = 0.0005" in line
    assert "not compared with the training data of bundled" in err and "--keep" in err
    status, out, _ = run(capsys, folder / "own.mid", "--library", folder / "library")
    assert status == 0 and "shares nothing long" in out


def test_with_check_a_copy_is_a_status(folder, cache, capsys):
    library = ("--library", folder / "library", "--check")
    assert run(capsys, folder / "copy.mid", *library)[0] == 1
    assert run(capsys, folder / "copy.mid", *library, "--prompt-seconds", 500)[0] == 0
    assert run(capsys, folder / "own.mid", *library)[0] == 0


def test_json_has_the_facts_beside_each_library(folder, cache, capsys):
    out = run(capsys, folder / "copy.mid", "--library", folder / "library", "--json")[1]
    said = json.loads(out)
    [(name, facts)] = said["beside"].items()
    assert name == str(folder / "library") and facts["flagged"]
    assert facts["passages"][0]["transposition"] == 3 and facts["passages"][0]["source"] == "1.mid"


def test_the_picture_shows_the_passage_in_both_rolls(folder, cache, capsys, tmp_path):
    drawn = (folder / "copy.mid", "--library", folder / "library", "-o", tmp_path / "a.png")
    assert run(capsys, *drawn)[0] == 0
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    red = pixels[..., 0] - pixels[..., 2] > 60
    upper, lower = red[60:450].sum(axis=0) > 0, red[480:870].sum(axis=0) > 0
    # The shared notes stand at the same places of the time axis above and below.
    assert upper.sum() > 150 and np.mean(upper[upper | lower] == lower[upper | lower]) > 0.8
    status, _, err = run(capsys, *drawn)
    assert status == 2 and "--force" in err
    assert "no passage" in run(capsys, folder / "own.mid", *drawn[1:3], "-o", tmp_path / "b.png")[2]
    assert not (tmp_path / "b.png").exists()


def test_the_index_of_training_data_is_kept_for_its_model(folder, cache, capsys, tmp_path):
    labels = {f"{k:02}.mid": {"split": "validation" if k == 2 else "train"} for k in range(3)}
    store = store_of(tmp_path, [played(piece(k, 300)) for k in range(3)], labels)
    assert training_index("bundled") is None
    status, out, err = run(capsys, folder / "copy.mid", "--training", store.path, "--keep")
    assert status == 0 and "COPIES from the training data of bundled" in out and "2 files" in err
    index = training_index("bundled")
    assert index is not None and index.names == ["00.mid", "01.mid"]  # what was held out is not learned from
    assert np.array_equal(notes_of(index, 1).pitch, piece(1, 300).pitch)
    assert "COPIES from the training data" in run(capsys, folder / "copy.mid")[1]
    status, _, err = run(capsys, "--training", store.path, "--keep")
    assert status == 2 and "--force" in err
    assert run(capsys, "--training", store.path, "--keep", "--force")[0] == 0


def test_what_cannot_be_asked_is_refused_in_a_line(folder, cache, capsys, tmp_path):
    for words, expected in (
        ((), "name a MIDI file"),
        ((folder / "copy.mid",), "nothing to compare with"),
        ((folder / "copy.mid", "--keep"), "--training"),
        ((folder / "copy.mid", "--library", tmp_path / "none"), "none"),
        ((folder / "copy.mid", "--library", folder / "library", "-o", "x.jpg"), ".png"),
        ((folder / "copy.mid", "--library", folder / "library", "--prompt-seconds", -1), "prompt"),
    ):
        status, _, err = run(capsys, *words)
        assert status == 2 and expected in err.splitlines()[-1] and "Traceback" not in err


def test_files_that_are_others_now_are_not_compared(folder, cache, capsys, tmp_path):
    shutil.copytree(folder / "library", tmp_path / "library")
    index = index_of(str(tmp_path / "library"), tmp_path / "index", print)
    assert set(notes_at_hand(index, range(3))) == {0, 1, 2}
    played(piece(9, 300)).write_midi(tmp_path / "library" / index.names[0])
    (tmp_path / "library" / index.names[1]).write_bytes(b"no MIDI file")
    assert set(notes_at_hand(index, range(3))) == {2}
    out = run(capsys, folder / "copy.mid", "--library", tmp_path / "index")[1]
    assert "COPIES" in out and "not all sources could be read" in out


def test_notes_of_files_that_are_gone_are_not_to_be_had(folder, tmp_path):
    shutil.copytree(folder / "library", tmp_path / "library")
    index = index_of(str(tmp_path / "library"), tmp_path / "index", print)
    expected = dict(performances(tmp_path / "library"))[index.names[0]]
    assert np.array_equal(notes_of(index, 0).onset_ms, Notes.from_performance(expected).onset_ms)
    shutil.rmtree(tmp_path / "library")
    with pytest.raises(UserError, match="not there any more"):
        notes_of(index, 0)
    nowhere = PassageIndex.build([("a.mid", "", fingerprint(piece(1, 50)))], tmp_path / "other")
    with pytest.raises(UserError, match=r"a\.mid"):
        notes_of(nowhere, 0)
