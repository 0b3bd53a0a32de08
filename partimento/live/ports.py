"""MIDI messages as live playing needs them, and what is asked of the ports that they come and go through.

Knows the three messages that matter on a piano, as bytes and as values, and ports in this process, for rehearsals and
tests. Refuses to know what the messages mean, and real ports (`mido_ports.py`).

    Message.from_bytes([0x90, 60, 80])      # Message(kind="on", number=60, value=80)
    ports = MemoryPorts()
    ports.listen(print)
    ports.play(control(SUSTAIN, 127))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self

from partimento.errors import UserError

SUSTAIN: Final = 64
SOSTENUTO: Final = 66
SOFT: Final = 67
ALL_NOTES_OFF: Final = 123

_STATUS: Final = {"off": 0x80, "on": 0x90, "control": 0xB0}
_KINDS: Final = {0x80: "off", 0x90: "on", 0xB0: "control"}


class PortLost(UserError):
    """A port that was there is gone: a cable was pulled, an instrument switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A key struck ("on": pitch and velocity) or let go ("off": pitch), or a controller (number and value), 0..127."""

    kind: Literal["on", "off", "control"]
    number: int
    value: int = 0

    @classmethod
    def from_bytes(cls, data: Sequence[int]) -> Self | None:
        """The message on whatever channel; None for all others. Striking with velocity 0 is letting go."""
        kind = _KINDS.get(data[0] & 0xF0) if len(data) == 3 else None
        if kind is None or max(data[1:]) > 127:
            return None
        number, value = data[1:]
        if kind == "off" or (kind == "on" and value == 0):
            return cls(kind="off", number=number)
        return cls(kind="on" if kind == "on" else "control", number=number, value=value)

    def to_bytes(self, channel: int = 0) -> list[int]:
        """Its three bytes."""
        return [_STATUS[self.kind] | channel, self.number, self.value]


def strike(pitch: int, velocity: int) -> Message:
    """A key goes down."""
    return Message(kind="on", number=pitch, value=velocity)


def release(pitch: int) -> Message:
    """A key comes up."""
    return Message(kind="off", number=pitch)


def control(number: int, value: int) -> Message:
    """A controller moves."""
    return Message(kind="control", number=number, value=value)


Listener = Callable[[Message], None]


class Ports(Protocol):
    """A way in and a way out. Methods may be called from any thread."""

    def listen(self, listener: Listener) -> None:
        """Calls it with every message that comes in, as soon as it does, on a thread of the port's."""

    def send(self, message: Message) -> None:
        """Sends at once. Raises `PortLost` where there is nothing to send to any more."""

    def present(self) -> bool:
        """Whether both ends are there; where they come back, they are opened again."""

    def close(self) -> None:
        """Lets go of both."""


class MemoryPorts:
    """Ports within this process, with a cable that can be pulled."""

    def __init__(self, *, wire: Listener | None = None) -> None:
        """`wire` is given what is sent, for a loop back or a look at it."""
        self._wire: Listener = wire or (lambda _: None)
        self._listener: Listener = lambda _: None
        self.plugged = True

    def listen(self, listener: Listener) -> None:
        """See `Ports`."""
        self._listener = listener

    def play(self, message: Message) -> None:
        """A message from outside; nothing comes through where the cable is pulled."""
        if self.plugged:
            self._listener(message)

    def send(self, message: Message) -> None:
        """See `Ports`."""
        if not self.plugged:
            raise PortLost("the MIDI port is gone")
        self._wire(message)

    def present(self) -> bool:
        """See `Ports`."""
        return self.plugged

    def close(self) -> None:
        """See `Ports`."""
        self.plugged = False
