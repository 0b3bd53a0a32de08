"""What --quick works on: music that nobody plays, and what is made of it, when a benchmark first asks for it.

    filled("{midi} --files 4")        # ["/tmp/.../midi", "--files", "4"]

{midi} is a folder of MIDI files of 80 s, {file} one of them, {labels} a CSV about them, {layout} the same as tasks,
{corpus} their survey, {store} a note store of them, {stores} a folder of such stores, {model} a model that has learned
nothing, {run} a fine-tuning of it, {vectors} a table of vectors of them, {work} an empty folder. All of it goes when
the program ends.
"""

from __future__ import annotations

import atexit
import contextlib
import csv
import json
import os
import re
import shutil
import tempfile
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from partimento.cli import main as partimento
from partimento.midi.performance import Performance

FILES, NOTES, SECONDS = 16, 720, 80.0
SPLITS = (
    *("train", "train", "train", "validation", "test", "validation", "validation", "train"),
    *("validation", "train", "validation", "validation", "test", "train", "train", "train"),
)
SETS = ("asap", "asap", "pijama", "pop909", "cpm_piano_midi_de", "emopia", "pianolatron", "pianolatron")
LABELS = {
    "composer": ("Chopin", "Bach"), "genre": ("classical", "jazz"), "form": ("sonata", "waltz"),
    "period": ("romantic", "baroque"), "emotion": ("happy", "sad"), "vgmidi": ("happy", "sad"),
}  # fmt: skip


def filled(quick: str) -> list[str]:
    """The words, with what stands in braces made."""
    return [re.sub(r"\{(\w+)\}", lambda found: str(_MAKERS[found[1]]()), word) for word in quick.split()]


def performance(seed: int, notes: int = NOTES, seconds: float = SECONDS) -> Performance:
    """Notes anywhere, with a beat now and then."""
    rng = np.random.default_rng(seed)
    onset = np.sort(np.append(rng.uniform(0, seconds, notes - 1), seconds))
    onset = np.where(rng.random(notes) < 0.5, np.round(onset, 1), onset)
    return Performance.from_notes(
        pitch=rng.integers(30, 100, notes),
        velocity=rng.integers(20, 120, notes),
        onset=np.sort(onset),
        duration=rng.uniform(0.1, 1, notes),
    )


@cache
def scratch() -> Path:
    """Where everything lies."""
    folder = Path(tempfile.mkdtemp(prefix="partimento-quick-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def midi() -> Path:
    folder = scratch() / "midi"
    folder.mkdir()
    for number in range(FILES):
        performance(number).write_midi(folder / f"{number:02}.mid")
    performance(0, seconds=0.9 * SECONDS).write_midi(folder / "01.mid")  # the same piece, played faster
    return folder


@cache
def labels() -> Path:
    path = scratch() / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "dataset", "collection", "title", "pianist", *LABELS])
        for number in range(FILES):
            row = [f"{number:02}.mid", SPLITS[number], SETS[number % 8], SETS[number % 8]]
            title, pianist = f"Piece {number - (number == 1)}", "somebody" if number % 2 else "somebody|88-note"
            writer.writerow([*row, title, pianist, *(values[number // 8] for values in LABELS.values())])
    return path


@cache
def layout() -> Path:
    path = midi() / "metadata.json"
    with labels().open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tasks: dict[str, dict[str, dict[str, str]]] = {name: {split: {} for split in SPLITS} for name in LABELS}
    for name, row in product(LABELS, rows):
        tasks[name][row["split"]][row["path"]] = row[name]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def _command(*words: object) -> None:
    with contextlib.redirect_stdout(open(os.devnull, "w", encoding="utf-8")):  # noqa: PTH123 - as long as the program
        assert partimento([str(word) for word in words]) == 0, words


@cache
def corpus() -> Path:
    _command("survey", midi(), "--labels", labels(), "--workers", 1, "-o", scratch() / "corpus")
    return scratch() / "corpus"


@cache
def store() -> Path:
    return stores() / "finetune"


@cache
def stores() -> Path:
    folder = scratch() / "stores"
    _command("store", midi(), "--labels", labels(), "--workers", 1, "-o", folder / "finetune")
    for name in ("contrastive", "vgmidi"):
        shutil.copytree(folder / "finetune", folder / name)
    return folder


@cache
def model() -> Path:
    from partimento.model.checkpoint import save
    from partimento.model.config import ModelConfig
    from partimento.model.initialisation import random_initialisation
    from partimento.model.transformer import Transformer
    from partimento.tokens.vocabulary import Vocabulary

    vocabulary = Vocabulary.piano()
    made = Transformer(ModelConfig.named("debug", vocab_size=len(vocabulary), context=1024))
    random_initialisation(made, seed=1)
    save(scratch() / "model.safetensors", made, vocabulary)
    return scratch() / "model.safetensors"


@cache
def run() -> Path:
    folder = scratch() / "run"
    few = ["--loop.steps", 2, "--loop.warmup-steps", 1, "--batch", 1, "--length", 128]
    _command("finetune", "continuation", midi(), "--from", model(), "-o", folder, *few)
    return folder


def work() -> Path:
    return Path(tempfile.mkdtemp(dir=scratch()))


@cache
def vectors() -> Path:
    _command("embed", midi(), "-o", scratch() / "vectors.parquet")
    return scratch() / "vectors.parquet"


_MAKERS = {each.__name__: each for each in (midi, labels, layout, corpus, store, stores, model, run, work, vectors)} | {
    "file": lambda: midi() / "00.mid"
}
