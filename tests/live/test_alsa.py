"""Through the ports of the system's own sequencer, where there is one and python-rtmidi is installed."""

import importlib.util
import threading
from pathlib import Path

import pytest

from partimento.live.mido_ports import MidoPorts
from partimento.live.ports import strike

SEQUENCER = Path("/dev/snd/seq")


@pytest.mark.skipif(not SEQUENCER.exists(), reason="this machine has no ALSA sequencer (/dev/snd/seq)")
@pytest.mark.skipif(importlib.util.find_spec("rtmidi") is None, reason="python-rtmidi is not installed")
def test_what_is_sent_through_the_system_comes_back():
    ports = MidoPorts(input_name="Midi Through", output_name="Midi Through")
    came = threading.Event()
    heard = []

    def hear(message):
        heard.append(message)
        came.set()

    ports.listen(hear)
    ports.send(strike(60, 70))
    assert came.wait(60)
    assert heard == [strike(60, 70)] and ports.present()
    ports.close()
