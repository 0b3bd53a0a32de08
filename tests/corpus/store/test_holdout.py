"""What is held out of a small folder: whole pieces, not nothing, not most of it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.corpus.store.holdout import HELD_OUT, hold_out, store_by_piece
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.midi.performance import Performance
from tests.corpus.melodies import piece, retimed, rubato, transposed
from tests.corpus.playable import noise, write


def played(notes) -> Performance:
    return Performance.from_notes(
        pitch=notes.pitch, velocity=notes.velocity, onset=notes.onset_ms / 1000, duration=notes.duration_ms / 1000
    )


def test_what_sounds_alike_stands_on_one_side(tmp_path):
    for seed in range(6):
        notes = piece(seed, 300)
        alike = notes, transposed(notes, 3), retimed(notes, 1.1), rubato(notes, seed)
        for number, version in enumerate(alike):
            write(tmp_path / f"{seed}{number}.mid", played(version))
    out = tmp_path / "store"
    assert store_by_piece(tmp_path, out) == []
    rows = [{"path": file.name, **dataclasses.asdict(file)} for file in NoteStore(out).files]
    for seed in range(6):
        versions = [row for row in rows if row["path"].startswith(str(seed))]
        assert len(versions) == 4
        assert len({row["split"] for row in versions}) == 1
        assert len({row["piece"] for row in versions}) == 1
    assert len({row["piece"] for row in rows}) == 6
    assert sum(row["split"] == "validation" for row in rows) == 4


def test_what_cannot_be_learned_from_is_passed_over(tmp_path):
    for seed in range(5):
        write(tmp_path / f"{seed}.mid", noise(seed, 80))
    write(tmp_path / "drums.mid", Performance.from_notes(pitch=[40], velocity=64, onset=0, duration=0.1, channel=9))
    (tmp_path / "text.mid").write_text("no music")
    (tmp_path / "copy.mid").write_bytes((tmp_path / "3.mid").read_bytes())
    refused = store_by_piece(tmp_path, out := tmp_path / "store")
    assert len(NoteStore(out)) == 5
    assert sorted({path for path, _ in refused} - {"3.mid", "copy.mid"}) == ["drums.mid", "text.mid"]
    assert len(refused) == 3


def test_too_few_pieces_are_one_clear_line(tmp_path):
    for seed in range(4):
        write(tmp_path / f"{seed}.mid", played(piece(seed, 300)))
    with pytest.raises(UserError, match=r": 4 readable MIDI files, too few to hold some out; give at least 5 pieces"):
        store_by_piece(tmp_path, tmp_path / "store")
    write(tmp_path / "again.mid", played(transposed(piece(0, 300), 2)))
    with pytest.raises(UserError, match=r": 5 readable MIDI files of 4 pieces, too few"):
        store_by_piece(tmp_path, tmp_path / "store")


def test_one_piece_that_is_nearly_everything_leaves_nothing_to_hold_out(tmp_path):
    for seed in range(5):
        write(tmp_path / f"{seed}.mid", noise(seed, 8 if seed else 800))
    store_by_piece(tmp_path, out := tmp_path / "store")  # the small ones are held out, since they can be
    assert [file.split for file in NoteStore(out).files if file.name == "0.mid"] == ["train"]


sizes = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 100)), min_size=5, max_size=40)


@given(sizes, st.randoms(use_true_random=False))
def test_whole_groups_are_held_out_within_bounds(files, random):
    groups, notes = (np.array(column) for column in zip(*files, strict=True))
    contents = [random.randbytes(8) for _ in files]
    held = hold_out(groups, notes, contents)
    for group in np.unique(groups):
        assert len(set(held[groups == group].tolist())) == 1
    share = notes[held].sum() / notes.sum()
    assert share <= HELD_OUT[1] + 1e-9
    largest = max(notes[groups == group].sum() for group in groups) / notes.sum()
    if largest <= HELD_OUT[1] - HELD_OUT[0]:
        assert share >= HELD_OUT[0] - 1e-9
    order = random.sample(range(len(files)), len(files))
    again = hold_out(groups[order], notes[order], [contents[i] for i in order])
    assert np.array_equal(again, held[order])
