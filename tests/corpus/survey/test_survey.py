"""One row for every file, whatever it holds, wherever it lies, whoever does the work and whenever it is killed."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from ray.cluster_utils import Cluster

from partimento.cli import main
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.sources import open_source
from partimento.corpus.survey.labels import Labels
from partimento.corpus.survey.manifest import SCHEMA, read_manifest
from partimento.corpus.survey.measurements import COLUMNS, measure
from partimento.corpus.survey.run import Summary, survey
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError, MidiFile, read
from partimento.tokens.notes import Notes
from tests import programs
from tests.corpus.collections_of_midi import good_files, odd_files, write_folder, write_tar, write_zip
from tests.corpus.object_store import BUCKET, serve

GOOD = good_files(30)
ODD = odd_files(40)


def surveyed(corpus: Path, *locations: Path | str, **options) -> Summary:
    return survey([open_source(str(location)) for location in locations], corpus, workers=1, **options)


def rows(corpus: Path, *, without: tuple[str, ...] = ()) -> dict[str, dict]:
    table = read_manifest(corpus)
    return {row["path"]: {k: v for k, v in row.items() if k not in without} for row in table.to_pylist()}


def read_or_refuse(data: bytes) -> MidiFile | MidiError:
    try:
        return read(data)
    except MidiError as refusal:
        return refusal


@pytest.fixture(scope="module")
def midi(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("collection") / "midi", GOOD | ODD)


@pytest.fixture(scope="module")
def corpus(midi, tmp_path_factory) -> Path:
    """What an uninterrupted survey of `midi` gives."""
    folder = tmp_path_factory.mktemp("corpus")
    summary = surveyed(folder, midi)
    assert summary.surveyed == len(GOOD | ODD)
    return folder


def test_rows_say_what_the_files_are(midi, corpus):
    table = read_manifest(corpus)
    assert table.schema.equals(SCHEMA) and table["path"].to_pylist() == sorted(GOOD | ODD)
    for row in table.to_pylist():
        path, data = row["path"], (GOOD | ODD)[row["path"]]
        status = (midi / path).stat()
        assert (row["source"], row["size"], row["modified_ns"]) == (str(midi), len(data), status.st_mtime_ns)
        assert row["sha256"] == (hashlib.sha256(data).hexdigest() if "large" not in path else "")
        reading = read_or_refuse(data)
        if isinstance(reading, MidiError):
            assert (row["verdict"], row["reason"]) == ("refused", reading.reason.value)
            assert row["detail"] and row["detail"] in str(reading)
            assert all(row[name] is None for name in [*COLUMNS, "fingerprint"])
            continue
        assert (row["verdict"], row["reason"]) == ("readable", "")
        assert row["truncated"] == reading.source.truncated
        assert row["fingerprint"] == fingerprint(Notes.from_performance(Performance.of(reading))).to_bytes()
        m = measure(Performance.of(reading), reading.onset_ticks)
        for name, type_ in COLUMNS.items():
            value = getattr(m, name)
            expected = list(value) if name == "instruments" else pa.scalar(value, type_).as_py()
            assert row[name] == expected, name
    assert {row["reason"] for row in table.to_pylist()} > {"", "empty", "not-midi", "too-large"}
    assert {row["collection"] for row in table.to_pylist()} == {"Chopin", "jazz", "loose", "odd"}


def test_odd_files_change_nothing_but_their_own_rows(tmp_path, corpus):
    without_odd = write_folder(tmp_path / "midi", GOOD)
    surveyed(tmp_path / "corpus", without_odd)
    other = ("source", "modified_ns")
    beside_odd = rows(corpus, without=other)
    assert rows(tmp_path / "corpus", without=other) == {path: beside_odd[path] for path in GOOD}


@pytest.fixture
def bucket(monkeypatch, midi):
    """The same files in an object store, below s3://bucket/midi."""
    settings = {"ACCESS_KEY_ID": "nobody", "SECRET_ACCESS_KEY": "nothing", "REGION": "us-east-1"}
    with serve(midi.parent) as address:
        for name, value in (settings | {"ENDPOINT_URL": address}).items():
            monkeypatch.setenv(f"AWS_{name}", value)
        yield f"s3://{BUCKET}/midi"


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "folder of archives", "object store"])
def test_every_kind_of_source_gives_the_same_rows(kind, corpus, tmp_path, bucket):
    files = GOOD | ODD
    match kind:
        case "zip":
            location, prefix = str(write_zip(tmp_path / "midi.zip", files)), ""
        case "tar.gz":
            location, prefix = str(write_tar(tmp_path / "midi.tar.gz", files)), ""
        case "folder of archives":
            (tmp_path / "all").mkdir()
            write_zip(tmp_path / "all/midi.zip", files)
            location, prefix = str(tmp_path / "all"), "midi.zip!/"
        case _:
            location, prefix = bucket, ""
    surveyed(tmp_path / "corpus", location)
    other = ("source", "path", "modified_ns", "collection")
    expected = rows(corpus, without=other)
    assert rows(tmp_path / "corpus", without=other) == {prefix + path: row for path, row in expected.items()}


