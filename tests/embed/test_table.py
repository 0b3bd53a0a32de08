"""Every file has its row, whatever is wrong with it, and nothing is done twice, whenever it is killed."""

import hashlib
import signal
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from partimento.cli import main
from partimento.corpus.sources import open_source
from partimento.embed import table
from partimento.embed.encoder import Encoder
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model import precision
from tests import programs
from tests.embed.embedders import make_encoder, model_file
from tests.embed.test_encoder import playing

NOTES = (5, 310, 40, 120, 650, 20, 33)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("midi")
    for number, notes in enumerate(NOTES):
        playing(number, notes).write_midi(path / f"{number}.mid")
    (path / "bad.mid").write_bytes(b"nothing")
    drums = Performance.from_notes(pitch=40, velocity=60, onset=[0, 1], duration=0.1, channel=9)
    drums.write_midi(path / "drums.mid")
    (path / "gone.mid").symlink_to(path / "nowhere.mid")
    return path


def embed(folder: Path, out: Path, encoder: Encoder, model: str = "tiny") -> tuple[table.Summary, list[int]]:
    source, told = open_source(folder), []
    return table.embed(source, source.entries(), encoder, out, model=model, progress=told.append), told


def rows(out: Path) -> dict[str, dict]:
    return {row["path"]: row for row in pq.read_table(out).to_pylist()}


@pytest.fixture(scope="module")
def whole(folder) -> Path:
    out = folder.parent / "whole.parquet"
    embed(folder, out, make_encoder())
    return out


