"""Continuations made elsewhere: files in a folder, by the names of their prompts.

Knows how a prompt's file is found, and what of it follows the prompt. Refuses to know who made it (`systems.py` lists
the kinds of systems).

    MidiFolder(name="theirs", kind="midi", folder="clips").continuation(prompt, span, sample=0, seed=0)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

from partimento.audio.files import read_sound
from partimento.audio.sampler import Sound
from partimento.errors import UserError
from partimento.evaluate.continuation.prompts import Prompt, Span
from partimento.midi.performance import Performance
from partimento.toml import EXACT

Played = Performance | Sound
"""What follows a prompt: notes on the prompt's clock, or sound [frames, 2] at 48,000 a second from its end on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Files made elsewhere, NAME.SUFFIX or NAME-1.SUFFIX, NAME-2.SUFFIX ... for the prompt that is called NAME.

    `begins` with the "prompt", whose seconds are then left out, or with the "continuation".
    """

    __pydantic_config__: ClassVar = EXACT
    SUFFIXES: ClassVar[tuple[str, ...]] = ()

    name: str
    kind: str
    folder: str
    begins: Literal["prompt", "continuation"] = "prompt"
    samples_of_each: int | None = None

    def under(self, base: Path) -> Self:
        """The folder beside STUDY.toml."""
        return replace(self, folder=str(base / self.folder))

    def samples(self, most: int) -> int:
        """As many as are wanted, or as many as the table says there are."""
        return most if self.samples_of_each is None else min(most, self.samples_of_each)

    def identity(self, prompt: Prompt, *, sample: int) -> str:
        """The content of the file."""
        return hashlib.sha256(self.file(prompt, sample).read_bytes()).hexdigest()

    def file(self, prompt: Prompt, sample: int) -> Path:
        """Where the sample lies."""
        stems = [f"{prompt.path.stem}-{sample + 1}", *([prompt.path.stem] if sample == 0 else [])]
        for stem in stems:
            for suffix in self.SUFFIXES:
                path = Path(self.folder) / f"{stem}{suffix}"
                if path.is_file():
                    return path
        raise UserError(
            f"systems.{self.name}: {self.folder} holds no {' or '.join(stems)} with the suffix "
            f"{', '.join(self.SUFFIXES)}; continue the prompts of the study's folder prompts, or say samples_of_each"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MidiFolder(Folder):
    """MIDI files made elsewhere; what begins with the prompt has its first note where the prompt has it."""

    SUFFIXES: ClassVar[tuple[str, ...]] = (".mid", ".midi")

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:  # noqa: ARG002
        """The file's notes behind the prompt."""
        music = Performance.from_midi(self.file(prompt, sample))
        if self.begins == "continuation":
            return music.slice_time(0, span.seconds).shift(span.prompt)
        first = float(music.onset_seconds[0]) if len(music) else 0.0
        return music.slice_time(first + span.prompt, first + span.end).shift(span.prompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFolder(Folder):
    """Sound made elsewhere, by systems that make no notes; any rate, one side or two."""

    SUFFIXES: ClassVar[tuple[str, ...]] = (".wav", ".flac", ".ogg", ".mp3")

    def continuation(self, prompt: Prompt, span: Span, *, sample: int, seed: int) -> Played:  # noqa: ARG002
        """The file's sound behind the prompt; `UserError` if it is too short."""
        path = self.file(prompt, sample)
        first = span.prompt if self.begins == "prompt" else 0.0
        return read_sound(path, start=first, seconds=span.seconds)
