"""The program that drew the tasks keeps every piece on one side, whatever remark its title carries."""

import csv
from collections import defaultdict

import numpy as np

from benchmarks.tasks import make
from partimento.midi.performance import Performance

TITLES = ("Emily", "EMILY (Take 2)", "Emily - Live At Maybeck", "Monk’s Mood", "Monk's Mood", "I Got It Bad (And That)",
          "I Got It Bad And That", "Spring is here", "Spring is there")  # fmt: skip
PIECES = ({0, 1, 2}, {3, 4}, {5, 6}, {7}, {8})


def test_titles_are_compared_without_remarks_and_signs_and_the_files_do_not_depend_on_it(tmp_path):
    fields = ("path", "dataset", "split", "title", "composer", "genre", "form", "period", "emotion")
    rows = []
    for number in range(60):
        rng = np.random.default_rng(number)
        onset = np.cumsum(rng.choice([0.2, 0.4], 80))
        played = {"duration": 0.2, "pitch": rng.integers(40, 84, 80), "velocity": 64}
        Performance.from_notes(onset=onset, **played).write_midi(tmp_path / f"{number}.mid")
        title = TITLES[number] if number < len(TITLES) else f"Tune {'abcdefghij'[number % 10]}{number}"
        genre = "jazz" if number < 40 else "classical"
        rows.append({"path": f"{number}.mid", "dataset": "made", "split": "train", "title": title, "genre": genre})
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, restval="")
        writer.writeheader()
        writer.writerows(rows)
    drawn = make.draw("genre", make.read(tmp_path, tmp_path / "labels.csv"))
    assert len(drawn) == 60
    number_of, splits_of = defaultdict(set), defaultdict(set)
    for row in drawn:
        number_of[row["piece"]].add(int(row["path"].partition(".")[0]))
        splits_of[row["piece"]].add(row["split"])
    named = {frozenset(numbers) for numbers in number_of.values() if min(numbers) < len(TITLES)}
    assert named == {frozenset(piece) for piece in PIECES}
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert {row["split"] for row in drawn} == {"train", "validation", "test"}
