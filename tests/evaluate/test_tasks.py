"""Tasks: nothing leaks between splits, files are known by what is in them, a published layout is read."""

import json
from collections import defaultdict

import pytest

from partimento.corpus.selection.splits import SPLITS
from partimento.errors import UserError
from partimento.evaluate.tasks import TASKS, content_key, contents, located, read_layout, task
from partimento.midi.performance import Performance


def midi(path, pitch, notes=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    Performance.from_notes(
        pitch=[pitch + i for i in range(notes)], velocity=[60] * notes, onset=range(notes), duration=[0.5] * notes
    ).write_midi(path)
    return path


@pytest.mark.parametrize("name", TASKS)
def test_no_piece_and_no_file_stands_in_two_splits(name):
    examples = task(name).examples
    splits_of = defaultdict(set)
    for example in examples:
        splits_of[example.piece].add(example.split)
    assert {len(splits) for splits in splits_of.values()} == {1}
    assert len({example.sha256 for example in examples}) == len(examples)


@pytest.mark.parametrize("name", TASKS)
def test_every_class_is_in_every_split(name):
    found = {(example.label, example.split) for example in task(name).examples}
    assert found == {(label, split) for label in TASKS[name] for split in SPLITS}


def test_an_unknown_task_is_named_with_the_known():
    with pytest.raises(UserError, match="'tempo'; choose one of genre, form"):
        task("tempo")


def test_files_are_found_by_content_whatever_they_are_called(tmp_path):
    a = midi(tmp_path / "a" / "renamed.MID", 60)
    layout = tmp_path / "metadata.json"
    layout.write_text(json.dumps({"genre": {"train": {"a/renamed.MID": "jazz"}}}))
    (given,) = read_layout(layout)
    moved = a.rename(tmp_path / "elsewhere.mid")
    (example,) = located(given, contents(tmp_path)).examples
    assert example.path == moved
    assert example.sha256 == content_key(moved)
    assert not located(given, {}).found and len(located(given, {}).missing) == 1
    with pytest.raises(UserError, match="none of its train files is among the data"):
        located(given, {}).split("train")


def test_a_layout_gives_its_own_splits_and_lacks_none(tmp_path):
    labels = {f"{i:02}.mid": "ab"[i % 2] for i in range(40)}
    for i, name in enumerate(labels):
        midi(tmp_path / name, 30 + i)
    train, test = dict(list(labels.items())[:30]), dict(list(labels.items())[30:])
    (tmp_path / "metadata.json").write_text(json.dumps({"music_period": {"train": train, "test": test}}))
    (period,) = read_layout(tmp_path / "metadata.json")
    assert period.name == "period" and period.classes == ("a", "b")
    assert {example.path.name for example in period.split("test")} == set(test)
    carved = period.split("validation")
    assert sorted(example.label for example in carved) == ["a", "a", "b", "b"]
    assert {example.path.name for example in (*period.split("train"), *carved)} == set(train)
    assert carved == read_layout(tmp_path / "metadata.json")[0].split("validation")


def test_one_content_in_two_splits_of_a_layout_is_refused(tmp_path):
    midi(tmp_path / "a.mid", 60)
    midi(tmp_path / "b.mid", 60)
    layout = tmp_path / "metadata.json"
    layout.write_text(json.dumps({"genre": {"train": {"a.mid": "jazz"}, "test": {"b.mid": "jazz"}}}))
    with pytest.raises(UserError, match=r"b\.mid: is in the splits train and test"):
        read_layout(layout)


@pytest.mark.parametrize("text", ["[1]", "{", '{"genre": {"train": 3}}'])
def test_what_is_no_layout_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(UserError, match="not a layout of splits"):
        read_layout(tmp_path / "metadata.json")
