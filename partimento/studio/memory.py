"""What somebody who plays in turns has played, as far as the model has read it: the studio's side of `live/partner.py`.

One for each connection. Knows a session of the engine, which reads what is new, and that only one thread may use it at
a time. Refuses to know messages, and when there is time to read.

    memory = Memory(engine)
    memory.read(prompt)                                      # while they play; on a thread that may wait
    run = memory.answering(prompt, 12.25, settings)          # where the batch begins a take
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from partimento.generate.settings import Settings
from partimento.midi.columns import NS_PER_S
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from partimento.generate.engine import Engine
    from partimento.generate.prompt.session import Session
    from partimento.generate.run import Run

_NEAR_S: Final = 0.002
"""What ends so near to the prompt's end had not ended yet."""


class Memory:
    """See the module."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._session: Session | None = None

    def read(self, prompt: Performance) -> None:
        """Reads what is new in it. No answer may be in the making."""
        with self._lock:
            self._session_of(prompt).replace(prompt)

    def answering(self, prompt: Performance, from_seconds: float, settings: Settings) -> Run:
        """An answer, not begun: notes of the prompt that sound up to its end get a length from the model."""
        with self._lock:
            ends = (prompt.onset + prompt.sounding_duration()) / NS_PER_S
            held = np.flatnonzero(ends >= from_seconds - _NEAR_S).tolist()
            session = self._session_of(prompt.slice_notes(0, 0))
            return session.answering(prompt, from_seconds=from_seconds, held=held, settings=settings)

    def _session_of(self, prompt: Performance) -> Session:
        if self._session is None:
            self._session = self._engine.session(prompt)
        return self._session
