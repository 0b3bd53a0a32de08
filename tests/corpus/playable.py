"""Files and stores to make a corpus of."""

from pathlib import Path

import numpy as np

from partimento.corpus.store.build import build
from partimento.corpus.store.note_store import NoteStore
from partimento.corpus.store.plans import Labels, plan_folder
from partimento.midi.performance import Performance


def noise(seed: int, n: int) -> Performance:
    """n random piano notes over about n / 5 seconds, with some pedal; onsets from 0 s on a grid of 1 ms."""
    rng = np.random.default_rng(seed)
    return Performance.from_notes(
        pitch=rng.permutation(np.arange(21, 109))[np.arange(n) % 88],
        velocity=rng.integers(1, 128, n),
        onset=np.sort(rng.integers(0, 200 * n, n)) / 1000,
        duration=rng.integers(1, 3000, n) / 1000,
        pedal=[(0.5, 1.0), (2.0, 3.25)],
    )


def write(path: Path, performance: Performance) -> Path:
    """Write and say where."""
    path.parent.mkdir(exist_ok=True, parents=True)
    performance.write_midi(path)
    return path


def store_of(folder: Path, performances: list[Performance], labels: Labels | None = None, **build_options) -> NoteStore:
    """A store of performances named 00.mid, 01.mid ... in `folder`; all are for training unless `labels` says else."""
    names = [f"{i:02}.mid" for i in range(len(performances))]
    for name, performance in zip(names, performances, strict=True):
        write(folder / "midi" / name, performance)
    plan, refused = plan_folder(folder / "midi", labels or {name: {"split": "train"} for name in names})
    assert refused == [] and build(plan, folder / "store", **build_options) == []
    return NoteStore(folder / "store")
