"""The recordings of the piano, decoded: one for every third semitone, each held once it was asked for.

Knows where the files lie, where an attack begins, and which recording serves a pitch. Refuses to know notes.

    >>> from partimento.audio.samples import recording
    >>> recording(69).first        # doctest: +SKIP
    372
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.audio.fetch import FOLDER, ROOTS
from partimento.errors import UserError

RATE: Final = 48_000
"""Samples a second, of the recordings and of all that is made of them."""
LOWEST, HIGHEST = 21, 108
_ATTACK_SHARE: Final = 0.1
_BEFORE_ATTACK: Final = RATE // 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """`waves`: float32 [frames, 2], read from frame `first` on; what stands before is silence and the key's noise."""

    waves: NDArray[np.float32]
    first: int

    @classmethod
    def of(cls, waves: NDArray[np.float32]) -> Recording:
        """Finds where the attack begins."""
        level = np.abs(waves).max(axis=1)
        attack = int(np.argmax(level >= _ATTACK_SHARE * level.max()))
        return cls(waves=waves, first=max(1, attack - _BEFORE_ATTACK))


def root_of(pitch: int) -> int:
    """The pitch of the recording that serves a pitch, at most a semitone away on the keys of a piano."""
    return LOWEST + 3 * ((min(max(pitch, LOWEST), HIGHEST) - LOWEST + 1) // 3)


def check_recordings() -> None:
    """Raises `UserError` where files are missing."""
    for name in ROOTS:
        if not (FOLDER / name).is_file():
            raise UserError(
                f"{FOLDER / name} is missing: the recordings of the piano were not fetched when partimento was "
                "installed; get them with: python -m partimento.audio.fetch"
            )


@cache
def recording(root: int) -> Recording:
    """The recording of one of the 30 pitches; raises `UserError` where its file is missing or damaged."""
    import soundfile

    name = next(name for name, pitch in ROOTS.items() if pitch == root)
    path = FOLDER / name
    check_recordings()
    try:
        waves, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} cannot be read ({error}); remove it, and python -m partimento.audio.fetch") from error
    assert rate == RATE, rate
    assert waves.shape[1] == 2, waves.shape
    return Recording.of(waves)
