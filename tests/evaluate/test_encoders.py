"""Anybody's encoder can be plugged in, and its vectors are kept by content."""

from pathlib import Path

import numpy as np
import pytest

from partimento.errors import UserError
from partimento.evaluate.encoders import cached, hand_crafted, plugin
from tests.evaluate.test_tasks import midi


def test_a_plugin_is_a_function_of_a_module_in_the_folder(tmp_path, monkeypatch):
    (tmp_path / "my_encoder.py").write_text(
        "import numpy as np\ndef sizes(paths):\n    return np.array([[p.stat().st_size] for p in paths])\n"
        "def wrong(paths):\n    return np.zeros(3)\n"
    )
    monkeypatch.chdir(tmp_path)
    files = [midi(tmp_path / f"{i}.mid", 60, notes=i + 1) for i in range(3)]
    assert plugin("my_encoder:sizes")(files).tolist() == [[path.stat().st_size] for path in files]
    with pytest.raises(UserError, match="one row of finite numbers for each"):
        plugin("my_encoder:wrong")(files)
    for name, complaint in (
        ("my_encoder", "module:function"),
        ("my_encoder:none", "no attribute"),
        ("not_there:encode", "No module"),
    ):
        with pytest.raises(UserError, match=complaint):
            plugin(name)


def test_vectors_are_made_once_for_each_content(tmp_path):
    files = [midi(tmp_path / f"{i}.mid", 40 + i) for i in range(5)]
    asked: list[Path] = []

    def counting(paths):
        asked.extend(paths)
        return hand_crafted(paths)

    first = cached(counting, tmp_path / "cache")(files[:3])
    moved = files[0].rename(tmp_path / "moved.mid")
    both = cached(counting, tmp_path / "cache")([files[4], moved, files[4]])
    assert asked == [*files[:3], files[4]]
    assert np.array_equal(both[1], first[0])
    assert np.array_equal(both[0], both[2]) and np.array_equal(both[0], hand_crafted([files[4]])[0])


def test_what_was_done_before_a_kill_is_not_done_again(tmp_path):
    files = [midi(tmp_path / f"{i:03}.mid", 20 + i) for i in range(80)]

    def dying(paths):
        if files[70] in paths:
            raise KeyboardInterrupt
        return hand_crafted(paths)

    with pytest.raises(KeyboardInterrupt):
        cached(dying, tmp_path / "cache")(files)
    rest: list[Path] = []

    def finishing(paths):
        rest.extend(paths)
        return hand_crafted(paths)

    assert len(cached(finishing, tmp_path / "cache")(files)) == 80
    assert rest == files[64:]
