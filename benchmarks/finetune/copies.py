"""Does a fine-tuned model recite what it was tuned on? Greedy continuations looked up among the training files.

    python -m benchmarks.finetune.copies RUN... [-o benchmarks/finetune/copies.md]

Each RUN is a folder of `partimento finetune continuation MY_FOLDER`. For the model it began with, its best one and its
last one, the first seconds of training files are continued by always taking the likeliest id; `duplicates.copies`
then says how many of the new notes stand in a training file note for note, in any key and at any tempo; as a control,
the same of the notes that the files themselves go on with. Beside it stands what the run itself says: losses, and by
how much what is learned from has become easier than what is held out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import Program, publish, table
from partimento.corpus.duplicates.copies import copies
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.overlap import fingerprints_of
from partimento.corpus.store.note_store import NoteStore
from partimento.generate.decode.sampling import Sampling
from partimento.generate.engine import Engine
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load
from partimento.tokens.notes import Notes
from partimento.train.objectives.continuation import overfitting
from partimento.train.stages.continuation import outcome

FILES, PROMPT_NOTES, NEW_NOTES = 6, 24, 60


def copied(music: list[Notes], index: PassageIndex) -> str:
    """How many of the notes lie in the longest copy of each piece of music."""
    longest = [copies(notes, index)[:1] for notes in music]
    found = sum(copy.last_note - copy.first_note for stretches in longest for copy in stretches)
    return f"{found} of {sum(map(len, music))}"


def continued(model: str, store: NoteStore) -> list[Notes]:
    """What the model adds to the beginnings of the first training files."""
    engine, added = Engine.load(model), []
    settings = Settings(notes=NEW_NOTES, sampling=Sampling(temperature=0))
    for file in store.split("train")[:FILES]:
        notes = store.notes(int(file), 0, PROMPT_NOTES)
        prompt = Performance.from_notes(
            pitch=notes.pitch,
            velocity=notes.velocity,
            onset=notes.onset_ms / 1000,
            duration=notes.duration_ms / 1000,
        )
        (continuation,) = engine.continue_(prompt, settings=settings)
        added.append(Notes.from_performance(continuation.generated))
    return added


def rows(run: Path) -> list[tuple[object, ...]]:
    """A line of the table for each of the three models of a run, and one for what the files themselves go on with."""
    store, said = NoteStore(run / "store"), outcome(run)
    about = load(run).metadata
    train = set(store.split("train").tolist())
    with tempfile.TemporaryDirectory() as folder:
        files = fingerprints_of(str(store.path), lambda _name, _error: None)
        kept = (file for number, file in enumerate(files) if number in train)
        index = PassageIndex.build(kept, Path(folder) / "index")
        lines = []
        for name, model, step, measured in (
            ("before", about["init"]["model"], 0, said.before),
            ("best", str(run / "best.safetensors"), said.best_step, said.best),
            ("last", str(run / "model.safetensors"), said.last_step, said.last),
        ):
            if name == "best" and step == 0:
                continue  # nothing was gained
            held_out, seen = (f"{measured[key]:.3f}" for key in ("nats_per_token", "seen_nats_per_token"))
            gap, found = f"{overfitting(measured, said.before):.3f}", copied(continued(model, store), index)
            lines.append((run.name, name, step, held_out, seen, gap, found))
        last = PROMPT_NOTES + NEW_NOTES
        real = [store.notes(int(file), PROMPT_NOTES, last) for file in store.split("train")[:FILES]]
        lines.append((run.name, "(the files' own notes)", "", "", "", "", copied(real, index)))
    return lines


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{run}")
    parser.add_argument("runs", nargs="+", type=Path)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    head = ["run", "model", "step", "held out, nats a token", "learned from", "overfitting", "new notes copied"]
    publish(
        options,
        "Overfitting: what a run says, and what its models recite",
        f"Up to {FILES} training files; the first {PROMPT_NOTES} notes of each are continued by {NEW_NOTES}, greedily.",
        table(head, (line for run in options.runs for line in rows(run))),
    )


if __name__ == "__main__":
    main()
