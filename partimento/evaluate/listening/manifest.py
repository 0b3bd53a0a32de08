"""What a made study consists of, frozen: manifest.json names every clip by the hash of its bytes.

Knows the folder of a study, and refuses one in which anything changed. Refuses to know how clips come about.

    manifest = Manifest.read(Path("study"))          # `UserError` if a clip is missing or is not the one that was made
    manifest.of("ours", "nocturne")                  # the clips of a system behind a prompt
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from partimento.errors import UserError
from partimento.evaluate.listening.study import Study
from partimento.files import replacing
from partimento.toml import EXACT, from_table

FILE: Final = "manifest.json"
CLIPS: Final = "clips"
_FORMAT: Final = "partimento listening test 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A sound file, CLIPS/`id`.flac, by its hash; `notes`: whether its notes lie beside it, as `id`.mid.

    `loudness` in LUFS as measured. What says who plays stands here and nowhere that a listener can look.
    """

    __pydantic_config__: ClassVar = EXACT

    id: str
    system: str
    prompt: str
    sample: int
    sha256: str
    loudness: float
    notes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCheck:
    """Two clips of a prompt that is not among the others: the pianist's, and nonsense."""

    __pydantic_config__: ClassVar = EXACT

    good: Clip
    bad: Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadphoneQuestion:
    """A sound, and which of its three noises holds the tone (0, 1, 2)."""

    __pydantic_config__: ClassVar = EXACT

    id: str
    sha256: str
    answer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A study and all that is heard in it; `prompts` by name, in the order in which they were chosen."""

    __pydantic_config__: ClassVar = EXACT

    format: str = _FORMAT
    study: Study
    prompts: tuple[str, ...]
    clips: tuple[Clip, ...]
    attention: tuple[AttentionCheck, ...]
    headphones: tuple[HeadphoneQuestion, ...]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The study in a folder, all of whose sounds are those that were made; `UserError` otherwise."""
        path = folder / FILE
        if not path.is_file():
            raise UserError(
                f"{folder}: no study that is ready; make one with 'partimento listen make STUDY.toml -o ...'"
            )
        try:
            manifest = from_table(json.loads(path.read_text(encoding="utf-8")), cls, what="manifest")
        except (json.JSONDecodeError, UnicodeDecodeError, UserError) as error:
            raise UserError(
                f"{path}: not what 'partimento listen make' wrote ({error}); make the study again"
            ) from error
        if manifest.format != _FORMAT:
            raise UserError(f"{path}: its format is {manifest.format!r}, not {_FORMAT!r}; make the study again")
        for id_, sha256 in manifest.files.items():
            sound = sound_file(folder, id_)
            if not sound.is_file() or hash_of(sound) != sha256:
                what = "is not the one that was made" if sound.is_file() else "is missing"
                raise UserError(f"{sound} {what}; votes on other clips mean nothing: restore it, or make a new study")
        return manifest

    def write(self, folder: Path) -> None:
        """Into the folder, whole."""
        with replacing(folder / FILE) as part:
            part.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")

    @property
    def digest(self) -> str:
        """A hash of all of it, rules and clips: what votes were given on."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def files(self) -> dict[str, str]:
        """Every sound's id and hash."""
        checks = [clip for check in self.attention for clip in (check.good, check.bad)]
        return {one.id: one.sha256 for one in (*self.clips, *checks)} | {one.id: one.sha256 for one in self.headphones}

    def of(self, system: str, prompt: str) -> list[Clip]:
        """The clips of a system behind a prompt."""
        return [clip for clip in self.clips if (clip.system, clip.prompt) == (system, prompt)]


def sound_file(folder: Path, id_: str) -> Path:
    """Where a sound lies."""
    return folder / CLIPS / f"{id_}.flac"


def hash_of(path: Path) -> str:
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
