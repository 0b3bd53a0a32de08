"""How much of a label is really the collection that a recording came from?

    python -m benchmarks.tasks.confounding MIDI_FOLDER --vectors CACHE -o benchmarks/tasks/confounding.md

Every collection was recorded in its own way: reproducing pianos, transcription from audio, piano rolls, step entry.
Where a label goes with a collection, a classifier may learn the recording and score well. Measured here, on the splits
of `partimento evaluate tasks`, with extremely randomised trees on the statistics of the notes (quick, and close to what
boosted trees reach):

- given by source: the mutual information of label and source, as a share of the label's entropy;
- source alone: accuracy of guessing each source's commonest label;
- source told: how well the same statistics tell the source;
- within a source: accuracy when training and testing on one source only, beside guessing its commonest label;
- another source: trained without a source, how much of it is labelled rightly;
- groups of statistics: what a few of them alone reach for label and for source.

For genre, where every source has one label, pop is also labelled: it is neither class, so which of the two it is taken
for tells of the recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import mutual_info_score

from benchmarks.common import Program, percent, publish
from benchmarks.common import table as markdown
from partimento.evaluate import handcrafted
from partimento.evaluate.encoders import cached, hand_crafted
from partimento.evaluate.tasks import TASKS, Task, contents, located, task

FEWEST = 20
POP_FILES = 150


class Table:
    """A task's files as arrays: statistics, labels, sources, splits."""

    def __init__(self, task: Task, vectors: Path) -> None:
        self.task = task
        self.x = cached(hand_crafted, vectors)([example.path for example in task.found])
        self.label = np.array([example.label for example in task.found])
        self.source = np.array([example.source for example in task.found])
        self.split = np.array([example.split for example in task.found])
        self.train, self.test = self.split != "test", self.split == "test"

    def accuracy(self, wanted: np.ndarray, train: np.ndarray, test: np.ndarray, columns: slice | None = None) -> float:
        x = self.x[:, columns or slice(None)]
        return float((fitted(x[train], wanted[train]).predict(x[test]) == wanted[test]).mean())


def fitted(x: np.ndarray, y: np.ndarray) -> ExtraTreesClassifier:
    trees = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=0, n_jobs=1)
    return trees.fit(x, y)


def entropy(labels: np.ndarray) -> float:
    share = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(share * np.log(share)).sum())


def by_source_alone(table: Table) -> float:
    train = Counter(zip(table.source[table.train], table.label[table.train], strict=True))
    commonest = {
        source: max(table.task.classes, key=lambda name: train[source, name]) for source in np.unique(table.source)
    }
    guessed = np.array([commonest[source] for source in table.source[table.test]])
    return float((guessed == table.label[table.test]).mean())


def overall(tables: list[Table]) -> str:
    rows = []
    for table in tables:
        sources = len(np.unique(table.source))
        label = percent(table.accuracy(table.label, table.train, table.test))
        cells = [table.task.name, str(sources)]
        if sources > 1:
            given = mutual_info_score(table.source, table.label) / entropy(table.label)
            told = percent(table.accuracy(table.source, table.train, table.test))
            cells += [percent(given), percent(by_source_alone(table)), label, told]
        else:
            cells += ["–", "–", label, "–"]
        rows.append(cells)
    return markdown(["task", "sources", "given by source", "source alone", "label told", "source told"], rows)


def within(tables: list[Table]) -> str:
    rows = []
    for table in tables:
        sources = np.unique(table.source)
        for source in sources:
            mine = table.source == source
            train, test, away = mine & table.train, mine & table.test, ~mine & table.train
            if len(sources) == 1 or test.sum() < FEWEST:
                continue
            commonest = Counter(table.label[train]).most_common(1)[0][0]
            guess = percent(float((table.label[test] == commonest).mean()))
            alone = len(np.unique(table.label[train])) == 1
            inside = "one label only" if alone else percent(table.accuracy(table.label, train, test))
            outside = percent(table.accuracy(table.label, away, test)) if len(np.unique(table.label[away])) > 1 else "–"
            rows.append((table.task.name, source, test.sum(), inside, guess, outside))
    head = ["task", "source", "test files", "within it", "its commonest label", "trained without it"]
    return markdown(head, rows)


def by_group(tables: list[Table]) -> str:
    groups = handcrafted.groups()
    rows = []
    for table in tables:
        for what, wanted in (("label", table.label), ("source", table.source)):
            if len(np.unique(wanted)) > 1:
                columns = [*groups.values(), None]
                shares = [percent(table.accuracy(wanted, table.train, table.test, group)) for group in columns]
                rows.append((table.task.name, what, *shares))
    return markdown(["task", "what is told", *groups, "all"], rows)


def pop_as_genre(genre: Table, data: Path, vectors: Path) -> str:
    trees = fitted(genre.x[genre.train], genre.label[genre.train])
    rows = []
    folders = {
        "emopia": ("performances/emopia", "transcribed from audio"),
        "pianist8, without Hancock": ("pianist8", "transcribed from audio"),
        "pop909": ("performances/pop909", "played on a MIDI keyboard, then edited to a grid"),
        "pianist8, Hancock (jazz)": ("pianist8/Hancock", "transcribed from audio; PiJAMA has 3 of the recordings"),
    }
    known = {example.sha256 for example in genre.task.examples}
    jazz = list(trees.classes_).index("jazz")
    for name, (folder, how) in folders.items():
        files = [path for key, path in sorted(contents(data / folder).items()) if key not in known]
        files = [path for path in files if path.parent.name != "Hancock" or name.endswith("(jazz)")][:POP_FILES]
        taken = trees.predict_proba(cached(hand_crafted, vectors)(files))[:, jazz] > 0.5
        rows.append((name, how, len(files), percent(float(taken.mean()))))
    return markdown(["pop from", "how it became MIDI", "files", "taken for jazz"], rows)


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, needs="the files of the tasks, which come without the package")
    parser.add_argument("data", type=Path)
    parser.add_argument("--vectors", type=Path, required=True, help="folder in which statistics are kept")
    arguments = parser.parse_args(words)
    files = contents(arguments.data)
    tables = [Table(located(task(name), files), arguments.vectors) for name in TASKS]
    sections = {
        "Label and source": overall(tables),
        "Within a source, and on a source not trained on": within(tables),
        "What a few statistics tell (accuracy on test)": by_group(tables),
        "Pop, as the genre classifier hears it": pop_as_genre(tables[0], arguments.data, arguments.vectors),
    }
    parts = [part for title, section in sections.items() for part in (f"## {title}", section)]
    publish(arguments, "How much of a label is the collection", *parts)


if __name__ == "__main__":
    main()
