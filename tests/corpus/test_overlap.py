"""Two collections with known things in common, in every form a collection can take."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from partimento import cli
from partimento.corpus import overlap
from partimento.corpus.duplicates import alignment, fingerprints, relations
from partimento.corpus.duplicates import index as passages
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.survey.manifest import READABLE, REFUSED, SCHEMA, open_for_writing
from partimento.errors import UserError
from partimento.midi.performance import Performance
from tests.corpus.melodies import blurred, piece, retimed, rubato, transposed


def write(path, notes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Performance.from_notes(
        pitch=notes.pitch,
        velocity=notes.velocity,
        onset=notes.onset_ms / 1000,
        duration=np.minimum(notes.duration_ms / 1000, 0.1),
    ).write_midi(path)


@pytest.fixture(name="folders")
def two_folders(tmp_path):
    """A holds four files that B has too in some way, one that it has not, and one that nobody can read."""
    a, b = tmp_path / "a", tmp_path / "b"
    for k in range(4):
        write(b / f"{k}.mid", piece(k, 300))
    write(b / "9.mid", piece(9, 300))
    write(a / "exact.mid", piece(0, 300))
    write(a / "sub" / "copy.mid", retimed(transposed(piece(1, 300).slice(0, 200), -2), 1.1))
    write(a / "blurred.mid", blurred(piece(2, 300), 1))
    write(a / "played.mid", rubato(piece(3, 300), 3))
    write(a / "own.mid", piece(77, 300))
    (a / "broken.mid").write_bytes(b"not music")
    return a, b


DOCUMENT = (Path(__file__).parents[2] / "docs" / "fingerprints.md").read_text()

EXPECTED = {
    "exact.mid": ("exact", "0.mid"),
    "sub/copy.mid": ("same performance", "1.mid"),
    "blurred.mid": ("same performance", "2.mid"),
    "played.mid": ("same piece", "3.mid"),
    "own.mid": ("none", ""),
}


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main(["overlap", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_every_file_gets_its_nearest_relation(folders, capsys, tmp_path):
    a, b = folders
    status, out, err = run(capsys, a, b, "--json", "-o", tmp_path / "rows.csv")
    assert status == 0 and "broken.mid" in err
    said = json.loads(out)
    assert said["counts"] == {"exact": 1, "same performance": 2, "same piece": 1, "none": 1}
    assert (said["files_in_a"], said["files_in_b"], said["refused"]) == (5, 5, 1)
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert {name: (row["relation"], row["other"]) for name, row in rows.items()} == EXPECTED
    assert {row["file"] for row in said["files"]} == EXPECTED.keys() - {"own.mid"}
    copy = rows["sub/copy.mid"]
    assert (copy["transposition"], float(copy["scale"])) == ("2", pytest.approx(1 / 1.1, abs=1e-3))


def test_the_list_names_both_files(folders, capsys):
    status, out, _ = run(capsys, *folders, "--check")
    assert status == 1 and len(out.splitlines()) == 5
    assert "same performance: sub/copy.mid = 1.mid (+2 semitones, time x 0.909" in out
    assert "exact 1, same performance 2, same piece 1, none 1" in out


def test_nothing_in_common_is_status_0(tmp_path, capsys):
    write(tmp_path / "a" / "x.mid", piece(1, 200))
    write(tmp_path / "b" / "y.mid", piece(2, 200))
    assert run(capsys, tmp_path / "a", tmp_path / "b", "--check")[0] == 0


def test_an_archive_and_a_kept_index_say_the_same(folders, capsys, tmp_path):
    a, b = folders
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted(a.rglob("*.mid")):
            archive.write(path, path.relative_to(a).as_posix())
    _, first, _ = run(capsys, tmp_path / "a.zip", b, "--json", "--keep-index", tmp_path / "index")
    status, again, _ = run(capsys, tmp_path / "a.zip", tmp_path / "index", "--json")
    assert status == 0 and json.loads(first)["files"] == json.loads(again)["files"]
    assert {row["file"]: (row["relation"], row["other"]) for row in json.loads(again)["files"]} == {
        name: relation for name, relation in EXPECTED.items() if relation[0] != "none"
    }


def test_a_surveyed_corpus_and_a_note_store_are_collections(folders, capsys, tmp_path):
    a, b = folders
    rows = [{"source": str(b), "path": "broken.mid", "verdict": REFUSED, "reason": "not-midi"}]
    for name, sha256, kept in overlap.fingerprints_of(str(b), lambda *_: None):
        row = {"source": str(b), "path": name, "sha256": sha256, "verdict": READABLE}
        rows.append(row | {"reason": "", "fingerprint": kept.to_bytes()})
    with open_for_writing(tmp_path / "corpus") as manifest:
        manifest.parts.add(pa.Table.from_pylist(rows, SCHEMA))
    assert cli.main(["store", str(a), "-o", str(tmp_path / "store")]) == 0
    capsys.readouterr()
    status, out, _ = run(capsys, tmp_path / "store", tmp_path / "corpus", "--json")
    found = {row["file"]: (row["relation"], row["other"]) for row in json.loads(out)["files"]}
    assert status == 0 and json.loads(out)["files_in_b"] == 5
    assert found == {name: relation for name, relation in EXPECTED.items() if relation[0] != "none"}


def test_what_is_no_collection_is_refused(folders, capsys, tmp_path):
    a, b = folders
    (tmp_path / "empty").mkdir()
    PassageIndex.build([], tmp_path / "index")
    for arguments in (
        (a, tmp_path / "nowhere"),
        (tmp_path / "empty", b),
        (a, tmp_path / "empty"),
        (tmp_path / "index", b),
        (a, tmp_path / "index", "--keep-index", tmp_path / "other"),
        (a, b, "--keep-index", tmp_path / "index"),
        (a, b, "-o", tmp_path / "nowhere" / "rows.csv"),
    ):
        status, out, err = run(capsys, *arguments)
        assert status == 2 and out == "" and err.splitlines()[-1].startswith("partimento: ")


def test_findings_can_be_had_without_the_command_line(folders, tmp_path):
    a, b = folders
    refused = []

    def report(name: str, error: UserError) -> None:
        refused.append((name, type(error).__name__))

    index = PassageIndex.build(overlap.fingerprints_of(str(b), report), tmp_path / "index")
    found = {f.name: (f.relation, f.other) for f in overlap.overlap(overlap.fingerprints_of(str(a), report), index)}
    assert found == EXPECTED and refused == [("broken.mid", "MidiError")]


def test_the_examples_of_the_documentation_run(folders, tmp_path, monkeypatch):
    a, b = folders
    (a / "exact.mid").rename(tmp_path / "piece.mid")
    b.rename(tmp_path / "training-midi")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL):
        exec(block, names)  # noqa: S102 - our own documentation
    assert [match.name for match in names["index"].query(names["kept"])] == ["0.mid"]
    assert names["stretches"][0].last_note > 290


def test_the_documentation_names_the_rule_of_the_code():
    text = " ".join(DOCUMENT.split())
    for words in (
        f"less than {fingerprints.CHORD_MS} ms after a chord's first",
        f"scale is between 1/{alignment.STEEPEST} and {alignment.STEEPEST}",
        f"At least {alignment.LINE_HITS} different passages lie on one line",
        f"within {alignment.LINE_MS:.0f} ms",
        f"at least {alignment.LINE_SHARE:.0%}".replace("%", " %"),
        f"in at least {alignment.LINE_COVERED:.0%}".replace("%", " %"),
        f"{alignment.LINE_DENSITY:.0%} of the passages of the file that has fewer".replace("%", " %"),
        f"{alignment.CELL_MS // 1000}-second cells",
        f"At least {alignment.PIECE_HITS} different passages run along",
        f"at least {alignment.PIECE_COVERED:.0%}".replace("%", " %"),
        f"stands in {relations.MOST_PLACES} places",
        f"the first {passages.MOST_PLACES} are kept",
    ):
        assert words in text, words
