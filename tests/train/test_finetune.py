"""A folder of music and a model to a better model: what is held out, when it stops, what survives a kill."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from partimento.cli import main
from partimento.corpus.loaders.sequences import StretchLoader
from partimento.corpus.store.build import build
from partimento.corpus.store.note_store import NoteStore
from partimento.corpus.store.plans import plan_folder
from partimento.errors import UserError
from partimento.generate.engine import Engine
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load, save
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer
from partimento.model.initialisation import random_initialisation
from partimento.model.lora import load_adapters, merged
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.driver import adapters_path
from partimento.train.log import LOG_FILE
from partimento.train.objectives.continuation import Continuation, overfitting
from partimento.train.recipes.continuation import ContinuationRecipe
from partimento.train.stages.continuation import finetune_continuation, outcome
from tests import programs
from tests.train.small import newest, records
from tests.train.small_finetuning import recipe, tune

V = Vocabulary.piano()
CONFIG = ModelConfig(vocab_size=len(V), d_model=32, n_heads=2, n_layers=2, d_ff=128, context=96)


def playing(seed: int, n: int = 60, pitches: tuple[int, int] = (40, 90)) -> Performance:
    rng = np.random.default_rng(seed)
    return Performance.from_notes(
        pitch=rng.integers(*pitches, n),
        velocity=rng.integers(20, 110, n),
        onset=np.sort(rng.integers(0, 12_000, n)) / 1000,
        duration=rng.integers(50, 900, n) / 1000,
    )


@pytest.fixture(scope="module")
def music(tmp_path_factory) -> Path:
    """Nine files of 60 notes without any sense, so that nothing but memory can help."""
    folder = tmp_path_factory.mktemp("music")
    for seed in range(9):
        playing(seed).write_midi(folder / f"{seed}.mid")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    model = Transformer(CONFIG)
    random_initialisation(model, seed=1)
    save(path, model, V, dtype=torch.bfloat16, infilling=True, sampling={"min_p": 0.02}, step=1)
    return path


@pytest.fixture(scope="module")
def store(music, base, tmp_path_factory) -> Path:
    """The store of a first run in the folder, with adapters, that other tests look at too."""
    run = tmp_path_factory.mktemp("first") / "run"
    tune(music, run, base, lora_rank=4)
    return run / "store"


def test_loss_before_training_is_the_models_own_on_every_held_out_stretch(store, base):
    """Compared with a plain cross entropy, one stretch after the other."""
    notes, model = NoteStore(store), load(base).model
    stretches = StretchLoader(notes, V, "validation", length=96, batch=1, seed=recipe().seed, augment=False)
    total, count = 0.0, 0
    for row in islice(stretches, stretches.examples_per_epoch):
        ids = torch.from_numpy(row[0][row[0] != V.pad].astype(np.int64))
        with torch.no_grad():
            logits = model(ids[None, :-1])[0]
        total += F.cross_entropy(logits, ids[1:], reduction="sum").item()
        count += len(ids) - 1
    before = outcome(store.parent).before
    assert before["tokens"] == count and before["notes"] == notes.counts[notes.split("validation")].sum()
    assert before["nats_per_token"] == pytest.approx(total / count, rel=1e-5)


def test_what_is_given_is_read_and_no_target(base):
    model, objective = load(base).model.double(), Continuation(V)
    ids = torch.randint(40, len(V), (3, 21), generator=torch.Generator().manual_seed(1))
    ids[0, 12:] = V.pad
    given = torch.rand(3, 21, generator=torch.Generator().manual_seed(2)) < 0.4
    given[:, -4:] = True  # nothing is asked behind that
    losses = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none")
    wanted = ~given[:, 1:] & (ids[:, 1:] != V.pad)
    batch = {"ids": ids, "given": given}
    assert objective.targets(batch) == wanted.sum()
    found = objective.total_loss(model, batch)
    assert found.item() == pytest.approx(losses[wanted].sum().item())
    assert objective.total_loss(model, {"ids": ids[:1], "given": torch.ones(1, 21, dtype=torch.bool)}).item() == 0
    (mine,) = torch.autograd.grad(found, model.lm_head.weight)
    (theirs,) = torch.autograd.grad(losses[wanted].sum(), model.lm_head.weight)
    assert torch.allclose(mine, theirs)


def test_what_a_recipe_says_of_endings_and_disturbance_is_heeded_and_repeated(store, base, tmp_path):
    runs = {"plain": {}, "disturbed": {"disturbed_share": 1.0}, "endings": {"ending_share": 1.0}}
    for name, changes in runs.items():
        tune(store, tmp_path / name, base, passages="first", length=400, steps=2, warmup_steps=0, **changes)
    losses = [[line["loss"] for line in records(tmp_path / name) if "loss" in line] for name in runs]
    assert losses[0] != losses[2]
    again = tune(
        store, tmp_path / "again", base, passages="first", length=400, steps=2, warmup_steps=0, **runs["endings"]
    )
    assert records(again.folder) == records(tmp_path / "endings")


def test_the_model_of_a_run_with_adapters_is_the_base_and_its_adapters(store, base):
    run = store.parent
    for name in ("model.safetensors", "best.safetensors"):
        whole = load(base).model.state_dict() | load_adapters(adapters_path(run / name))
        for tensor_name, tensor in load_file(run / name).items():
            assert torch.equal(merged(whole)[tensor_name].bfloat16(), tensor), tensor_name


def test_a_fine_tuned_model_is_used_like_any_other_and_keeps_what_its_base_could(store):
    found = outcome(store.parent)
    assert found.best_step > 0
    assert load(store.parent).path == store.parent / "best.safetensors"
    assert load(store.parent).metadata["step"] == found.best_step
    engine = Engine.load(str(store.parent))
    assert (engine.abilities.infilling, engine.abilities.sampling.min_p) == (True, 0.02)
    assert load(store.parent).metadata["init"]["model"].endswith("base.safetensors")
    assert ContinuationRecipe.from_json((store.parent / "recipe.json").read_text()).infilling_share == 0.25


@pytest.fixture(scope="module")
def unlike(tmp_path_factory) -> Path:
    """A store whose train split knows five low pitches only, and whose validation split five high ones."""
    folder = tmp_path_factory.mktemp("unlike")
    labels = {f"{seed}.mid": {"split": "train" if seed else "validation"} for seed in range(4)}
    for seed, name in enumerate(labels):
        playing(seed, pitches=(30, 35) if seed else (90, 95)).write_midi(folder / name)
    plan, _ = plan_folder(folder, labels)
    build(plan, folder / "store")
    return folder / "store"


def test_training_stops_when_held_out_loss_rises_and_warns_of_overfitting(unlike, base, tmp_path, capsys):
    said = []
    settings = recipe(steps=200, peak_lr=2e-2, eval_every=3, checkpoint_every=3, patience=2)
    found = finetune_continuation(settings, unlike, tmp_path, base=base, say=said.append)
    losses = [line["validation"]["nats_per_token"] for line in records(tmp_path) if "validation" in line]
    assert found.last_step == found.best_step + 2 * 3 < 200
    assert losses.index(min(losses)) == len(losses) - 3
    assert min(losses) == found.best["nats_per_token"] < found.before["nats_per_token"]
    assert overfitting(found.last, found.before) > 0.1
    (warning,) = [line for line in said if line.startswith("warning: overfitting since step ")]
    assert "the gap between training and validation grew by " in warning and "nats a token (limit 0.1)" in warning
    assert load(tmp_path).metadata["step"] == found.best_step
    # From where it stopped, nothing is gained any more.
    flags = "--passages all --loop.steps 9 --loop.warmup-steps 0 --loop.eval-every 3 --loop.patience 1"
    again = ["finetune", "continuation", str(unlike), "--from", str(tmp_path / "model.safetensors"), *flags.split()]
    again += ["--loop.peak-lr", "0.1"]
    assert main([*again, "-o", str(tmp_path / "again")]) == 0
    assert f"nothing gained: held-out loss was {found.last['nats_per_token']:.2f}" in capsys.readouterr().out
    assert (outcome(tmp_path / "again").best_step, outcome(tmp_path / "again").last_step) == (0, 3)
    assert not (tmp_path / "again" / "best.safetensors").exists()
    # A run that has stopped is over.
    log = (tmp_path / LOG_FILE).read_bytes()
    assert finetune_continuation(settings, unlike, tmp_path, base=base) == found
    assert (tmp_path / LOG_FILE).read_bytes() == log


@pytest.mark.posix
def test_a_killed_fine_tuning_resumes_to_the_same_bits(store, base, tmp_path):
    runs = {"whole": 0, "adapters": 4}
    described = [f"{name}:{rank}:5" for name, rank in runs.items()]
    programs.run("tests.train.killed_finetuning", tmp_path, store, base, *described)
    for name, rank in runs.items():
        killed, uninterrupted = tmp_path / name, tmp_path / f"{name}-uninterrupted"
        assert records(killed)[-1]["step"] == 4  # its line of step 5 was never written
        tune(store, killed, base, lora_rank=rank or None)
        tune(store, uninterrupted, base, lora_rank=rank or None)
        assert records(killed) == records(uninterrupted)
        for file in ("model.safetensors", "best.safetensors"):
            assert (killed / file).read_bytes() == (uninterrupted / file).read_bytes()
        saved, expected = (load_file(next(newest(run).glob("*.safetensors"))) for run in (killed, uninterrupted))
        assert saved.keys() == expected.keys()
        assert all(torch.equal(saved[key], expected[key]) for key in saved)


def test_one_command_from_a_folder_to_a_model(music, base, tmp_path, capsys):
    flags = "--epochs 2 --measurements 2 --loop.peak-lr 1e-2 --lora-rank 2"
    out = tmp_path / "run"
    assert main(["finetune", "continuation", str(music), "-o", str(out), "--from", str(base), *flags.split()]) == 0
    lines = capsys.readouterr().out.splitlines()
    notes = NoteStore(out / "store")
    for line, split in zip(lines[:2], ("train", "validation"), strict=True):
        files = notes.split(split)
        assert f"{len(files)} files of {len(files)} pieces, {60 * len(files)} notes, 0.0" in line
    found = outcome(out)
    assert f"{found.before['nats_per_token']:.3f} nats a token before, {found.best['nats_per_token']:.3f}" in lines[2]
    assert lines[-2] == f"model in {out / 'best.safetensors'}"
    assert main(["continue", str(music / "0.mid"), "--model", str(out), "--notes", "5", "-o", str(tmp_path)]) == 0


def test_what_cannot_be_fine_tuned_is_one_line(music, base, store, tmp_path, capsys):
    conditioned = tmp_path / "conditioned.safetensors"
    model = ConditionedTransformer(CONFIG, size=8)
    random_initialisation(model, seed=1)
    save(conditioned, model, V)
    few = tmp_path / "few"
    few.mkdir()
    playing(1).write_midi(few / "1.mid")
    out = tmp_path / "run"
    for arguments, complaint in (
        ([few, "--from", base], "1 readable MIDI files, too few to hold some out; give at least 5 pieces"),
        ([tmp_path / "nowhere", "--from", base], "nowhere"),
        ([music, "--from", conditioned], "is of the kind 'embedding-conditioned language model'"),
        ([store, "--from", base, "--lora-rank", 64], "rank 64 does not fit this model; give 1 to 32"),
        ([store, "--from", base, "--infilling-share", 2], "infilling_share is 2.0"),
        ([store, "--from", base, "--ending-share", -1], "ending_share is -1.0"),
        ([store, "--from", base, "--disturbed-share", 1.5], "disturbed_share is 1.5"),
        ([store, "--from", "nobody's"], 'no model "nobody\'s"'),
    ):
        assert main(["finetune", "continuation", *map(str, arguments), "-o", str(out)]) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
        assert not out.exists()


def test_a_run_goes_on_with_what_it_was_begun_with(store, base, tmp_path):
    with pytest.raises(UserError, match="holds a run of another recipe"):
        tune(store, store.parent, base, lora_rank=4, seed=2)
    with pytest.raises(UserError, match="already holds a run"):
        finetune_continuation(recipe(lora_rank=4), store, store.parent, base=base, resume="off")
    other = tmp_path / "other.safetensors"
    model = Transformer(CONFIG)
    random_initialisation(model, seed=2)
    save(other, model, V, infilling=True)
    with pytest.raises(UserError, match=r"holds a run of another model \(.*base.safetensors\)"):
        tune(store, store.parent, other, lora_rank=4)


def test_steps_and_intervals_from_the_command_line_replace_what_is_counted(store, base, tmp_path):
    flags = "--loop.steps 4 --loop.warmup-steps 1 --loop.eval-every 3 --loop.checkpoint-every 4"
    assert main(["finetune", "continuation", str(store), "-o", str(tmp_path), "--from", str(base), *flags.split()]) == 0
    begun = ContinuationRecipe.from_json((tmp_path / "recipe.json").read_text())
    assert (begun.name, begun.epochs, begun.measurements) == ("continuation", None, None)
    assert [line["step"] for line in records(tmp_path) if "validation" in line] == [0, 3, 4]
    rates = [line["lr"] for line in records(tmp_path) if "lr" in line]
    assert rates == pytest.approx([3e-5, 2e-5, 1e-5, 0])
