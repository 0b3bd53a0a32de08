"""A recipe says all that decides a selection; a wrong one is refused in one line that names the field."""

import dataclasses
import json
import tomllib

import pytest

from partimento.corpus.selection.quality import FILTERS
from partimento.corpus.selection.recipes import RECIPES, SelectionRecipe, read_recipe, selection_recipe
from partimento.errors import UserError


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_toml_and_json(name, tmp_path):
    original = selection_recipe(name)
    path = tmp_path / "mine.toml"
    path.write_text(original.to_toml())
    assert original.name == name
    assert selection_recipe(str(path)) == original == SelectionRecipe.from_json(original.to_json())
    plain = dataclasses.asdict(original)
    assert json.loads(original.to_json()) == plain
    assert tomllib.loads(original.to_toml()) == plain


def test_a_recipe_without_a_rule_about_pieces_survives_too(tmp_path):
    original = dataclasses.replace(selection_recipe("pretrain"), composition=None)
    (tmp_path / "mine.toml").write_text(original.to_toml())
    assert read_recipe(tmp_path / "mine.toml") == original == SelectionRecipe.from_json(original.to_json())


def test_the_papers_numbers():
    pretrain, finetune, contrastive = (selection_recipe(name) for name in ("pretrain", "finetune", "contrastive"))
    assert (pretrain.composition.crowded_above, pretrain.composition.per_piece) == (250, 10)
    assert (finetune.composition.crowded_above, finetune.composition.per_piece) == (250, 1)
    assert contrastive.composition.per_piece > finetune.composition.per_piece
    assert contrastive.filters == finetune.filters
    assert finetune.composition.every_piece  # "removed all identified compositional duplicates"
    assert not pretrain.composition.every_piece and not contrastive.composition.every_piece


def test_finetuning_is_nowhere_laxer_than_pretraining():
    pretrain, finetune = selection_recipe("pretrain").filters, selection_recipe("finetune").filters
    for name, bound in pretrain.items():
        direction = 1 if FILTERS[name].side == "at least" else -1
        assert direction * (finetune[name] - bound) >= 0, name
    assert {"synthesised", "poor-recording"} <= set(finetune) - set(pretrain)


def test_the_toml_explains_every_filter_in_use_or_not():
    lines = selection_recipe("pretrain").to_toml().splitlines()
    for name, filter_ in FILTERS.items():
        assert sum(line.lstrip("# ").startswith(f"{name} =") and filter_.reason in line for line in lines) == 1


WRONG = {
    "too-short = 30.0": ("too-shrt = 30.0", "'too-shrt'; perhaps you meant 'too-short'"),
    "too-long = 7200.0": ('too-long = "long"', "filters.too-long is 'long'"),
    "silence = 20.0": ("silence = nan", "filters.silence is nan"),
    "too-soft = 20.0": ("too-soft = true", "filters.too-soft is True"),
    "per_piece = 10": ("per_piece = 0", "composition.per_piece is 0"),
    "every_piece = false": ("every_piece = 0", "composition.every_piece is 0"),
    "crowded_above = 250": ("crowded_above = 2.5", "composition.crowded_above is 2.5"),
    "validation = 0.02": ("validation = 1.0", "splits.validation is 1.0"),
    "test = 0.02": ("test = 0.99", "splits.validation and test are"),
    "seed = 1": ("seed = -1", "splits.seed is -1"),
    "declared = true": ("declared = 1", "splits.declared is 1"),
    "one_per_performance = true": ("one_per_performance = 1", "recipe.one_per_performance is 1"),
    'name = "pretrain"': ('name = "../elsewhere"', "name is '../elsewhere'"),
    "[composition]": ("[compositions]", "'compositions'; perhaps you meant 'composition'"),
    "[splits]": ("[filters.splits]", "recipe lacks splits"),
    "[filters]": ("[filters", "no readable TOML"),
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_field_or_value_is_one_line_that_names_it(line, tmp_path):
    path, text = tmp_path / "mine.toml", selection_recipe("pretrain").to_toml()
    assert line in text
    wrong, message = WRONG[line]
    path.write_text(text.replace(line, wrong, 1))
    with pytest.raises(UserError) as caught:
        selection_recipe(str(path))
    assert message in str(caught.value) and "mine.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_names_and_missing_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="choose pretrain, finetune, contrastive or a file"):
        selection_recipe("pre-train")
    with pytest.raises(UserError, match=r"nowhere\.toml"):
        selection_recipe(str(tmp_path / "nowhere.toml"))