def test_each_file_has_the_vector_that_encode_gives_or_a_reason(folder, whole):
    found = rows(whole)
    assert list(found) == sorted(path.name for path in folder.iterdir())
    for number, notes in enumerate(NOTES):
        row = found[f"{number}.mid"]
        assert (row["notes"], row["slices"], row["reason"]) == (notes, -(-notes // 300), "")
        assert row["sha256"] == hashlib.sha256((folder / row["path"]).read_bytes()).hexdigest()
        np.testing.assert_allclose(
            row["embedding"], make_encoder().encode([folder / row["path"]])[0], atol=2e-5, rtol=1e-4
        )
    reasons = {name: found[name]["reason"] for name in ("bad.mid", "drums.mid", "gone.mid")}
    assert reasons == {"bad.mid": "not-midi", "drums.mid": "no-notes", "gone.mid": "cannot-open"}
    assert all(found[name]["embedding"] is None and found[name]["detail"] for name in reasons)


@pytest.mark.posix
def test_killed_it_goes_on_with_what_is_missing(folder, whole, tmp_path):
    out, model = tmp_path / "table.parquet", model_file(tmp_path)
    programs.run("tests.embed.killed_embedding", folder, out, model, status=-signal.SIGKILL)
    assert not out.exists()
    summary, told = embed(folder, out, Encoder.load(model))
    assert (told[:2], sum(told)) == ([4, 2], 10) and summary.new == 6
    assert summary.embedded == len(NOTES) and summary.refused == Counter(
        {"not-midi": 1, "no-notes": 1, "cannot-open": 1}
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.parquet", "tiny.safetensors"]
    resumed, expected = rows(out), rows(whole)
    assert resumed.keys() == expected.keys()
    for name, row in resumed.items():
        assert {k: v for k, v in row.items() if k != "embedding"} == {
            k: v for k, v in expected[name].items() if k != "embedding"
        }
        assert (row["embedding"] is None) == (expected[name]["embedding"] is None)
        if row["embedding"] is not None:
            np.testing.assert_allclose(row["embedding"], expected[name]["embedding"], atol=2e-5, rtol=1e-4)


def test_blocks_of_a_slow_encoder_are_small_and_so_are_its_losses(folder, tmp_path, monkeypatch):
    """A clock on which a file takes a minute: every block after the first is one file."""
    encoder, now = make_encoder(), [0.0]
    monkeypatch.setattr(table.time, "monotonic", lambda: now[0])
    sequences = encoder.sequences

    def slowly(performance):
        now[0] += 60
        return sequences(performance)

    monkeypatch.setattr(encoder, "sequences", slowly)
    _, told = embed(folder, tmp_path / "out.parquet", encoder)
    assert told[:3] == [0, 2, 1] and max(told) <= 2
    assert rows(tmp_path / "out.parquet").keys() == {path.name for path in folder.iterdir()}


def test_one_file_by_itself_can_be_embedded(folder, whole, tmp_path):
    summary, _ = embed(folder / "2.mid", tmp_path / "one.parquet", make_encoder())
    assert summary.embedded == summary.new == 1
    [found] = rows(tmp_path / "one.parquet").values()
    assert found["path"] == "2.mid"
    np.testing.assert_allclose(found["embedding"], rows(whole)["2.mid"]["embedding"], atol=2e-5, rtol=1e-4)


def test_a_finished_table_follows_its_source(folder, tmp_path):
    midi, out, encoder = tmp_path / "midi", tmp_path / "table.parquet", make_encoder()
    midi.mkdir()
    for number in range(3):
        playing(number, 10 + number).write_midi(midi / f"{number}.mid")
    embed(midi, out, encoder)
    before = rows(out)
    assert embed(midi, out, encoder)[1] == [3]
    (midi / "0.mid").unlink()
    playing(9, 77).write_midi(midi / "1.mid")
    playing(8, 44).write_midi(midi / "3.mid")
    summary, told = embed(midi, out, encoder)
    assert (summary.new, told) == (2, [1, 2])
    after = rows(out)
    assert {name: row["notes"] for name, row in after.items()} == {"1.mid": 77, "2.mid": 12, "3.mid": 44}
    assert after["2.mid"] == before["2.mid"]


def test_a_table_of_another_model_is_not_mixed_up(folder, whole, tmp_path):
    before = whole.read_bytes()
    with pytest.raises(UserError, match="another model"):
        embed(folder, whole, make_encoder(), model="other")
    assert whole.read_bytes() == before
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UserError, match="not a table of embeddings"):
        embed(folder, tmp_path / "text.parquet", make_encoder())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no MIDI files to embed"):
        embed(tmp_path / "empty", tmp_path / "t.parquet", make_encoder())


def test_the_command_embeds_an_archive_and_says_what_it_passed_over(folder, whole, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "music.zip", "w") as archive:
        for name in ("0.mid", "1.mid", "bad.mid"):
            archive.write(folder / name, name)
    out = tmp_path / "out.parquet"
    arguments = ["embed", str(tmp_path / "music.zip"), "-o", str(out), "--model", str(model_file(tmp_path))]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "embedded: 2 files, 12 numbers each; looked at now: 3 files" in printed.out
    assert "passed over, not-midi: 1 files" in printed.err
    expected = rows(whole)
    for name in ("0.mid", "1.mid"):
        np.testing.assert_allclose(rows(out)[name]["embedding"], expected[name]["embedding"], atol=2e-5, rtol=1e-4)
    for other in (["--pooled"], ["--slicing.notes", "100"], ["--slicing.most", "2"]):
        assert main([*arguments, *other]) == 2
        assert "another model or other settings" in capsys.readouterr().err
    assert main(["embed", str(folder), "-o", str(tmp_path / "x.parquet"), "--model", "bundled"]) == 2
    assert "has no embedding head" in capsys.readouterr().err


def test_half_is_bfloat16_where_the_processor_multiplies_it_and_says_where_it_does_not(
    folder, tmp_path, capsys, monkeypatch
):
    tables = {name: tmp_path / f"{name}.parquet" for name in ("exact", "half", "elsewhere")}
    arguments = ["embed", str(folder), "--model", str(model_file(tmp_path))]
    assert main([*arguments, "-o", str(tables["exact"])]) == 0
    monkeypatch.setattr(precision, "native_bfloat16", lambda device: True)
    assert main([*arguments, "-o", str(tables["half"]), "--half"]) == 0
    assert "precision: bfloat16, which this processor multiplies itself" in capsys.readouterr().err
    assert main([*arguments, "-o", str(tables["exact"]), "--half"]) == 2
    assert "another model or other settings" in capsys.readouterr().err
    monkeypatch.setattr(precision, "native_bfloat16", lambda device: False)
    assert main([*arguments, "-o", str(tables["elsewhere"]), "--half"]) == 0
    assert "precision: float32, since this processor does not" in capsys.readouterr().err
    assert tables["elsewhere"].read_bytes() == tables["exact"].read_bytes()
    exact, half = (rows(tables[name])["0.mid"]["embedding"] for name in ("exact", "half"))
    assert 0 < np.linalg.norm(np.subtract(exact, half)) < 0.1 * np.linalg.norm(exact)
