"""A recipe to a folder with a model: what it holds, when it is continued, when it is refused."""

import dataclasses
import json

import pytest
from cycling import CyclingLoader

from partimento.errors import UserError
from partimento.model.checkpoint import load
from partimento.tokens.vocabulary import Vocabulary
from partimento.train import recipes
from partimento.train.recipes import RECIPES, Recipe
from partimento.train.run import pretrain

RECIPE = dataclasses.replace(recipes.debug(), length=24)


def loaders() -> list[CyclingLoader]:
    pad = Vocabulary.piano().pad
    return [CyclingLoader(list(range(60, 76)), length=24, batch=2, pad=pad) for _ in range(2)]


def test_a_run_ends_with_a_model_that_says_where_it_comes_from(tmp_path):
    path = pretrain(RECIPE, *loaders(), tmp_path)
    checkpoint = load(path)
    assert checkpoint.config == RECIPE.make_config()
    assert checkpoint.vocabulary == Vocabulary.piano()
    assert checkpoint.metadata["step"] == 20
    assert Recipe.from_json(json.dumps(checkpoint.metadata["recipe"])) == RECIPE
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert checkpoint.metadata["heldout"] == last["heldout"]


def test_a_folder_with_another_run_is_refused(tmp_path):
    pretrain(RECIPE, *loaders(), tmp_path)
    pretrain(RECIPE, *loaders(), tmp_path)
    with pytest.raises(UserError, match="already holds a run"):
        pretrain(RECIPE, *loaders(), tmp_path, resume=False)
    with pytest.raises(UserError, match="another recipe"):
        pretrain(dataclasses.replace(RECIPE, seed=2), *loaders(), tmp_path)


def test_a_time_budget_decides_the_steps_once(tmp_path):
    pretrain(RECIPE, *loaders(), tmp_path, max_hours=0.2 / 3600)
    begun = Recipe.from_json((tmp_path / "recipe.json").read_text())
    assert begun.loop.steps >= 2
    assert dataclasses.replace(begun, loop=RECIPE.loop) == RECIPE
    pretrain(RECIPE, *loaders(), tmp_path, max_hours=5)
    assert Recipe.from_json((tmp_path / "recipe.json").read_text()) == begun


def test_a_measured_pace_does_not_move_the_data(tmp_path):
    timed, plain = loaders(), loaders()
    pretrain(RECIPE, *timed, tmp_path / "timed", max_hours=0.2 / 3600)
    steps = Recipe.from_json((tmp_path / "timed" / "recipe.json").read_text()).loop.steps
    assert timed[0].state_dict() == {"position": steps}
    pretrain(RECIPE, *plain, tmp_path / "plain")
    assert plain[0].state_dict() == {"position": 20}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_complete(name):
    recipe = recipes.named(name)
    assert recipe.name == name
    assert recipe.make_config().context == recipe.length
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_unreasonable_requests_are_refused(tmp_path):
    with pytest.raises(UserError, match="no recipe is called 'opera'; choose one of bundled, debug"):
        recipes.named("opera")
    with pytest.raises(UserError, match="max_hours is 0"):
        pretrain(RECIPE, *loaders(), tmp_path, max_hours=0)
