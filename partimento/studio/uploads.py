"""The latest files that were uploaded, in memory, by the hash of their bytes.

name, performance = uploads.add(data)   # MidiError for what cannot be read
performance = uploads.get(name)         # KeyError once 64 others have come
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Final

from partimento.midi.performance import Performance

MOST_UPLOADS: Final = 64
MOST_NOTES: Final = 2_000_000
"""Notes of all of them together: some 60 MB."""


class Uploads:
    """Forgets what was not asked for longest. Files are read on any thread."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Performance] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, data: bytes) -> tuple[str, Performance]:
        """Reads a MIDI file and keeps it: its name, and what is in it. Raises `MidiError`."""
        name, performance = hashlib.sha256(data).hexdigest()[:32], Performance.from_midi(data)
        with self._lock:
            self._held[name] = performance
            self._held.move_to_end(name)
            while len(self._held) > 1 and (len(self._held) > MOST_UPLOADS or self._notes > MOST_NOTES):
                self._held.popitem(last=False)
        return name, performance

    def get(self, name: str) -> Performance:
        """One that is kept, which makes it the latest; raises `KeyError`."""
        with self._lock:
            self._held.move_to_end(name)
            return self._held[name]

    @property
    def _notes(self) -> int:
        return sum(map(len, self._held.values()))
