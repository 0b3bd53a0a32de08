"""A run as seen from a terminal: loss, speed, utilisation, memory, time left.

Knows: how to show a `Progress`, as a bar that moves or, where nobody watches, as a line now and then. Refuses to know:
how training is done.

    with Display("debug", unit="tokens", flops_per_target=1e9, device=device) as display:
        train(..., report=display.show)
"""

from __future__ import annotations

import math
import sys
from types import TracebackType

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from partimento.train.flops import rated_flops
from partimento.train.loop import Progress

_QUIET_SECONDS = 60.0
_FIRST_SECONDS = 5.0
"""After the first step a line comes this soon, and each time twice as late, until it is every minute."""


class Display:
    """Shows the progress of one run on standard error. `shown` is false in all processes but the main one."""

    def __init__(
        self, name: str, *, unit: str, flops_per_target: float, device: torch.device, processes: int, shown: bool
    ) -> None:
        console = Console(stderr=True)
        self._unit = unit
        self._shown, self._watched = shown, console.is_terminal
        self._device, self._per_target = device, flops_per_target / processes
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not (shown and self._watched),
        )
        self._task = self._bar.add_task(name, total=None, state="")
        self._said_at = -math.inf
        self._wait = _FIRST_SECONDS
        self._elapsed = 0.0

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """A line of its own, to whoever watches."""
        if self._shown:
            print(line, file=sys.stderr)  # noqa: T201

    def show(self, progress: Progress) -> None:
        """After every step."""
        if not self._shown:
            return
        self._elapsed += progress.seconds
        due = self._elapsed - self._said_at >= self._wait or progress.step == progress.steps
        if self._watched:
            self._bar.update(self._task, completed=progress.step, total=progress.steps, state=self.state(progress))
        elif due:
            if self._said_at >= 0:
                self._wait = min(2 * self._wait, _QUIET_SECONDS)
            self._said_at = self._elapsed
            print(f"step {progress.step} of {progress.steps}, {self.state(progress)}", file=sys.stderr)  # noqa: T201

    def state(self, progress: Progress) -> str:
        """One line: `loss 3.214, 12,345 tokens/s, 41 % MFU, 3.1 GB, 12 min left, validation 3.4`.

        Utilisation is left out where the device's speed is not known.
        """
        pace = progress.targets / progress.seconds
        digits = 0 if pace >= 100 else 1
        memory = _memory(self._device)
        peak = rated_flops(self._device)  # of a busy processor nobody knows it: what is measured may be a tenth
        parts = [
            f"loss {progress.loss:.3f}",
            f"{pace:,.{digits}f} {self._unit}/s",
            *([] if peak is None else [f"{100 * pace * self._per_target / peak:.0f} % MFU"]),
            *([] if memory is None else [f"{memory / 1e9:.1f} GB"]),
            _left(progress.seconds_left),
        ]
        if progress.criterion is not None:
            parts.append(f"validation {progress.criterion:.3f}")
        return ", ".join(parts)


def _memory(device: torch.device) -> int | None:
    """The most bytes in use so far, of the device or of this process; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"
