"""Ports as mido has them: found by a part of their name, lost, and found again under another number."""

import mido
import pytest

from partimento.errors import UserError
from partimento.live.mido_ports import MidoPorts, chosen, names
from partimento.live.ports import PortLost, release, strike
from tests.live import mido_backend

BACKEND = "tests.live.mido_backend"


@pytest.fixture(autouse=True)
def machine():
    mido_backend.present.clear()
    mido_backend.sent.clear()
    mido_backend.present.update({"Midi Through:Port-0 14:0": "both", "P-125:P-125 MIDI 1 24:0": "both", "Synth": "out"})
    return mido_backend


def opened(**named: str | None) -> MidoPorts:
    return MidoPorts(**{"input_name": None, "output_name": None} | named, backend=BACKEND)


def test_the_first_instrument_is_taken_both_ways(machine):
    ports = opened()
    assert ports.input_name == ports.output_name == "P-125:P-125 MIDI 1 24:0"
    heard = []
    ports.listen(heard.append)
    machine.play(ports.input_name, mido.Message("note_on", note=60, velocity=70, channel=5))
    machine.play(ports.input_name, mido.Message("pitchwheel", pitch=3))
    machine.play(ports.input_name, mido.Message("note_on", note=60, velocity=0))
    assert heard == [strike(60, 70), release(60)]
    ports.send(strike(64, 71))
    assert machine.sent == [mido.Message("note_on", note=64, velocity=71)]
    assert ports.present()


def test_a_part_of_a_name_is_enough(machine):
    assert opened(output_name="synth").output_name == "Synth"
    assert chosen(["a 1", "b 1"], "A", what="input") == "a 1"
    with pytest.raises(UserError, match="several MIDI inputs are called '1'; there are: a 1, b 1"):
        chosen(["a 1", "b 1"], "1", what="input")
    with pytest.raises(UserError, match="no MIDI outputs are called 'x'; there are: none"):
        chosen([], "x", what="output")


def test_without_an_instrument_it_says_so(machine):
    del machine.present["P-125:P-125 MIDI 1 24:0"]
    with pytest.raises(UserError, match="there is no MIDI input; plug in"):
        opened()
    machine.present["broken"] = "both"
    with pytest.raises(UserError, match="no sequencer"):
        names(BACKEND)
    with pytest.raises(UserError, match=r"pip install partimento\[live\]"):
        names("mido.backends.no_such_thing")


def test_a_pulled_cable_is_noticed_and_the_instrument_found_again_under_another_number(machine):
    ports = opened()
    heard = []
    ports.listen(heard.append)
    direction = machine.present.pop("P-125:P-125 MIDI 1 24:0")
    with pytest.raises(PortLost, match="gone"):
        ports.send(strike(60, 1))
    assert not ports.present()
    with pytest.raises(PortLost, match="gone"):
        ports.send(strike(60, 1))
    machine.present["P-125:P-125 MIDI 1 28:0"] = direction
    assert ports.present()
    ports.send(strike(61, 1))
    machine.play("P-125:P-125 MIDI 1 28:0", mido.Message("note_on", note=62, velocity=1))
    assert [message.note for message in machine.sent] == [61]
    assert heard == [strike(62, 1)]
    ports.close()
    assert not mido_backend._listening
