"""A recipe to a folder with a model: what it holds, when it is continued, when it is refused."""

import csv
import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from partimento.cli import main
from partimento.commands.common.flags import fitting, parse, recipe_name
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load, save
from partimento.model.config import ModelConfig
from partimento.model.initialisation import random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.prefetch import AHEAD
from partimento.train.recipes import pretraining as recipes
from partimento.train.recipes.pretraining import PretrainingRecipe
from partimento.train.settings import Machine
from partimento.train.stages.pretraining import pretrain
from tests.train.cycling import CyclingLoader
from tests.train.small import newest, pretrain_on, records

RECIPE = dataclasses.replace(recipes.debug(), length=24)
RECIPE = dataclasses.replace(RECIPE, loop=dataclasses.replace(RECIPE.loop, precision="float32"))


def loaders() -> list[CyclingLoader]:
    pad = Vocabulary.piano().pad
    return [CyclingLoader(list(range(60, 76)), length=24, batch=4, pad=pad) for _ in range(2)]


def begun(folder: Path) -> PretrainingRecipe:
    return PretrainingRecipe.from_json((folder / "recipe.json").read_text())


def with_loop(**changes) -> PretrainingRecipe:
    return dataclasses.replace(RECIPE, loop=dataclasses.replace(RECIPE.loop, **changes))


def test_a_run_ends_with_a_model_that_says_where_it_comes_from(tmp_path):
    path = pretrain_on(RECIPE, *loaders(), tmp_path, data={"store": "cycle"})
    checkpoint = load(path)
    assert checkpoint.config == RECIPE.make_config()
    assert checkpoint.vocabulary == Vocabulary.piano()
    assert checkpoint.metadata["step"] == 20
    assert checkpoint.metadata["data"] == {"store": "cycle"}
    assert checkpoint.metadata["code"].startswith("0.")
    assert PretrainingRecipe.from_json(json.dumps(checkpoint.metadata["recipe"])) == RECIPE
    last = records(tmp_path)[-1]
    assert checkpoint.metadata["validation"] == last["validation"]
    assert load(tmp_path / "best.safetensors").metadata["step"] in (10, 20)


def test_a_folder_with_another_run_is_refused(tmp_path):
    pretrain_on(RECIPE, *loaders(), tmp_path)
    pretrain_on(RECIPE, *loaders(), tmp_path)
    with pytest.raises(UserError, match="already holds a run"):
        pretrain_on(RECIPE, *loaders(), tmp_path, resume="off")
    with pytest.raises(UserError, match=r"another recipe \(seed, loop differ"):
        pretrain_on(dataclasses.replace(with_loop(clip=2.0), seed=2), *loaders(), tmp_path)
    with pytest.raises(UserError, match="a run of another store"):
        pretrain_on(RECIPE, *loaders(), tmp_path, data={"store": "cycle", "sha256": "1"})
    with pytest.raises(UserError, match="a run of another model"):
        pretrain_on(RECIPE, *loaders(), tmp_path, init=tmp_path / "model.safetensors")


def test_a_run_of_an_earlier_version_is_refused_in_one_line(tmp_path):
    pretrain_on(RECIPE, *loaders(), tmp_path)
    state = newest(tmp_path) / "state.json"
    state.write_text(state.read_text().replace("min_lr_ratio", "final_fraction"))
    with pytest.raises(UserError, match=r"step-00000020 cannot be gone on from .*final_fraction.*another folder"):
        pretrain_on(RECIPE, *loaders(), tmp_path)


