"""What a listener does, done in Chromium by two of them at once, and what is in the log afterwards."""

import os

import pytest

from partimento.evaluate.listening.manifest import Manifest
from partimento.evaluate.listening.votes import VOTES, listeners_of, read_events
from partimento.studio.build import build
from tests.evaluate.listening.world import sounding_study
from tests.studio.listening.test_panel import serving
from tests.studio.node import CHROMIUM, run


@pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("PARTIMENTO_NEEDS_CHROMIUM"),
    reason="no Chromium on this machine: the page was not tried in a browser (Debian: apt-get install chromium)",
)
def test_two_listeners_in_browsers(tmp_path):
    assert CHROMIUM is not None, "PARTIMENTO_NEEDS_CHROMIUM is set, and there is no Chromium"
    build()
    sounding_study(tmp_path / "study", seconds=4.0, least_seconds=0.2, headphones_right=0)
    with serving(tmp_path / "study") as address:
        run(
            "vitest/vitest.mjs",
            "run",
            "--dir=test/e2e",
            "--testTimeout=240000",
            "--hookTimeout=240000",
            "listen",
            PARTIMENTO_LISTEN=f"http://{address}/",
            PARTIMENTO_CHROMIUM=CHROMIUM,
        )
    manifest = Manifest.read(tmp_path / "study")
    first, second = listeners_of(read_events(tmp_path / "study" / VOTES, digest=manifest.digest)).values()
    assert [trial.choice for trial in first.trials] == ["a", "none", "b", "a", "none"]
    assert first.trials[0].reason == "it knows where it goes"
    assert all(min(trial.heard) >= 0.2 for trial in first.trials)
    assert [trial.choice for trial in second.trials] == [None]