def test_killed_at_any_moment_it_goes_on_and_loses_at_most_a_batch(midi, corpus, tmp_path):
    batch = 20
    victim_of = programs.command("tests.corpus.interrupted_survey", midi, tmp_path / "corpus", batch)
    for lives_until in (1, 25, 50):
        with subprocess.Popen(victim_of, stdout=subprocess.PIPE, text=True, env=programs.ENVIRONMENT) as victim:
            done = next(done for line in victim.stdout if (done := int(line)) >= lives_until)
            victim.kill()
        kept = len(rows(tmp_path / "corpus")) if list((tmp_path / "corpus/manifest").glob("part*")) else 0
        (tmp_path / "corpus/manifest/.part-000099.parquet.1-0.part").write_bytes(b"half of a part")
        assert done - kept <= batch
    before = len(rows(tmp_path / "corpus"))
    summary = surveyed(tmp_path / "corpus", midi, batch=batch)
    assert 0 < before < len(GOOD | ODD) and summary.surveyed == len(GOOD | ODD) - before
    assert read_manifest(tmp_path / "corpus").equals(read_manifest(corpus))
    assert not list((tmp_path / "corpus/manifest").glob(".part*"))


def test_only_what_is_new_changed_or_unread_is_surveyed(tmp_path):
    folder, corpus = write_folder(tmp_path / "midi", good_files(5)), tmp_path / "corpus"
    (folder / "lost.mid").symlink_to(tmp_path / "later.mid")
    first = surveyed(corpus, folder)
    assert first.surveyed == 6 and first.refused == {"cannot-open": 1}
    before = rows(corpus)
    assert before["lost.mid"]["verdict"] == "refused" and "no such file" in before["lost.mid"]["detail"]

    *_, changed, gone = [path for path in before if path != "lost.mid"]
    (folder / changed).write_bytes(good_files(1, seed=50).popitem()[1])
    (folder / gone).unlink()
    write_folder(folder, {"new.mid": good_files(1, seed=60).popitem()[1]})
    (tmp_path / "later.mid").write_bytes(good_files(1, seed=70).popitem()[1])
    second = surveyed(corpus, folder)
    after = rows(corpus)
    assert second.surveyed == 3 and second.readable == len(after) == 6
    assert set(after) == {*before, "new.mid"} - {gone}
    assert after["lost.mid"]["verdict"] == "readable"
    assert after[changed]["sha256"] != before[changed]["sha256"]
    untouched = set(before) - {changed, gone, "lost.mid"}
    assert all(after[path] == before[path] for path in untouched)
    third = surveyed(corpus, folder)
    assert third.surveyed == 0 and rows(corpus) == after

    csv = tmp_path / "labels.csv"
    csv.write_text("path,composer,split\nmidi/new.mid,Erik Satie,test\n")
    labelled = surveyed(corpus, folder, labels=Labels.load(csv=csv))
    assert labelled.surveyed == 0
    new = rows(corpus)["new.mid"]
    assert (new["composer"], new["composer_from"], new["period"]) == ("satie", "csv", "impressionist")
    assert new["declared_split"] == "test" and new["notes"] == after["new.mid"]["notes"]


def test_a_ray_cluster_of_two_nodes_gives_the_same_manifest(midi, corpus, tmp_path):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        done = programs.run("partimento", "survey", midi, "-o", tmp_path, "--cluster", cluster.address)
    finally:
        cluster.shutdown()
    assert f"surveyed now: {len(GOOD | ODD)} files" in done.stdout
    assert read_manifest(tmp_path).equals(read_manifest(corpus))


def test_the_command_says_what_there_is(tmp_path, midi, capsys):
    (tmp_path / "labels.csv").write_text("path,genre\nloose/002 A Piece.mid,lullaby\n")
    arguments = ["survey", str(midi), "-o", str(tmp_path / "corpus"), "--labels", str(tmp_path / "labels.csv")]
    assert main([*arguments, "--workers", "1"]) == 0
    out = capsys.readouterr().out
    refused = [row for row in rows(tmp_path / "corpus").values() if row["verdict"] == "refused"]
    assert f"surveyed now: {len(GOOD | ODD)} files; known before: 0" in out
    assert f"refused: {len(refused)} files" in out and "not-midi" in out
    assert f"the labels name 1 of these {len(GOOD | ODD)} files" in out
    assert rows(tmp_path / "corpus")["loose/002 A Piece.mid"]["genre"] == "lullaby"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "no such folder"),
        (["."], "no MIDI files"),
        ([".", "--labels", "gone.csv"], "gone.csv"),
        ([".", "--metadata", "gone.json"], "gone.json"),
        ([".", "--workers", "0"], "--workers"),
        ([], "at least one source"),
    ],
)
def test_mistakes_are_said_in_one_line(arguments, complaint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["survey", *arguments, "-o", "corpus"]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1


def test_a_cluster_that_is_not_there_is_said(midi, tmp_path):
    with pytest.raises(UserError, match="no Ray cluster"):
        surveyed(tmp_path, midi, cluster="127.0.0.1:9")
