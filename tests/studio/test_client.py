"""The example client does what the documentation says."""

import importlib.util
from pathlib import Path

from partimento import Performance
from tests.generate.generate_music import measured_engine, prompt
from tests.studio.serving import served

CLIENT = Path(__file__).parents[2] / "examples" / "client.py"


def test_the_example_client_writes_what_is_new(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("client", CLIENT)
    assert spec is not None and spec.loader is not None
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    given, out = tmp_path / "given.mid", tmp_path / "out.mid"
    prompt(40).write_midi(given)
    with served(measured_engine()) as address:
        client.main(str(given), str(out), address)
    new = Performance.from_midi(out)
    assert len(new) and new.onset_seconds.min() >= 14.9
    said = capsys.readouterr().out
    assert said.count("until ") and said.endswith(f"{out}: the new notes\n")
