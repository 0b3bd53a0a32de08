"""Draw the splits of the classification tasks and write their manifests of content hashes.

    python -m benchmarks.tasks.make MIDI_FOLDER LABELS.csv -o partimento/evaluate/manifests

LABELS.csv has path (relative to MIDI_FOLDER), dataset, split (train or validation), title, composer, form, period,
genre and emotion. Files that are the same piece by sound (passages in any key and tempo), by composer and title (by
letters and digits, without a remark such as "- Live at ..."), or by their bytes are one component, over however many
steps, and a component has one split. In each class

- test is filled to a fifth and validation to a tenth with whole components, those first that hold files of LABELS.csv's
  validation split, because the models at hand were not pretrained on these; then in the order of their contents;
- of a component at most ten recordings of a class are taken, so that one étude does not outweigh a composer, and of a
  class at most so many as `MOST` says; for this a title counts as it is written, so that which files a task has does
  not depend on how titles are compared;
- a component of Pianist8 or VG-MIDI that also holds files of the collections models are trained on is never test.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.common import Program
from partimento.corpus.duplicates.components import components
from partimento.corpus.duplicates.relations import relations
from partimento.corpus.overlap import fingerprints_of
from partimento.corpus.selection.splits import same_title
from partimento.evaluate.tasks import COLUMNS, HASH_LENGTH, TASKS
from partimento.files import replacing

TEST, VALIDATION, PER_PIECE = 0.2, 0.1, 10
MOST = {"genre": 1000, "period": 300, "form": 200, "composer": 200}
BENCHMARKS = ("pianist8", "vgmidi")
COLUMN_OF = {"pianist8": "folder", "vgmidi": "emotion"}


def read(data: Path, labels: Path) -> list[dict]:
    """One row for each labelled file of its own content: labels, hash, component, whether it was held out."""
    with labels.open(newline="", encoding="utf-8") as file:
        known = {row["path"]: row for row in csv.DictReader(file)}
    rows, prints, seen = [], [], set()
    for name, sha256, print_ in fingerprints_of(str(data), lambda path, error: print(f"refused: {path}: {error}")):
        if name in known and sha256 not in seen:
            seen.add(sha256)
            rows.append(known[name] | {"sha256": sha256[:HASH_LENGTH], "folder": Path(name).parent.name})
            prints.append(print_)
    by_sound = relations(prints, [len(print_) for print_ in prints]).piece_group
    named = pa.table({"composer": [row["composer"] for row in rows], "title": [_title(row) for row in rows]})
    written = pc.binary_join_element_wise(named["composer"], pc.utf8_lower(named["title"]), "\x1f")
    written = pc.if_else(pc.equal(named["title"], ""), None, written).combine_chunks().dictionary_encode().indices
    chosen_by = components([by_sound, np.asarray(pc.fill_null(written, -1))])
    component = components([chosen_by, same_title(named)])
    for name, groups in (("chosen", chosen_by), ("drawn", component)):
        first = {c: min(rows[i]["sha256"] for i in np.flatnonzero(groups == c)) for c in np.unique(groups)}
        held, trained = defaultdict(bool), defaultdict(bool)
        for row, c in zip(rows, groups, strict=True):
            held[c] |= row["split"] == "validation"
            trained[c] |= row["dataset"] not in BENCHMARKS
        for row, c in zip(rows, groups, strict=True):
            row[name] = {"component": int(c), "order": (not held[c], first[c]), "trained": trained[c]}
    return rows


def _title(row: dict) -> str:
    # VG-MIDI's files are phrases: "..._0.mid" and "..._1.mid" of one piece.
    return re.sub(r"_\d+\.mid$", "", row["path"]) if row["dataset"] == "vgmidi" else row["title"]


def draw(name: str, rows: list[dict]) -> list[dict]:
    """The rows of a task with their splits."""
    column = COLUMN_OF.get(name, name)
    rows = [row | {"label": row[column]} for row in rows if row[column] in TASKS[name]]
    rows = [row for row in rows if (row["dataset"] if name in BENCHMARKS else name) == name]
    together: Counter[tuple[int, str]] = Counter()
    taken: Counter[str] = Counter()
    by_component: dict[int, list[dict]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["chosen"]["order"], row["sha256"])):
        mine = row["chosen"]["component"], row["label"]
        if name in BENCHMARKS or (together[mine] < PER_PIECE and taken[row["label"]] < MOST[name]):
            by_component[row["drawn"]["component"]].append(row)
            taken[row["label"]] += 1
            together[mine] += 1
    drawn, filled = [], {"test": Counter(), "validation": Counter()}
    for members in sorted(by_component.values(), key=lambda members: members[0]["drawn"]["order"]):
        counts = Counter(row["label"] for row in members)
        label = counts.most_common(1)[0][0]
        split = "train"
        for wanted, share in (("test", TEST), ("validation", VALIDATION)):
            room = share * taken[label] - filled[wanted][label]
            barred = wanted == "test" and name in BENCHMARKS and members[0]["drawn"]["trained"]
            # A component that overshoots by more than it fills would unbalance the class.
            if split == "train" and not barred and room >= counts[label] / 2:
                split = wanted
                filled[wanted].update(counts)
        drawn += [row | {"split": split} for row in members]
    pieces = {c: i for i, c in enumerate(sorted({row["drawn"]["component"] for row in drawn}))}
    ordered = sorted(drawn, key=lambda row: row["sha256"])
    return [row | {"source": row["dataset"], "piece": pieces[row["drawn"]["component"]]} for row in ordered]


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{midi} {labels} -o {work}")
    parser.add_argument("data", type=Path)
    parser.add_argument("labels", type=Path)
    arguments = parser.parse_args(words)
    rows = read(arguments.data, arguments.labels)
    for name in TASKS:
        drawn = draw(name, rows)
        with replacing(arguments.out / f"{name}.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(drawn)
        unseen = sum(not row["drawn"]["order"][0] for row in drawn if row["split"] == "test")
        counts = Counter((row["label"], row["split"]) for row in drawn)
        tested = sum(n for (_, split), n in counts.items() if split == "test")
        print(f"{name}: {len(drawn)} files, {tested} test, of which {unseen} in components held out from pretraining")
        for label in TASKS[name]:
            print(f"  {label:14}", *(f"{split} {counts[label, split]:4}" for split in ("train", "validation", "test")))


if __name__ == "__main__":
    main()
