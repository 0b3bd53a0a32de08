"""A classifier from its training to its opinion: what it learns, when it is chosen, what it says of a file."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from partimento.cli import main
from partimento.corpus.store.note_store import NoteStore
from partimento.embed.labeller import Labeller
from partimento.embed.slicing import PUBLISHED
from partimento.errors import UserError
from partimento.evaluate.outcomes import by_run, by_store
from partimento.evaluate.tasks import find
from partimento.model.checkpoint import load
from partimento.model.heads import Classifier
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.log import read_log
from partimento.train.objectives.classification import Classification
from partimento.train.recipes.classification import RECIPES, ClassifierRecipe, paper
from partimento.train.stages.classification import beginning
from tests.evaluate.small_world import CLASSES, base_model, playing, task_of

V = Vocabulary.piano()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run of a classifier of loud and soft, and the folder of its files."""
    folder = tmp_path_factory.mktemp("classifier")
    torch.set_num_threads(1)
    base, metadata = base_model(folder / "base.safetensors"), task_of(folder / "midi")
    argv = ["finetune", "classifier", "--task", "touch", "--data", str(metadata), "--from", str(base)]
    settings = ["--recipe", "classifier-small", "--loop.peak-lr", "3e-3", "--epochs", "6", "--length", "384"]
    assert main([*argv, "-o", str(folder / "run"), *settings]) == 0
    return folder


def test_the_papers_recipe_and_its_json():
    recipe = paper()
    assert (recipe.loop.peak_lr, recipe.loop.warmup_steps, recipe.loop.min_lr_ratio) == (1e-5, 0, 0)
    assert (recipe.epochs, recipe.dropout) == (10, 0.2)
    for make in RECIPES.values():
        assert ClassifierRecipe.from_json(make().to_json()) == make()


def test_weights_labels_and_metrics_are_kept(trained):
    checkpoint = load(trained / "run" / "best.safetensors", Classifier)
    assert checkpoint.metadata["classes"] == list(CLASSES) and checkpoint.metadata["task"] == "touch"
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.8 and metrics["test"]["examples"] == 20


def test_every_epoch_is_measured_and_the_best_is_kept(trained):
    measured = {line["step"]: line["validation"] for line in read_log(trained / "run") if "validation" in line}
    assert list(measured) == [0, 4, 8, 12, 16, 20, 24]
    best = load(trained / "run" / "best.safetensors", Classifier).metadata
    assert best["validation"]["error"] == min(found["error"] for step, found in measured.items() if step)


def test_a_classifier_begins_with_the_weights_of_its_base(trained):
    base = load(trained / "base.safetensors").model
    model = beginning(base, 3, dropout=0.2, seed=1)
    assert model.class_head.weight.shape == (3, 32)
    assert all(torch.equal(tensor, base.model.state_dict()[name]) for name, tensor in model.model.state_dict().items())


def test_dropout_rises_from_nothing_and_is_for_training_only(trained):
    base = load(trained / "base.safetensors").model
    model = beginning(base, 2, dropout=0.2, seed=1)
    assert [block.dropout for block in model.model.encode_layers] == [0.0, 0.2]
    ids, at = torch.arange(40)[None] + 60, torch.tensor([39])
    torch.manual_seed(1)
    assert not torch.equal(model(ids, at), model(ids, at))
    assert torch.equal(model.eval()(ids, at), beginning(base, 2, dropout=0.0, seed=1)(ids, at))


def test_too_few_files_for_a_balanced_subset_are_said_in_one_line(trained, capsys):
    argv = ["finetune", "classifier", "--task", "touch", "--data", str(trained / "run" / "store"), "--labelled", "40"]
    assert main([*argv, "--from", str(trained / "base.safetensors"), "-o", str(trained / "few")]) == 2
    assert "40 labels need 20 files of class 'loud', there are 16" in capsys.readouterr().err


def test_a_store_with_labels_of_ones_own_teaches_them(trained, capsys):
    argv = ["finetune", "classifier", "--task", "touch", "--data", str(trained / "run" / "store"), "--labelled", "8"]
    settings = ["--recipe", "classifier-small", "--epochs", "2", "--length", "256"]
    assert main([*argv, "--from", str(trained / "base.safetensors"), "-o", str(trained / "eight"), *settings]) == 0
    assert "of the slices right" in capsys.readouterr().out
    assert Labeller.load(trained / "eight").classes == CLASSES
    assert "test" not in json.loads((trained / "eight" / "metrics.json").read_text())


