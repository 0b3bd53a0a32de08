"""A damaged file on the command line: read with a line that says so, refused with --strict, recorded by a survey."""

from __future__ import annotations

import pytest

from partimento.cli import main
from partimento.corpus.sources import open_source
from partimento.corpus.survey.manifest import read_manifest
from partimento.corpus.survey.run import survey, survey_file
from partimento.midi.reader import Reason
from tests.midi.test_damage import DAMAGED

DATA = DAMAGED[Reason.TRACK_TOO_SHORT][0]


@pytest.fixture
def damaged(tmp_path):
    path = tmp_path / "damaged.mid"
    path.write_bytes(DATA)
    return path


def test_a_damaged_file_is_read_and_said_to_be_damaged(damaged, capsys):
    assert main(["tokens", str(damaged)]) == 0
    out, err = capsys.readouterr()
    assert "pitch 60" in out and "pitch 64" in out
    assert (
        err == f"{damaged}: damaged, read as far as it goes: track-length-too-short at byte 14: read on to byte 35 "
        "(--strict refuses it)\n"
    )


@pytest.mark.parametrize("verb", ["tokens", "render", "continue"])
def test_strict_refuses_it_in_one_line(verb, damaged, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([verb, str(damaged), "--strict"]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith(f"partimento: {damaged}: ") and err.endswith("[track-length-too-short]\n")


def test_a_survey_records_what_was_repaired(damaged, tmp_path):
    assert survey_file("x.mid", DATA)["repairs"] == ["track-length-too-short at byte 14: read on to byte 35"]
    summary = survey([open_source(damaged.parent)], tmp_path / "corpus", workers=1)
    assert (summary.readable, summary.repaired) == (1, 1)
    assert read_manifest(tmp_path / "corpus", columns=["repairs"])["repairs"].to_pylist() == [
        ["track-length-too-short at byte 14: read on to byte 35"]
    ]