def test_another_machine_is_the_same_run(tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    pretrain_on(RECIPE, *loaders(), whole)
    pretrain_on(RECIPE, *loaders(), halves)
    last = newest(halves)
    last.rename(last.with_name("away"))
    by_rows = dataclasses.replace(RECIPE, machine=Machine(micro_batch_size=1, activation_checkpointing=True))
    pretrain_on(by_rows, *loaders(), halves)
    assert [line["step"] for line in records(halves)] == [line["step"] for line in records(whole)]
    for line, expected in zip(records(halves), records(whole), strict=True):
        assert line.get("loss", 0) == pytest.approx(expected.get("loss", 0), rel=1e-4)


def test_a_new_run_can_begin_from_a_checkpoint(tmp_path):
    pretrain_on(RECIPE, *loaders(), tmp_path / "first")
    longer = with_loop(steps=30)
    for _ in range(2):  # the second time it goes on in its own folder
        pretrain_on(longer, *loaders(), tmp_path / "second", resume=str(tmp_path / "first"))
    assert [line["step"] for line in records(tmp_path / "second") if "loss" in line] == list(range(21, 31))
    start = str(newest(tmp_path / "first"))
    with pytest.raises(UserError, match=r"is at step 20 of 20; raise loop\.steps"):
        pretrain_on(RECIPE, *loaders(), tmp_path / "third", resume=start)
    other = dataclasses.replace(longer, vocabulary="aria")
    with pytest.raises(UserError, match="was trained with vocabulary 'piano', this recipe says 'aria'"):
        pretrain_on(other, *loaders(), tmp_path / "third", resume=start)
    with pytest.raises(UserError, match="was trained by adamw, whose state says nothing to muon"):
        pretrain_on(with_loop(steps=30, optimiser="muon"), *loaders(), tmp_path / "third", resume=start)
    with pytest.raises(UserError, match="nowhere is not a checkpoint"):
        pretrain_on(longer, *loaders(), tmp_path / "third", resume=str(tmp_path / "nowhere"))
    assert not (tmp_path / "third").exists()


def test_a_run_can_begin_with_the_weights_of_a_model(tmp_path):
    path = pretrain_on(RECIPE, *loaders(), tmp_path / "first")
    pretrain_on(RECIPE, *loaders(), tmp_path / "second", init=path)
    last, first = records(tmp_path / "first")[-1], records(tmp_path / "second")[0]
    assert first["step"] == 0
    assert first["validation"]["nats_per_token"] == pytest.approx(last["validation"]["nats_per_token"], rel=1e-2)


def test_a_model_of_another_kind_is_refused_before_the_first_step(tmp_path):
    for vocabulary, d_model in ((Vocabulary.aria(), 64), (Vocabulary.piano(), 32)):
        config = ModelConfig(
            vocab_size=len(vocabulary), d_model=d_model, n_heads=2, n_layers=2, d_ff=4 * d_model, context=64
        )
        model = Transformer(config)
        random_initialisation(model, seed=1)
        save(tmp_path / f"{d_model}.safetensors", model, vocabulary)
    with pytest.raises(UserError, match=r"64.safetensors has another vocabulary \(17,727 tokens\) than 'piano'"):
        pretrain_on(RECIPE, *loaders(), tmp_path / "run", init=tmp_path / "64.safetensors")
    with pytest.raises(UserError, match=r"32.safetensors is of another shape than size 'debug'"):
        pretrain_on(RECIPE, *loaders(), tmp_path / "run", init=tmp_path / "32.safetensors")
    assert not (tmp_path / "run").exists()


def test_a_time_budget_decides_the_steps_once(tmp_path):
    pretrain_on(RECIPE, *loaders(), tmp_path, max_hours=0.5 / 3600)
    first = begun(tmp_path)
    assert first.loop.steps >= 2
    assert dataclasses.replace(first, loop=RECIPE.loop) == RECIPE
    pretrain_on(RECIPE, *loaders(), tmp_path, max_hours=5)
    assert begun(tmp_path) == first
    with pytest.raises(UserError, match="max_hours is 0"):
        pretrain_on(RECIPE, *loaders(), tmp_path, max_hours=0)


def test_a_measured_pace_does_not_move_the_data(tmp_path):
    timed, plain = loaders(), loaders()
    pretrain_on(RECIPE, *timed, tmp_path / "timed", max_hours=0.5 / 3600)
    pretrain_on(RECIPE, *plain, tmp_path / "plain")
    # Batches are made ahead, but none is made for nothing where the pace was measured.
    for loader, steps in ((timed[0], begun(tmp_path / "timed").loop.steps), (plain[0], 20)):
        assert set(loader.state_dict()["rows"]) == set("0123")
        assert all(steps <= row <= steps + AHEAD for row in loader.state_dict()["rows"].values())


def playing(seed: int, n: int = 120) -> Performance:
    rng = np.random.default_rng(seed)
    return Performance.from_notes(
        pitch=rng.integers(40, 90, n),
        velocity=rng.integers(20, 110, n),
        onset=np.sort(rng.integers(0, 20_000, n)) / 1000,
        duration=rng.integers(50, 900, n) / 1000,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A note store of five small files to train on and two to measure on, made by the command."""
    folder = tmp_path_factory.mktemp("corpus")
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "split"])
        for seed in range(7):
            playing(seed).write_midi(folder / f"{seed}.mid")
            table.writerow([f"{seed}.mid", "train" if seed > 1 else "validation"])
    assert main(["store", str(folder), "--labels", str(folder / "labels.csv"), "-o", str(folder / "store")]) == 0
    return folder / "store"


def test_from_the_command_line_every_field_can_be_set(store, tmp_path, capsys):
    out = tmp_path / "run"
    flags = "--recipe debug --loop.steps 4 --loop.warmup-steps 1 --loop.eval-batches 1 --batch 2 --length 64 --seed 3"
    machine = "--machine.micro-batch-size 1 --loop.optimiser muon --track tensorboard"
    assert main(["pretrain", str(store), "-o", str(out), *flags.split(), *machine.split()]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"model in {out / 'model.safetensors'}\nnext: partimento continue ")
    assert f"{out}: " not in said.err
    recipe = begun(out)
    assert (recipe.batch, recipe.length, recipe.seed, recipe.loop.steps, recipe.loop.optimiser) == (2, 64, 3, 4, "muon")
    assert recipe.machine == Machine(micro_batch_size=1)
    manifest = hashlib.sha256((store / "store.json").read_bytes()).hexdigest()
    assert load(out / "model.safetensors").metadata["data"]["sha256"] == manifest
    assert list((out / "tensorboard").iterdir())
    assert main(["pretrain", str(store), "-o", str(out), *flags.split(), *machine.split()]) == 0
    assert f"{out}: this run is finished, all 4 steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "steps", "warmup"),
    [
        ("--recipe two-cores --loop.steps 4", 4, 2),
        ("--recipe two-cores --loop.steps=4 --loop.warmup_steps 1", 4, 1),
        ("--recipe two-cores --loop.steps 100000", 100_000, recipes.pretraining_recipe("two-cores").loop.warmup_steps),
    ],
)
def test_a_warm_up_that_nobody_named_fits_the_steps(flags, steps, warmup):
    words = flags.split()
    named = recipes.pretraining_recipe(recipe_name(words, "debug"))
    found = parse(PretrainingRecipe, words[2:], verb="pretrain", default=fitting(words, named))
    assert (found.loop.steps, found.loop.warmup_steps) == (steps, warmup)


def test_epochs_decide_the_steps(store, tmp_path):
    short = dataclasses.replace(RECIPE, epochs=3, batch=2)
    pretrain(short, store, tmp_path / "epochs")
    notes = 5 * 120
    ids = 3 * (3 * notes + 5 * (4 + 3))  # <T>s, and instrument, <S>, <D>, <E> of each file
    steps = begun(tmp_path / "epochs").loop.steps
    assert steps == pytest.approx(ids / (2 * 24), rel=0.03)
    last = json.loads((newest(tmp_path / "epochs") / "state.json").read_text())
    # Each row of the batch has taken half of the files of every epoch by then.
    assert all(file == pytest.approx(3 * 5 / 2, abs=1) for file, _ in last["loader"]["streams"].values())


def test_steps_said_on_the_command_line_replace_the_recipes_epochs(store, tmp_path, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "debug", lambda: dataclasses.replace(RECIPE, epochs=1000))
    flags = ["--recipe=debug", "--loop.steps", "2", "--loop.warmup-steps", "1", "--loop.eval-batches", "1"]
    assert main(["pretrain", str(store), "-o", str(tmp_path / "run"), *flags]) == 0
    assert (begun(tmp_path / "run").epochs, begun(tmp_path / "run").loop.steps) == (None, 2)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            ["--recipe", "opera"],
            "no recipe is called 'opera'; choose one of paper, single-gpu, laptop, bundled, two-cores",
        ),
        (["--recipe", "debug", "--size", "huge"], "no model size is called 'huge'"),
        (["--recipe", "debug", "--batch", "0"], "batch is 0"),
        (["--recipe", "debug", "--epochs", "-1"], "epochs is -1"),
        (["--recipe", "debug", "--max-hours", "-1"], "max_hours is -1"),
        (["--recipe", "debug", "--resume", "nowhere"], "nowhere is not a checkpoint"),
        (["--recipe", "debug", "--from", "nowhere"], "nowhere"),
        (["--recipe", "debug", "--track", "trackio"], "--track trackio: trackio is not installed; pip install trackio"),
    ],
    ids=" ".join,
)
def test_wrong_settings_are_one_line_before_the_first_step(store, tmp_path, capsys, flags, complaint):
    assert main(["pretrain", str(store), "-o", str(tmp_path / "run"), *flags]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_store_is_one_line(tmp_path, capsys):
    assert main(["pretrain", str(tmp_path), "-o", str(tmp_path / "run"), "--recipe", "debug"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_infilling_and_the_pedal_reach_the_model_but_not_the_validation(store, tmp_path):
    short = dataclasses.replace(RECIPE, length=128, loop=dataclasses.replace(RECIPE.loop, steps=6))
    plain = pretrain(short, store, tmp_path / "plain")
    filling = pretrain(dataclasses.replace(short, infilling_share=1.0, pedal=True), store, tmp_path / "filling")
    said = [{k: load(path).metadata[k] for k in ("infilling", "pedal_tokens")} for path in (plain, filling)]
    assert said == [{"infilling": False, "pedal_tokens": False}, {"infilling": True, "pedal_tokens": True}]
    arranged = pretrain(dataclasses.replace(short, infilling_share=1.0), store, tmp_path / "arranged")
    first = [records(path.parent) for path in (plain, arranged)]
    assert first[0][0]["validation"] == first[1][0]["validation"]
    assert first[0][1]["loss"] != first[1][1]["loss"]


def test_runs_of_other_batches_lanes_and_seeds_are_measured_on_the_same_windows(store, tmp_path):
    model = Transformer(RECIPE.make_config())
    random_initialisation(model, seed=0)
    save(tmp_path / "model.safetensors", model, Vocabulary.piano())
    shapes = {"wide": (4, 1, 1, 32), "narrow": (2, 3, 8, 64), "fewer": (2, 3, 8, 32)}
    losses = {}
    for name, (batch, streams, seed, batches) in shapes.items():
        loop = dataclasses.replace(RECIPE.loop, steps=6, eval_batches=batches)
        recipe = dataclasses.replace(RECIPE, batch=batch, streams=streams, seed=seed, loop=loop)
        pretrain(recipe, store, tmp_path / name, init=tmp_path / "model.safetensors")
        losses[name] = records(tmp_path / name)[0]["validation"]["nats_per_token"]
    assert losses["narrow"] == pytest.approx(losses["wide"], rel=1e-5)
    assert losses["fewer"] != pytest.approx(losses["wide"], rel=1e-5)


def test_infilling_needs_a_vocabulary_with_its_token(store, tmp_path, capsys):
    flags = ["--recipe", "debug", "--vocabulary", "aria", "--infilling-share", "0.5"]
    assert main(["pretrain", str(store), "-o", str(tmp_path / "run"), *flags]) == 2
    assert "<X>" in capsys.readouterr().err
