"""Messages are what another library says they are; a pulled cable lets nothing through."""

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.live.ports import MemoryPorts, Message, PortLost, control, release, strike
from partimento.live.rehearsal import VirtualClock
from partimento.live.stage import MonotonicClock

BYTE = st.integers(0, 127)


@given(status=st.integers(0x80, 0xEF), first=BYTE, second=BYTE)
def test_bytes_mean_what_mido_says(status: int, first: int, second: int) -> None:
    data = [status, first] if status & 0xF0 in (0xC0, 0xD0) else [status, first, second]
    theirs, ours = mido.Message.from_bytes(data), Message.from_bytes(data)
    if theirs.type == "note_on" and theirs.velocity:
        assert ours == strike(theirs.note, theirs.velocity)
    elif theirs.type in ("note_on", "note_off"):
        assert ours == release(theirs.note)
    elif theirs.type == "control_change":
        assert ours == control(theirs.control, theirs.value)
    else:
        assert ours is None
    if ours is not None:
        assert mido.Message.from_bytes(ours.to_bytes(status & 15)).channel == theirs.channel
        assert Message.from_bytes(ours.to_bytes()) == ours


@pytest.mark.parametrize("data", [[0xF8], [0xF0, 1, 2, 0xF7], [0x90, 60], [], [0x90, 60, 200]])
def test_other_bytes_are_no_message(data: list[int]) -> None:
    assert Message.from_bytes(data) is None


def test_nothing_comes_through_a_pulled_cable() -> None:
    heard, sent = [], []
    ports = MemoryPorts(wire=sent.append)
    ports.listen(heard.append)
    ports.play(strike(60, 1))
    ports.send(strike(61, 1))
    ports.plugged = False
    ports.play(strike(62, 1))
    with pytest.raises(PortLost, match="gone"):
        ports.send(strike(63, 1))
    assert (heard, sent) == ([strike(60, 1)], [strike(61, 1)])
    assert issubclass(PortLost, UserError)


def test_clocks_never_go_back() -> None:
    clock = MonotonicClock()
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times) and times[0] >= 0
    still = VirtualClock()
    still.go_to(2.0)
    with pytest.raises(ValueError, match="back"):
        still.go_to(1.0)
    assert still.now() == 2.0
