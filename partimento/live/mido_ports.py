"""Real MIDI ports, by mido over python-rtmidi (the extra `live`).

Knows how ports are named and found again: systems add numbers to a name that change when a cable is put back. A
pulled cable shows as a name that is gone. Refuses to know what is sent.

    names()                                             # (inputs, outputs)
    ports = MidoPorts(input_name="piano", output_name=None)
    ports.listen(print); ports.send(strike(60, 70)); ports.present()
"""

from __future__ import annotations

import contextlib
import importlib
import re
import threading
from collections.abc import Sequence
from typing import Any, Final

from partimento.errors import UserError
from partimento.live.ports import Listener, Message, PortLost

BACKEND: Final = "mido.backends.rtmidi"
_NUMBERS: Final = re.compile(r"\s+\d+(:\d+)?$")
_LOOP: Final = "midi through"


def names(backend: str = BACKEND) -> tuple[list[str], list[str]]:
    """Inputs and outputs that there are now. Raises `UserError` where this machine has no MIDI."""
    loaded = _loaded(backend)
    try:
        return list(loaded.get_input_names()), list(loaded.get_output_names())
    except OSError as error:
        raise UserError(
            f"this machine's MIDI cannot be reached ({error}); on Linux it needs /dev/snd/seq (modprobe snd-seq)"
        ) from error


def chosen(available: Sequence[str], wanted: str | None, *, what: str) -> str:
    """The port that is meant: by its name or a part of it, by default the first that leads out of this machine.

    Raises `UserError` where none is meant, or several.
    """
    if wanted is None:
        outside = [name for name in available if _LOOP not in name.lower()]
        if not outside:
            raise UserError(f"there is no MIDI {what}; plug in an instrument, or see partimento duet --list")
        return outside[0]
    if wanted in available:
        return wanted
    fitting = [name for name in available if wanted.lower() in name.lower()]
    if len(fitting) != 1:
        found = ", ".join(fitting or available) or "none"
        raise UserError(f"{'several' if fitting else 'no'} MIDI {what}s are called {wanted!r}; there are: {found}")
    return fitting[0]


class MidoPorts:
    """One input and one output. See `Ports`."""

    def __init__(self, *, input_name: str | None, output_name: str | None, backend: str = BACKEND) -> None:
        """Names or parts of them; by default the first input, and the output of the same name.

        Raises `UserError` for ports that are not there or cannot be opened.
        """
        self._backend_name, self._backend = backend, _loaded(backend)
        inputs, outputs = names(backend)
        self.input_name = chosen(inputs, input_name, what="input")
        same = [name for name in outputs if stem(name) == stem(self.input_name)]
        self.output_name = same[0] if same and output_name is None else chosen(outputs, output_name, what="output")
        self._lock = threading.Lock()
        self._listener: Listener = lambda _: None
        self._input: Any = None
        self._output: Any = None
        self._open()

    def listen(self, listener: Listener) -> None:
        """See `Ports`."""
        self._listener = listener

    def send(self, message: Message) -> None:
        """See `Ports`."""
        with self._lock:
            if self._output is None:
                raise PortLost(f"the MIDI port {self.output_name} is gone")
            try:
                self._output.send(self._message(message))
            except (OSError, ValueError) as error:  # mido raises the latter for a port that is closed
                raise PortLost(f"the MIDI port {self.output_name} is gone: {error}") from error

    def present(self) -> bool:
        """See `Ports`."""
        try:
            inputs, outputs = names(self._backend_name)
        except UserError:
            inputs, outputs = [], []
        back = [
            next((name for name in available if stem(name) == stem(ours)), None)
            for available, ours in ((inputs, self.input_name), (outputs, self.output_name))
        ]
        if None in back:
            self.close()
            return False
        if self._output is None or back != [self.input_name, self.output_name]:
            self.close()
            self.input_name, self.output_name = (name or "" for name in back)
            try:
                self._open()
            except UserError:  # it has only half come back
                return False
        return True

    def close(self) -> None:
        """See `Ports`."""
        with self._lock:
            for port in (self._input, self._output):
                if port is not None:
                    with contextlib.suppress(OSError):
                        port.close()
            self._input = self._output = None

    def _open(self) -> None:
        with self._lock:
            try:
                self._output = self._backend.open_output(self.output_name)
                self._input = self._backend.open_input(self.input_name, callback=self._heard)
            except OSError as error:
                raise UserError(
                    f"the MIDI ports {self.input_name} and {self.output_name} cannot be opened: {error}"
                ) from error

    def _heard(self, theirs: Any) -> None:
        message = Message.from_bytes(theirs.bytes())
        if message is not None:
            self._listener(message)

    @staticmethod
    def _message(ours: Message) -> Any:
        import mido

        return mido.Message.from_bytes(ours.to_bytes())


def stem(name: str) -> str:
    """A port's name without the numbers that change when a cable is put back."""
    return _NUMBERS.sub("", name)


def _loaded(backend: str) -> Any:
    try:
        importlib.import_module(backend)
        import mido
    except ImportError as error:
        raise UserError(f"live playing needs mido and python-rtmidi ({error}); pip install partimento[live]") from error
    return mido.Backend(backend)
