"""`partimento studio` as a process: it says where it is, answers, and ends quietly; what cannot be is one line."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from partimento import UserError
from partimento.cli import main
from partimento.model.checkpoint import save
from partimento.studio.address import listen
from partimento.studio.gate import LOOPBACK
from tests.generate.generate_music import prompt, random_engine


@pytest.mark.posix
def test_it_serves_until_it_is_interrupted(tmp_path):
    engine = random_engine()
    save(tmp_path / "model.safetensors", engine.backend.model, engine.vocabulary)
    prompt(9).write_midi(tmp_path / "nine.mid")
    arguments = ["studio", "nine.mid", "--model", "model.safetensors", "--engine", "torch", "--candidates", "3"]
    command = [sys.executable, "-u", "-m", "partimento", *arguments, "--no-browser", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = next(filter(None, (re.match(r"studio: (http://127.0.0.1:\d+/) ", line) for line in process.stdout)))
        with urllib.request.urlopen(found[1] + "performances/opened") as answer:
            opened = json.load(answer)
        with urllib.request.urlopen(found[1] + "model") as answer:
            assert json.load(answer)["candidates"] == 3
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert len(opened["music"]["notes"]["onset"]) == 9 and opened["title"] == "nine.mid"
    assert (process.returncode, complaint) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "--port must lie in 0..65535, not 70000"),
        (["missing.mid"], "missing.mid"),
        (["--model", "missing"], "missing"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, said, capsys):
    assert main(["studio", "--no-browser", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint and complaint.count("\n") == 1


def test_an_address_that_is_taken_is_said():
    with listen(LOOPBACK, 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}: address already in use; give another with --port"):
            listen(LOOPBACK, port)
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize("candidates", ["0", "17"])
def test_candidates_that_no_request_may_ask_for_are_no_default(candidates, capsys):
    assert main(["studio", "--candidates", candidates]) == 2
    assert "--candidates must lie in 1..16" in capsys.readouterr().err
