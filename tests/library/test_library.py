"""A library says what is in its folders now, and finds what is like a piece, as a plain computation would."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from partimento.cli import main
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.embed.encoder import Encoder
from partimento.embed.vectors import unit
from partimento.errors import UserError
from partimento.library.library import Library
from partimento.library.originality import originality
from partimento.library.originality.against import index_of, notes_of
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes
from tests.embed.embedders import model_file
from tests.embed.test_encoder import playing


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture
def midi(tmp_path) -> Path:
    """Six pieces: in folders named after composers, in an archive, one of them twice; and what is no music."""
    folder = tmp_path / "midi"
    for name, seed in (("Chopin/Nocturne_op_9/2.mid", 1), ("Bach/BWV_846.mid", 2), ("Bach/fugue.mid", 3)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        playing(seed, 200 * seed).write_midi(folder / name)
    shutil.copy(folder / "Bach/fugue.mid", folder / "copy.mid")
    (folder / "broken.mid").write_bytes(b"no music")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for seed in (4, 5):
            archive.writestr(f"inner/{seed}.mid", playing(seed, 100 * seed).to_midi())
    return folder


@pytest.fixture
def library(midi, model, tmp_path) -> Library:
    return Library.create(tmp_path / "library", model=str(model)).add(midi, tags=["mine"])


def test_every_content_has_its_row_and_the_vector_that_the_encoder_gives(library, midi, model):
    assert library.changes.added == 6 and library.changes.refused == {"not-midi": 1}
    rows = {row["path"]: row for row in library.files().to_pylist()}
    names = ["Bach/BWV_846.mid", "Bach/fugue.mid", "Chopin/Nocturne_op_9/2.mid", "broken.mid"]
    inside = ["more.zip!/inner/4.mid", "more.zip!/inner/5.mid"]
    assert list(rows) == [f"{midi}/{name}" for name in (*names, *inside)]
    nocturne = rows[f"{midi}/Chopin/Nocturne_op_9/2.mid"]
    known = {name: nocturne[name] for name in ("composer", "opus", "form", "period", "collection", "notes", "tags")}
    assert known == {
        "composer": "chopin",
        "opus": "op. 9",
        "form": "nocturne",
        "period": "romantic",
        "collection": "Chopin",
        "notes": 200,
        "tags": ["mine"],
    }
    assert rows[f"{midi}/broken.mid"]["reason"] == "not-midi"
    encoder = Encoder.load(model)
    ids, vectors = library.vectors()
    performances = [library.performance(id_) for id_ in ids]
    np.testing.assert_allclose(vectors, encoder.encode(performances), atol=2e-5, rtol=1e-4)
    table, slices = library.slices()
    for id_, performance in zip(ids, performances, strict=True):
        mine = pc.equal(table["id"], id_).to_numpy()
        np.testing.assert_allclose(slices[mine], encoder.encode_slices(performance)[0], atol=2e-5, rtol=1e-4)
        starts, ends = (table[name].to_numpy()[mine] for name in ("start", "end"))
        onsets = performance.onset_seconds
        np.testing.assert_allclose(starts, onsets[::300], atol=1e-3)
        np.testing.assert_allclose(ends, [*onsets[300::300], performance.seconds], atol=1e-3)


def test_find_gives_the_nearest_by_cosine_and_the_moment_that_is_most_alike(library, midi):
    ids, vectors = library.vectors()
    query = midi / "Bach/fugue.mid"
    mine = library.find(query)["id"].to_pylist()
    own = next(row["id"] for row in library.files().to_pylist() if row["path"] == str(query))
    alike = unit(vectors) @ unit(vectors[[ids.index(own)]])[0]
    expected = [ids[i] for i in np.argsort(-alike) if ids[i] != own]
    assert mine == expected and library.find(own)["id"].to_pylist() == expected
    found = library.find(query, limit=2).to_pylist()
    assert [row["id"] for row in found] == expected[:2]
    np.testing.assert_allclose([row["similarity"] for row in found], np.sort(alike)[::-1][1:3], atol=1e-5)
    assert [row["composer"] for row in library.find(query, where={"composer": "Chopin"}).to_pylist()] == ["chopin"]
    assert library.find(query, where={"tag": "other"}).num_rows == 0
    with pytest.raises(UserError, match="no filter is called 'color'; there are composer"):
        library.find(query, where={"color": "blue"})
    assert list(library.find(query).to_pandas()["id"]) == expected


def test_a_stretch_of_a_piece_is_found_in_another_file(library, midi, tmp_path):
    """The query is the end of a fugue with other notes before it; what is like the end stands where it was."""
    fugue = Performance.from_midi(midi / "Bach/fugue.mid")
    end = fugue.seconds
    half = float(fugue.onset_seconds[300])
    tail = fugue.slice_time(half, end)
    tail.write_midi(tmp_path / "tail.mid")
    [best, *_] = library.find(tmp_path / "tail.mid", at=(0, tail.seconds), limit=3).to_pylist()
    assert best["path"].endswith("fugue.mid") and best["start"] == pytest.approx(half, abs=2e-3)
    assert best["similarity"] > 0.99 and (best["query_start"], best["query_end"]) == (0, tail.seconds)
    with pytest.raises(UserError, match="ends behind its beginning, not 9:3"):
        library.find(tmp_path / "tail.mid", at=(9, 3))


def test_another_key_and_tempo_of_a_piece_is_the_same(library, midi, tmp_path):
    fugue = Performance.from_midi(midi / "Bach/fugue.mid")
    fugue.transpose(2).stretch(1.25).write_midi(tmp_path / "played.mid")
    [found] = library.same(tmp_path / "played.mid").to_pylist()
    assert found["relation"] == "performance" and found["path"].endswith("fugue.mid")
    assert found["transposition"] == -2 and found["tempo"] == pytest.approx(1.25, abs=0.01)
    assert library.same(midi / "Bach/fugue.mid").num_rows == 0
    index = library.passages()
    ids, _ = library.vectors()
    assert sorted(index.names) == sorted(ids)
    [itself] = index.query(fingerprint(Notes.from_performance(fugue)))
    assert itself.name == found["id"]
    index = index_of(str(library.path), tmp_path / "unused", print)
    copied = originality(Performance.from_midi(tmp_path / "played.mid"), against=index).longest
    assert copied is not None and copied.flagged and copied.copy.name == f"{midi}/Bach/fugue.mid"
    assert len(notes_of(index, copied.copy.file)) == 600


def test_what_moved_is_recognised_and_what_is_gone_leaves(library, midi, tmp_path, monkeypatch):
    before = {row["id"]: row for row in library.files().to_pylist()}
    (midi / "Bach/BWV_846.mid").rename(midi / "moved.mid")
    (midi / "Bach/fugue.mid").unlink()  # its copy is still there
    (midi / "Chopin/Nocturne_op_9/2.mid").unlink()
    monkeypatch.setattr(Encoder, "tokenise", lambda *_: pytest.fail("a known content is read by no model"))
    library.add(midi)
    assert (library.changes.added, library.changes.moved, library.changes.removed) == (0, 1, 1)
    after = {row["id"]: row for row in library.files().to_pylist()}
    assert len(after) == 5 and after.keys() < before.keys()
    paths = {row["path"].removeprefix(f"{midi}/") for row in after.values()}
    assert paths == {"moved.mid", "copy.mid", "broken.mid", "more.zip!/inner/4.mid", "more.zip!/inner/5.mid"}
    assert set(library.slices()[0]["id"].to_pylist()) == set(library.vectors()[0])
    library.add(midi)
    assert library.changes.known == 5 and library.files().to_pylist() == sorted(after.values(), key=lambda r: r["path"])


def test_labels_and_tags_are_laid_over_what_is_known(library, midi, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("path,composer,title\nBach/fugue.mid,Johann Sebastian Bach,A fugue\n")
    library.add([midi / "more.zip"], tags=["zipped"]).add(midi, labels=labels)
    rows = {row["path"].rpartition("/")[2]: row for row in library.files().to_pylist()}
    assert (rows["fugue.mid"]["title"], rows["fugue.mid"]["composer"]) == ("A fugue", "bach")
    assert rows["4.mid"]["tags"] == ["mine", "zipped"] and rows["2.mid"]["tags"] == ["mine"]
    assert [row["path"][-5:] for row in library.files(where={"tag": "zipped"}).to_pylist()] == ["4.mid", "5.mid"]


def test_what_is_removed_is_not_found_until_it_is_added_again(library, midi):
    assert library.remove(midi / "Bach", midi / "more.zip") == 4
    assert {row["path"] for row in library.files().to_pylist()} == {
        f"{midi}/Chopin/Nocturne_op_9/2.mid",
        f"{midi}/broken.mid",
    }
    with pytest.raises(UserError, match="nothing of that name"):
        library.remove(midi / "Bach")
    library.add(midi)
    assert library.changes.added == 4 and len(library) == 6


@pytest.mark.parametrize("said", ["", "{}", "[1]", '{"format": "other", "version": 1}', '{"format": 1'])
def test_a_foreign_folder_is_refused_in_one_line(tmp_path, said):
    with pytest.raises(UserError, match="no library here; make one with"):
        Library(tmp_path)
    (tmp_path / "library.json").write_text(said)
    with pytest.raises(UserError, match="not a library") as told:
        Library(tmp_path)
    assert "\n" not in str(told.value)


def test_the_commands_add_find_show_and_remove(midi, model, tmp_path, capsys):
    where = ["-l", str(tmp_path / "made")]
    assert main(["library", "add", str(midi), "--model", str(model), "--tag", "mine", *where]) == 0
    said = capsys.readouterr()
    assert "added 6 files, moved 0, removed 0; 0 were known; 6 files in" in said.out
    assert "passed over, not-midi: 1 files" in said.err and "precision: float32" in said.out
    query = str(midi / "Bach/fugue.mid")
    assert main(["library", "find", query, "--at", "0:30", "--composer", "bach", *where]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert "like 0:00-0:30" in line and line.endswith("Bach/BWV_846.mid  (bach, mine)")
    assert main(["library", "find", query, "--json", "-n", "2", *where]) == 0
    assert [row["tags"] for row in json.loads(capsys.readouterr().out)] == [["mine"], ["mine"]]
    assert main(["library", "same", query, *where]) == 0
    assert capsys.readouterr().out == "no other performance of it in the library\n"
    assert main(["info", str(tmp_path / "made")]) == 0
    shown = capsys.readouterr().out
    assert "composer             bach 2, chopin 1" in shown and "refused              not-midi 1" in shown
    assert main(["library", "remove", str(midi / "more.zip"), "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": 2, "files": 4}
    for words, complaint in (
        (["find", query, "--at", "30", *where], "--at needs START:END in seconds"),
        (["find", query, "-l", str(midi)], "no library here"),
        (["add", str(midi), "--model", "bundled-embedding", *where], "make another library"),
        (["add", str(midi / "nowhere"), "-l", str(tmp_path / "new")], "no such folder, archive or URL"),
    ):
        assert main(["library", *words]) == 2
        assert complaint in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
