"""How much a model copies: continuations of prompts that it learned from and of others, at several temperatures.

    python -m benchmarks.library.copying STORE WORK [--prompts 10] [--searched 10] -o benchmarks/library/copying.md

STORE is the note store that the model learned from. Prompts are the first 15 s of files that go on for a minute, one of
each piece, the collections by turns: of the split that was learned from and of the one held out. Each is continued by
45 s at every temperature, without a search, and as `partimento continue` does, with the search. WORK keeps the index
and every continuation; a stopped program goes on there. As a control, what the pianists of the held-out prompts went on
with is looked up too, without the files of the piece itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Program, publish, table
from partimento import Engine, Performance
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.store.note_store import NoteStore
from partimento.library.originality import Originality, originality
from partimento.tokens.notes import Notes

PROMPT, SECONDS, FEWEST_NOTES = 15.0, 45.0, 300
TEMPERATURES = (1.0, 0.0, 0.7, 0.4)
KINDS = {"train": "learned from", "validation": "held out"}
HEAD = ("search", "temperature", "prompts", "takes", "notes", "flagged", "known works", "median", "best", "p of it",
        "go on with the prompt's file", "at most, s")  # fmt: skip


def performance(notes: Notes) -> Performance:
    """As stored: the pedal is in the durations."""
    return Performance.from_notes(
        pitch=notes.pitch,
        velocity=notes.velocity,
        onset=notes.onset_ms / 1000,
        duration=np.maximum(notes.duration_ms, 1) / 1000,
    )


def prompts(store: NoteStore, split: str, count: int) -> list[int]:
    """Files long enough, one of each piece, in an order drawn with seed 0, the collections by turns."""
    of: dict[str, list[int]] = {}
    pieces = set()
    for file in np.random.default_rng(0).permutation(store.split(split)).tolist():
        notes = store.notes(file)
        long = len(notes) >= FEWEST_NOTES and notes.onset_ms[-1] >= 1000 * (PROMPT + SECONDS)
        begun = np.sum(notes.onset_ms < 1000 * PROMPT) >= FEWEST_NOTES / 10
        if long and begun and store.pieces[file] not in pieces:
            pieces.add(store.pieces[file])
            of.setdefault(store.file(file).labels.get("collection", ""), []).append(file)
    turns = chain.from_iterable(zip_longest(*(of[name] for name in sorted(of))))
    return [file for file in turns if file is not None][:count]


def index_of(store: NoteStore, path: Path) -> PassageIndex:
    """What was learned from; made if it is not there."""
    if path.exists():
        return PassageIndex(path)
    learned = (store.file(int(n)) for n in store.split("train"))
    numbers = store.split("train").tolist()
    files = ((file.name, file.sha256, fingerprint(store.notes(n))) for n, file in zip(numbers, learned, strict=True))
    return PassageIndex.build(files, path, origin=str(store.path))


def takes(store: NoteStore, files: list[int], model: str, work: Path, **asked: object) -> Iterator[Performance]:
    """Prompt and continuation of each file, made or read."""
    engine = None
    for file in files:
        path = work / f"{file}.mid"
        if not path.exists():
            engine = engine or Engine.load(model)
            given = performance(store.notes(file)).slice_time(0, PROMPT)
            (made,) = engine.continue_(given, from_seconds=PROMPT, seconds=SECONDS, **asked)
            path.parent.mkdir(parents=True, exist_ok=True)
            made.write_midi(path)
            print(path, made.notes_per_s, flush=True)
        yield Performance.from_midi(path)


def row(name: str, temperature: str, kind: str, found: list[Originality]) -> tuple[object, ...]:
    """A line of the table."""
    best = max((each.longest for each in found if each.longest), key=lambda passage: passage.copy.score, default=None)
    on = [each.quoted_seconds for each in found]
    return (
        name, temperature, kind, len(found), sum(each.notes for each in found), sum(each.flagged for each in found),
        sum(each.verdict == "repertoire" for each in found),
        int(np.median([each.longest.copy.score if each.longest else 0 for each in found])),
        best.copy.score if best else 0, f"{best.p:.4f}" if best else "",
        sum(seconds > 1 for seconds in on),
        f"{max(on):.1f}",
    )  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{store} {work} --model {model} --prompts 1 --searched 1")
    parser.add_argument("store", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--searched", type=int, default=10)
    parser.add_argument("--temperatures", nargs="+", type=float, default=TEMPERATURES)
    parser.add_argument("--made", action="store_true", help="judge what was made so far, and make nothing")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    store = NoteStore(options.store)
    index = index_of(store, options.work / "index")
    rows, told = [], []
    ways = [("no", f"{t:g}", options.prompts, {"candidates": 1, "temperature": t}) for t in options.temperatures]
    searched = ("yes", "the model's", options.searched, {})
    for search, temperature, count, asked in [*ways[:2], searched, *ways[2:]]:
        for split, kind in KINDS.items():
            folder = options.work / f"{search}-{temperature.replace(' ', '')}-{split}"
            files = prompts(store, split, count)
            if options.made:
                files = [file for file in files if (folder / f"{file}.mid").exists()]
            found = []
            for file, music in zip(files, takes(store, files, options.model, folder, **asked), strict=True):
                judged = originality(music, against=index, prompt_seconds=PROMPT)
                found.append(judged)
                told += [
                    (search, temperature, store.file(file).name, each.copy.name, each.notes, f"{each.copy.seconds:.1f}",
                     each.copy.transposition, f"{each.copy.tempo:.2f}", f"{each.p:.4f}")
                    for each in judged.passages if each.flagged
                ]  # fmt: skip
            if found:
                rows.append(row(search, temperature, kind, found))
    own = []
    for file in prompts(store, "validation", options.prompts):
        theirs = performance(store.notes(file)).slice_time(0, PROMPT + SECONDS)
        own.append(originality(theirs, against=index, prompt_seconds=PROMPT))
    rows.append(row("", "the pianists", KINDS["validation"], own))
    flagged = ("search", "temperature", "prompt", "source", "notes", "s", "semitones", "tempo", "p")
    publish(
        options,
        "How much the model copies",
        f"{len(index):,} files that were learned from. Each take is {SECONDS:g} s behind a prompt of {PROMPT:g} s; "
        "median and best: scores of the best passage that is no quotation.",
        table(HEAD, rows),
        "Every flagged passage:" if told else "No passage is flagged.",
        table(flagged, told) if told else "",
    )


if __name__ == "__main__":
    main()
