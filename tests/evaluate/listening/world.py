"""A study of a few seconds: three short pieces, and systems of every kind that needs no model."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from partimento.evaluate.listening.manifest import (
    CLIPS,
    AttentionCheck,
    Clip,
    HeadphoneQuestion,
    Manifest,
    hash_of,
    sound_file,
)
from partimento.evaluate.listening.study import Checks, Clips, Prompts, Study, Trials
from partimento.midi.performance import Performance

STUDY = """
name = "which goes on better?"
consent = "We keep what you answer and nothing else."
question = "Which continuation is more coherent?"
reference = "ours"
seed = 5

[prompts]
folder = "midi"
count = 2
seconds = 1

[clips]
seconds = 1
samples = 2

[trials]
each = 3
least_seconds = 0

[checks]
attention = 1
attention_right = 1
headphones = 2
headphones_right = 2

[[systems]]
name = "ours"
kind = "midi"
folder = "ours"

[[systems]]
name = "a synthesiser"
kind = "audio"
folder = "sounds"
begins = "continuation"
samples_of_each = 1

[[systems]]
name = "pianists"
kind = "pianists"

[[systems]]
name = "shuffled"
kind = "shuffled"
seconds = 0.1
"""


def piece(seed: int, seconds: float = 3.0) -> Performance:
    rng = np.random.default_rng(seed)
    n = int(seconds * 9)
    return Performance.from_notes(
        pitch=rng.integers(48, 60, n),
        velocity=rng.integers(40, 90, n),
        onset=np.linspace(0, seconds, n),
        duration=rng.uniform(0.1, 0.4, n),
    )


def write_study(folder: Path, text: str = STUDY) -> Path:
    """STUDY.toml and all that it names, in a folder."""
    for place in ("midi", "ours", "sounds"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(("adagio", "ballad", "canon")):
        piece(i).write_midi(folder / "midi" / f"{name}.mid")
        for sample in (1, 2):
            piece(100 * sample + i).write_midi(folder / "ours" / f"{name}-{sample}.mid")
        tone = 0.1 * np.sin(2 * np.pi * 330 * np.arange(32_000 * 3) / 32_000)
        soundfile.write(folder / "sounds" / f"{name}.wav", tone, 32_000)
    path = folder / "STUDY.toml"
    path.write_text(text)
    return path


def silent_manifest(
    *,
    prompts: int = 5,
    others: int = 4,
    samples: int = 8,
    each: int = 8,
    attention: int = 2,
    reference: bool = True,
    seconds: float = 60.0,
    least_seconds: float = 10.0,
    headphones_right: int = 2,
) -> Manifest:
    """A study of which only the manifest exists: "ours" and others, of which "pianists" has one clip of each prompt."""
    names = ["ours", "pianists", *(f"system {k}" for k in range(others - 1))]
    study = Study(
        name="Which goes on better?",
        consent="We keep what you answer and nothing else.",
        question="Which continuation is more coherent?",
        reference="ours" if reference else None,
        seed=1,
        prompts=Prompts(folder="midi", count=prompts, seconds=seconds / 2),
        clips=Clips(samples=samples, seconds=seconds / 2),
        trials=Trials(each=each, least_seconds=least_seconds),
        checks=Checks(attention=attention, attention_right=attention, headphones=2, headphones_right=headphones_right),
        systems=tuple({"name": name, "kind": "midi"} for name in names),
    )
    titles = tuple(f"prompt {k}" for k in range(prompts))

    def clip(system: str, prompt: str, sample: int) -> Clip:
        id_ = f"{system}/{prompt}/{sample}"
        return Clip(id=id_, system=system, prompt=prompt, sample=sample, sha256="", loudness=-23.0, notes=False)

    return Manifest(
        study=study,
        prompts=titles,
        clips=tuple(
            clip(name, title, sample)
            for name in names
            for title in titles
            for sample in range(1 if name == "pianists" else samples)
        ),
        attention=tuple(
            AttentionCheck(good=clip("good", f"extra {k}", 0), bad=clip("bad", f"extra {k}", 0))
            for k in range(attention)
        ),
        headphones=tuple(HeadphoneQuestion(id=f"h{k}", sha256="", answer=k % 3) for k in range(4)),
    )


def sounding_study(folder: Path, *, seconds: float = 4.0, least_seconds: float = 0.0, **more: int) -> Manifest:
    """A study in a folder, made of tones instead of music; every sound is another one. Half of a clip is the prompt."""
    few = {"prompts": 2, "others": 2, "samples": 2, "each": 3}
    manifest = silent_manifest(seconds=seconds, least_seconds=least_seconds, **few, **more)
    (folder / CLIPS).mkdir(parents=True)

    def sounding(one: Any) -> Any:
        id_ = hashlib.sha256(one.id.encode()).hexdigest()[:16]
        path = sound_file(folder, id_)
        hertz = 200 + int(id_[:3], 16)
        tone = 0.1 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * 8000)) / 8000)
        soundfile.write(path, np.stack([tone, tone], axis=1), 8000)
        return dataclasses.replace(one, id=id_, sha256=hash_of(path))

    made = dataclasses.replace(
        manifest,
        clips=tuple(sounding(clip) for clip in manifest.clips),
        attention=tuple(
            AttentionCheck(good=sounding(check.good), bad=sounding(check.bad)) for check in manifest.attention
        ),
        headphones=tuple(sounding(question) for question in manifest.headphones),
    )
    made.write(folder)
    return made
