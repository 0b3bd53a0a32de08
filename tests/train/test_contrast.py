"""A store and a language model become an embedding model that knows which slices belong together."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from partimento.cli import main
from partimento.corpus.store.build import build
from partimento.corpus.store.plans import plan_folder
from partimento.embed.encoder import Encoder
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load, load_any, save
from partimento.model.config import ModelConfig
from partimento.model.heads import Embedder
from partimento.model.initialisation import musical_initialisation
from partimento.model.transformer import Transformer
from partimento.train.log import read_log
from partimento.train.recipes.contrastive import ContrastiveRecipe, paper, small
from partimento.train.settings import LoopSettings, Machine
from partimento.train.stages.contrastive import finetune_contrastive
from tests.train.views import V

FILES = 12
RECIPE = ContrastiveRecipe(
    name="tiny",
    cost="",
    mask_same_piece=False,
    length=256,
    batch=4,
    seed=1,
    epochs=4,
    size=16,
    candidates=8,
    loop=LoopSettings(steps=99, peak_lr=3e-3, warmup_steps=2, precision="float32"),
    machine=Machine(micro_batch_size=3, activation_checkpointing=True),
)


def music(number: int) -> Performance:
    """Each file stays within a few keys of its own, which is what its two views have in common."""
    rng = np.random.default_rng(number)
    return Performance.from_notes(
        pitch=24 + 5 * (number % 14) + rng.integers(0, 3, 120),
        velocity=rng.integers(30, 110, 120),
        onset=np.sort(rng.random(120)) * 20,
        duration=rng.random(120) + 0.05,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "midi").mkdir()
    labels = {}
    for number in range(2 * FILES):
        music(number).write_midi(folder / "midi" / f"{number:02}.mid")
        labels[f"{number:02}.mid"] = {"split": "train" if number < FILES else "validation"}
    plan, refused = plan_folder(folder / "midi", labels)
    assert refused == [] and build(plan, folder / "store") == []
    return folder / "store"


def language_model(path: Path, seed: int) -> Path:
    config = ModelConfig(vocab_size=len(V), d_model=32, n_heads=2, n_layers=2, d_ff=64, context=256)
    model = Transformer(config)
    musical_initialisation(model, V, seed=seed)
    save(path, model, V)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return language_model(tmp_path_factory.mktemp("base") / "lm.safetensors", seed=3)


@pytest.fixture(scope="module")
def run(store, base, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    finetune_contrastive(RECIPE, store, folder, base=base)
    return folder


def test_views_of_one_file_find_each_other_after_some_epochs(run):
    log = read_log(run)
    assert sum("loss" in line for line in log) == 12  # 4 epochs of 12 files in batches of 4
    measured = [(line["step"], line["validation"]) for line in log if "validation" in line]
    assert [step for step, _ in measured] == [0, 3, 6, 9, 12]
    assert measured[0][1].keys() == {"loss", "alignment", "uniformity", "top1"}
    assert measured[-1][1]["loss"] < measured[0][1]["loss"] - 0.1


def test_the_model_has_the_published_names_and_says_what_it_is(run, base, store, capsys):
    checkpoint = load(run / "model.safetensors", Embedder)
    assert checkpoint.model.emb_head.weight.shape == (16, 32)
    assert checkpoint.metadata["recipe"]["temperature"] == 0.1
    assert checkpoint.metadata["recipe"]["machine"]["micro_batch_size"] == 3
    assert checkpoint.metadata["data"]["files"] == 2 * FILES
    notes = Encoder.load(run / "model.safetensors").slicing.notes
    assert 3 * notes + 3 < RECIPE.length < 4 * notes  # as many as fit the views, at three tokens and a bit each
    assert main(["info", str(run / "model.safetensors"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["outputs"]) == ("embedding model", 16)


def test_a_batch_at_once_leads_to_the_same_model(run, store, base, tmp_path):
    finetune_contrastive(dataclasses.replace(RECIPE, machine=Machine()), store, tmp_path, base=base)
    expected = load_any(run / "model.safetensors").model.state_dict()
    for name, tensor in load_any(tmp_path / "model.safetensors").model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], atol=2e-3, rtol=2e-2)


def test_a_run_that_is_called_again_is_continued_and_another_recipe_refused(run, store, base):
    before = (run / "model.safetensors").read_bytes()
    finetune_contrastive(RECIPE, store, run, base=base)
    assert (run / "model.safetensors").read_bytes() == before
    with pytest.raises(UserError, match="temperature differ"):
        finetune_contrastive(dataclasses.replace(RECIPE, temperature=0.5), store, run, base=base)
    with pytest.raises(UserError, match="already holds a run"):
        finetune_contrastive(RECIPE, store, run, base=base, resume="off")


def test_from_scratch_the_base_gives_its_shape_only(store, base, tmp_path):
    once = dataclasses.replace(RECIPE, epochs=None, loop=dataclasses.replace(RECIPE.loop, steps=2, warmup_steps=1))
    results = []
    for pretrained, seed in ((True, 5), (False, 5), (False, 5)):
        torch.manual_seed(seed)
        folder = tmp_path / f"{len(results)}"
        finetune_contrastive(dataclasses.replace(once, pretrained=pretrained), store, folder, base=base)
        results.append(load_any(folder / "model.safetensors").model.state_dict()["model.tok_embeddings.weight"])
    close = load(base).model.state_dict()["model.tok_embeddings.weight"]
    assert (results[0] - close).abs().max() < 0.05 < (results[1] - close).abs().max()
    assert torch.equal(results[1], results[2])


def test_a_run_goes_on_from_its_own_base_only_unless_it_began_from_scratch(run, store, base, tmp_path):
    other = language_model(tmp_path / "other.safetensors", seed=4)
    with pytest.raises(UserError, match="holds a run of another model"):
        finetune_contrastive(RECIPE, store, run, base=other)
    once = dataclasses.replace(RECIPE, epochs=None, loop=dataclasses.replace(RECIPE.loop, steps=1, warmup_steps=0))
    scratch = dataclasses.replace(once, pretrained=False)
    made = finetune_contrastive(scratch, store, tmp_path / "scratch", base=base).read_bytes()
    assert finetune_contrastive(scratch, store, tmp_path / "scratch", base=other).read_bytes() == made


def test_it_says_how_many_negatives_there_are(store, base, tmp_path):
    said = []
    short = dataclasses.replace(RECIPE, epochs=None, loop=dataclasses.replace(RECIPE.loop, steps=1, warmup_steps=0))
    finetune_contrastive(short, store, tmp_path, base=base, say=said.append)
    assert said[0].startswith("negatives: 6.0 of 6 a view on average (12 files of 12 pieces; ")


def test_whether_performances_of_one_piece_are_told_apart_is_recorded_and_trained_by(store, base, tmp_path):
    plan, _ = plan_folder(store.parent / "midi", {f"{n:02}.mid": {"split": "train" if n < FILES else "validation"}
                                                  for n in range(2 * FILES)})  # fmt: skip
    pieces = pa.array(np.arange(len(plan)) // 4, plan.schema.field("piece").type)
    fours = plan.set_column(plan.schema.get_field_index("piece"), "piece", pieces)
    assert build(fours, tmp_path / "store") == []
    short = dataclasses.replace(RECIPE, epochs=None, loop=dataclasses.replace(RECIPE.loop, steps=1, warmup_steps=0))
    losses = {}
    # A batch of four files of three pieces has two of one. Of the 11 others 3 are of the same: 6 * 8 / 11 negatives.
    for masked, negatives in ((False, "6.0 of 6"), (True, "4.4 of 6")):
        said, folder = [], tmp_path / str(masked)
        recipe = dataclasses.replace(short, mask_same_piece=masked)
        finetune_contrastive(recipe, tmp_path / "store", folder, base=base, say=said.append)
        assert said[0].startswith(f"negatives: {negatives} a view on average (12 files of 3 pieces; ")
        assert json.loads((folder / "recipe.json").read_text())["mask_same_piece"] is masked
        losses[masked] = [row["loss"] for row in read_log(folder) if "loss" in row]
    assert losses[True] != losses[False]
    with pytest.raises(UserError, match="mask_same_piece differ"):
        finetune_contrastive(short, tmp_path / "store", folder, base=base)


def test_the_papers_recipe_has_every_other_file_as_a_negative():
    assert not paper().mask_same_piece and not small().mask_same_piece


def test_what_cannot_be_compared_is_refused(store, base, tmp_path):
    with pytest.raises(UserError, match="lower --batch"):
        finetune_contrastive(dataclasses.replace(RECIPE, batch=13), store, tmp_path, base=base)
    with pytest.raises(UserError, match="give at least 2"):
        dataclasses.replace(RECIPE, batch=1)
    with pytest.raises(UserError, match="temperature is 0"):
        dataclasses.replace(RECIPE, temperature=0)
    save(tmp_path / "embedder.safetensors", Embedder(load(base).config, size=4), V)
    with pytest.raises(UserError, match="what is needed here is a 'language model'"):
        finetune_contrastive(RECIPE, store, tmp_path / "run", base=tmp_path / "embedder.safetensors")


def test_the_command_takes_a_recipe_by_name(store, base, tmp_path, capsys):
    words = ["finetune", "contrastive", str(store), "--from", str(base), "-o", str(tmp_path / "run")]
    assert main([*words, "--recipe", "none"]) == 2
    assert "choose one of contrastive, contrastive-small" in capsys.readouterr().err
    more = ["--recipe", "contrastive-small", "--batch", "4", "--loop.steps", "21", "--loop.precision", "float32"]
    assert main([*words, *more]) == 0
    printed = capsys.readouterr()
    assert "model in" in printed.out and " views/s" in printed.err
    written = json.loads((tmp_path / "run" / "recipe.json").read_text())
    # 21 steps would not hold the warm-up of the other recipe
    assert (written["batch"], written["loop"]["steps"]) == (4, 21)
    assert written["loop"]["peak_lr"] == small().loop.peak_lr
