"""The example prompts: rebuilt from their scores byte for byte, and playable as another reader sees them."""

import os
import subprocess
import sys
from pathlib import Path

import mido
import pytest

ROOT = Path(__file__).parents[1]
PROMPTS = sorted((ROOT / "examples").glob("*.mid"))


def sounding_keys(path: Path):
    """(seconds, keys down) after each message, by mido."""
    seconds, down = 0.0, set()
    for message in mido.MidiFile(path):
        seconds += message.time
        if message.type == "note_on" and message.velocity:
            assert message.note not in down, f"key {message.note} is struck while it is down, at {seconds:.3f} s"
            down.add(message.note)
        elif message.type in ("note_on", "note_off"):
            down.discard(message.note)
        yield seconds, set(down)


def test_the_committed_files_are_what_the_generator_writes(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, ROOT / "examples" / "make_prompts.py", tmp_path]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    assert [path.name for path in PROMPTS] == sorted(path.name for path in tmp_path.iterdir())
    for path in PROMPTS:
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.stem)
def test_a_prompt_is_a_short_two_handed_performance_on_a_piano(path):
    states = list(sounding_keys(path))
    keys = {key for _, down in states for key in down}
    assert 10 < states[-1][0] < 20
    assert states[-1][1] == set()
    assert min(keys) >= 21
    assert max(keys) <= 108
    assert min(keys) < 55 < max(keys)
    assert max(len(down) for _, down in states) <= 10
    notes = [message for message in mido.MidiFile(path) if message.type == "note_on" and message.velocity]
    assert len({message.velocity for message in notes}) > 10
    assert all(20 <= message.velocity <= 112 for message in notes)
