"""A back end of mido within this process: what real ports look like from above, and how they vanish."""

from collections.abc import Callable

import mido
from mido.ports import BaseInput, BaseOutput

present: dict[str, str] = {}
"""Names of ports, and "in", "out" or "both"."""
sent: list[mido.Message] = []
_listening: dict[str, Callable[[mido.Message], None]] = {}


def get_devices(**_: object) -> list[dict]:
    if "broken" in present:
        raise OSError("no sequencer")
    return [{"name": n, "is_input": d != "out", "is_output": d != "in"} for n, d in present.items()]


def play(name: str, message: mido.Message) -> None:
    _listening[name](message)


class Input(BaseInput):
    def _open(self, callback: Callable[[mido.Message], None] | None = None, **_: object) -> None:
        if self.name not in present:
            raise OSError(f"unknown port {self.name}")
        if callback is not None:
            _listening[self.name] = callback

    def _close(self) -> None:
        _listening.pop(self.name, None)


class Output(BaseOutput):
    def _open(self, **_: object) -> None:
        if self.name not in present:
            raise OSError(f"unknown port {self.name}")

    def _send(self, message: mido.Message) -> None:
        if self.name not in present:
            raise OSError("gone")
        sent.append(message)