def test_the_loss_is_the_cross_entropy_at_the_end_whatever_the_padding(trained):
    model = beginning(load(trained / "base.safetensors").model, 2, dropout=0.2, seed=1).eval()
    rows = [Tokenizer(V).encode(playing(seed, "loud", notes)) for seed, notes in ((1, 20), (2, 35))]
    ids = torch.full((2, 200), V.pad, dtype=torch.int32)
    for row, sequence in zip(ids, rows, strict=True):
        row[: len(sequence)] = torch.from_numpy(sequence)
    batch = {"ids": ids, "label": torch.tensor([0, 1])}
    objective = Classification(V)
    expected = 0.0
    for sequence, label in zip(rows, (0, 1), strict=True):
        alone = torch.from_numpy(sequence)[None].long()
        expected -= model(alone, torch.tensor([len(sequence) - 1])).detach().log_softmax(1)[0, label].item()
    assert objective.total_loss(model, batch).item() == pytest.approx(expected, rel=1e-5)
    report = objective.report(objective.measure(model, batch))
    assert report["loss"] == pytest.approx(expected / 2, rel=1e-5) and report["error"] in {0.0, 0.5, 1.0}


def test_a_files_opinion_is_that_of_its_slices_by_their_notes(trained):
    labeller = Labeller.load(trained / "run", slicing=PUBLISHED)
    long = playing(5, "soft", 700)
    slices = labeller.over_time(long)
    assert [round(one.start, 3) for one in slices] == np.round(long.onset_seconds[[0, 300, 600]], 3).tolist()
    assert all(a.end == b.start for a, b in pairwise(slices))
    assert slices[-1].end == long.seconds
    expected = np.average([one.probabilities for one in slices], axis=0, weights=[300, 300, 100])
    np.testing.assert_allclose(labeller.probabilities([long])[0], expected, rtol=1e-5)
    np.testing.assert_allclose(labeller.probabilities(long), expected, rtol=1e-5)
    both = labeller.probabilities([long, playing(6, "loud")])
    assert np.allclose(both.sum(1), 1) and both[1].argmax() == CLASSES.index("loud")


def test_a_store_of_the_tasks_files_is_judged_as_the_files_are_and_the_outcome_can_come_home_alone(trained, tmp_path):
    task, run = find("touch", trained / "midi" / "metadata.json"), tmp_path / "run"
    by_files = by_run(task, trained / "run")
    unlocated = replace(task, examples=tuple(replace(example, path=None) for example in task.examples))
    run.mkdir()
    for name in ("best.safetensors", "model.safetensors"):
        (run / name).write_bytes((trained / "run" / name).read_bytes())
    assert by_store(unlocated, NoteStore(trained / "run" / "store"), run) == by_files
    for name in ("best.safetensors", "model.safetensors"):
        (run / name).unlink()
    assert by_run(task, run) == by_files
    fewer = replace(task, examples=task.examples[1:])
    with pytest.raises(UserError):
        by_run(fewer, run)


def test_a_language_model_is_no_classifier(trained):
    with pytest.raises(UserError, match="'language model'; what is needed here is a 'classifier'"):
        Labeller.load(trained / "base.safetensors")


def test_classify_in_three_formats_and_what_it_cannot_read(trained, tmp_path, capsys):
    playing(7, "loud").write_midi(tmp_path / "a.mid")
    playing(8, "soft", 700).write_midi(tmp_path / "b.mid")
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    argv = ["classify", str(tmp_path), "--model", str(trained / "run")]
    assert main([*argv, "--json"]) == 2
    out, err = capsys.readouterr()
    found = {row["file"][-5:]: row["probabilities"] for row in map(json.loads, out.splitlines())}
    assert max(found["a.mid"], key=found["a.mid"].get) == "loud"
    assert max(found["b.mid"], key=found["b.mid"].get) == "soft"
    assert "refused:" in err and "broken.mid" in err
    (tmp_path / "broken.mid").unlink()
    assert main([*argv, "--csv", "--over-time"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"][-5:] for row in rows] == ["a.mid"] + 6 * ["b.mid"]
    # It learned from sequences of 384 ids, which are 120 notes.
    assert float(rows[1]["end"]) == float(rows[2]["start"]) and set(CLASSES) < set(rows[0])
    assert main(argv) == 0
    assert "loud " in capsys.readouterr().out


def test_classify_finds_what_embed_finds_and_reads_it_once(trained, tmp_path, capsys, monkeypatch):
    playing(7, "loud").write_midi(tmp_path / "song.mid")
    (tmp_path / "song.mid").rename(tmp_path / "song.kar")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("soft.mid", playing(8, "soft").to_midi())
    built = []
    from_performance = Notes.from_performance
    monkeypatch.setattr(Notes, "from_performance", lambda *a, **k: built.append(a) or from_performance(*a, **k))
    for more in ([], ["--over-time"]):
        built.clear()
        assert main(["classify", str(tmp_path), "--model", str(trained / "run"), "--json", *more]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        names = {str(Path(row["file"]).relative_to(tmp_path)) for row in rows}
        assert len(names) == 2 and "song.kar" in names and any(name.startswith("more.zip") for name in names)
        assert len(built) == 2
    (tmp_path / "song.kar").unlink()
    (tmp_path / "more.zip").unlink()
    assert main(["classify", str(tmp_path), "--model", str(trained / "run")]) == 2
    assert "no MIDI files" in capsys.readouterr().err
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    assert main(["classify", str(tmp_path), "--model", str(trained / "run")]) == 2
