"""The verb: rehearses a file, and says in one line what cannot be done."""

import json

import pytest

from partimento.cli import main
from partimento.model.checkpoint import save
from tests.generate.generate_music import prompt, random_engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("duet")
    engine = random_engine(context=512)
    save(path / "model.safetensors", engine.backend.model, engine.vocabulary)
    prompt(20).write_midi(path / "a.mid")
    return path


@pytest.mark.parametrize("more", [(), ("--real-time",)])
def test_a_file_rehearses_and_latencies_are_told(folder, capsys, more):
    words = ["duet", "--replay", str(folder / "a.mid"), "--hand-over-at", "1.0", "--answer-seconds", "1", "--json"]
    assert main([*words, "--model", str(folder / "model.safetensors"), "--engine", "torch", *more]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["answers"] == 1 and facts["lead_s"] > 0
    assert ("late_p99_ms" in facts) == bool(more)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--loopback", "--loopback says how to --calibrate"),
        ("--hand-over-at 3", "for --replay FILE"),
        ("--list --calibrate", "three things to do"),
        ("--replay a.mid --interrupt -1", "--interrupt must lie in 0..600"),
        ("--tempo 3", "tempo must lie in 20..400"),
        ("--answer-seconds 0", "an answer must last"),
        ("--latency-ms 5000", "latency must lie in 0..1 s"),
        ("--replay a.mid --hand-over-at soon", "not 'soon'"),
        ("--replay a.mid --hand-over-at 99", "cannot hand over at 99 s"),
        ("--hand-over clapping", "clapping"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(folder, monkeypatch, capsys, words, said):
    monkeypatch.chdir(folder)
    assert main(["duet", *words.split()]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
