"""Recipes say everything, and what they say of the paper is what the paper says."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from partimento.cli import main
from partimento.errors import UserError
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.train.flops import flops_per_token
from partimento.train.recipes import RECIPES, pretraining
from partimento.train.recipes.pretraining import PretrainingRecipe


@pytest.mark.parametrize("name", pretraining.RECIPES)
def test_recipes_are_complete(name, capsys):
    recipe = pretraining.pretraining_recipe(name)
    assert recipe.name == name
    assert recipe.cost
    assert recipe.make_config().context == recipe.length
    assert PretrainingRecipe.from_json(recipe.to_json()) == recipe
    assert main(["recipe", name]) == 0
    assert PretrainingRecipe.from_json(capsys.readouterr().out) == recipe


def test_what_is_changed_on_the_command_line_is_resolved_too(capsys):
    assert main(["recipe", "contrastive-small", "--loop.steps", "90", "--temperature", "0.5"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["loop"]["steps"], told["epochs"], told["temperature"]) == (90, None, 0.5)
    assert main(["recipe", "laptop", "--nothing", "1"]) == 2
    assert "--nothing" in capsys.readouterr().err


def test_without_a_name_all_recipes_are_listed_with_their_cost(capsys):
    assert main(["recipe"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    assert all(make().cost in line for make, line in zip(RECIPES.values(), lines, strict=True))


def test_the_bundled_models_recipe_is_what_its_record_says():
    record = json.loads(Path("docs/bundled/pretrained.json").read_text(encoding="utf-8"))
    told = json.loads(pretraining.bundled().to_json())
    assert record.pop("cost") != told["cost"]  # the record has what the recipe said before it was measured
    for part in ("loop", "machine"):
        assert record.pop(part).items() <= told[part].items()
    assert record.items() <= told.items()


def test_the_papers_recipe():
    paper = pretraining.paper()
    assert (paper.length, paper.batch, paper.epochs) == (8192, 8 * 16, 75)
    assert (paper.loop.peak_lr, paper.loop.warmup_steps, paper.loop.min_lr_ratio) == (3e-4, 1000, 0.1)
    assert (paper.loop.betas, paper.loop.weight_decay) == ((0.9, 0.95), 0.1)
    assert paper.make_config().parameters == 658_538_496
    # The paper's nine days, if its corpus has the tokens that the recipe assumes.
    flops = paper.loop.steps * paper.batch * paper.length * flops_per_token(paper.make_config(), length=paper.length)
    assert flops / (9 * 86_400 * 8 * 989e12) == pytest.approx(0.30, abs=0.01)


def test_the_arithmetic_of_a_model_is_what_torch_counts():
    config = ModelConfig(vocab_size=50, d_model=32, n_heads=2, n_layers=3, d_ff=128, context=64)
    model = Transformer(config)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 64, dtype=torch.long)).sum().backward()
    # Torch counts attention whole; ours is causal and so half of it.
    causal_half = 6 * config.n_layers * 2 * config.d_model * 64 / 2
    assert counter.get_total_flops() / 128 == flops_per_token(config, length=64) + causal_half


def test_two_recipes_are_equal_if_they_lead_to_the_same_model():
    debug = pretraining.debug()
    elsewhere = dataclasses.replace(debug, cost="?", machine=dataclasses.replace(debug.machine, compile=True))
    assert elsewhere == debug
    assert dataclasses.replace(debug, seed=2) != debug


@pytest.mark.parametrize("text", ["{}", "[]", "{", json.dumps({"loop": {}, "machine": {}})])
def test_what_is_no_recipe_is_refused(text):
    with pytest.raises(UserError, match="not a recipe of this version"):
        PretrainingRecipe.from_json(text)


def test_an_unknown_recipe_is_one_line(capsys):
    assert main(["recipe", "opera"]) == 2
    assert "no recipe is called 'opera'" in capsys.readouterr().err
