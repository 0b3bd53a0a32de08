"""What a run settles and says before its first step, and what becomes of it on another kind of machine."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from partimento.errors import UserError
from partimento.model import precision
from partimento.model.checkpoint import load
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train import flops
from partimento.train.distributed import ALONE
from partimento.train.flops import muon_flops
from partimento.train.opening import remarks, settled
from partimento.train.optimiser import orthogonalised
from partimento.train.recipes import pretraining as recipes
from partimento.train.recipes.pretraining import PretrainingRecipe
from tests.train.cycling import CyclingLoader
from tests.train.small import newest, pretrain_on, records

RECIPE = dataclasses.replace(recipes.debug().with_steps(6), length=24, batch=2)
RECIPE = dataclasses.replace(RECIPE, loop=dataclasses.replace(RECIPE.loop, eval_batches=1, checkpoint_every=3))
CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch):
    """Makes this processor one that multiplies bfloat16 itself, or one that does not."""
    return lambda *, native: monkeypatch.setattr(precision, "native_bfloat16", lambda device: native)


def in_precision(name: str) -> PretrainingRecipe:
    return dataclasses.replace(RECIPE, loop=dataclasses.replace(RECIPE.loop, precision=name))


def train(recipe: PretrainingRecipe, folder, **more) -> str:
    """Trains, and returns the precision that recipe.json and the model agree on."""
    pad = Vocabulary.piano().pad
    loaders = [CyclingLoader(list(range(60, 76)), length=24, batch=2, pad=pad) for _ in range(2)]
    path = pretrain_on(recipe, *loaders, folder, **more)
    of_run = json.loads((folder / "recipe.json").read_text())["loop"]["precision"]
    assert load(path).metadata["recipe"]["loop"]["precision"] == of_run
    return of_run


def test_a_run_keeps_what_it_was_begun_in_on_a_machine_of_the_other_kind(tmp_path, machine, capsys):
    for native, kind in ((False, "float32"), (True, "bfloat16")):
        machine(native=native)
        whole, halves = tmp_path / f"{kind} whole", tmp_path / f"{kind} halves"
        for folder in (whole, halves):
            assert train(RECIPE, folder) == kind
        newest(halves).rename(halves / "away")
        machine(native=not native)
        capsys.readouterr()
        assert train(RECIPE, halves) == kind
        said = "in bfloat16 this processor would be faster", "far slower than in float32"
        assert said[native] in capsys.readouterr().err
        assert records(halves) == records(whole)
    assert records(tmp_path / "float32 whole") != records(tmp_path / "bfloat16 whole")


def test_a_precision_asked_for_is_had_on_any_machine_and_another_one_is_another_run(tmp_path, machine):
    machine(native=False)
    assert train(in_precision("bfloat16"), tmp_path / "first") == "bfloat16"
    for asked in ("auto", "bfloat16"):
        assert train(in_precision(asked), tmp_path / "first") == "bfloat16"
    with pytest.raises(UserError, match=r"another recipe \(loop differ"):
        train(in_precision("float32"), tmp_path / "first")
    longer = dataclasses.replace(RECIPE, loop=dataclasses.replace(RECIPE.loop, steps=8))
    assert train(longer, tmp_path / "second", resume=str(tmp_path / "first")) == "float32"


def test_a_time_budget_is_measured_in_the_precision_of_the_run(tmp_path, machine):
    machine(native=True)
    assert train(RECIPE, tmp_path, max_hours=0.1 / 3600) == "bfloat16"
    machine(native=False)
    assert train(RECIPE, tmp_path, max_hours=0.1 / 3600) == "bfloat16"


def test_bfloat16_needs_all_processes_to_multiply_it(machine):
    machine(native=True)
    loop = RECIPE.loop
    for others, agreed in (([], "bfloat16"), ([True], "bfloat16"), ([True, False], "float32")):
        world = SimpleNamespace(device=CPU, gather=lambda mine, others=others: [mine, *others])
        assert settled(loop, world).precision == agreed
        assert settled(in_precision("bfloat16").loop, world).precision == "bfloat16"


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24)])
def test_muons_arithmetic_is_what_torch_counts(shape):
    with FlopCounterMode(display=False) as counter:
        orthogonalised(torch.ones(3, *shape))
    assert counter.get_total_flops() == muon_flops([shape] * 3)


def test_muon_is_said_to_cost_more_than_the_rest_where_it_does(monkeypatch, machine):
    machine(native=False)
    monkeypatch.setattr(flops, "_measured", lambda device: 1e9)
    flops.peak_flops.cache_clear()
    model = Transformer(RECIPE.make_config())

    def said(optimiser: str, batch: int) -> list[str]:
        loop = dataclasses.replace(RECIPE.loop, optimiser=optimiser, precision="float32")
        recipe = dataclasses.replace(RECIPE, batch=batch, loop=loop)
        return list(remarks(recipe, model, model.config, ALONE))

    of_precision = "precision: float32, since this processor does not multiply bfloat16 itself"
    matrices = [p.shape for n, p in model.named_parameters() if "encode_layers" in n and p.ndim == 2]
    seconds = muon_flops(matrices) / 1e9
    first, second = said("muon", 1)
    assert first == of_precision
    assert f"muon: at least {seconds:.1f} s a step" in second
    assert "24 tokens" in second and "--loop.optimiser adamw" in second
    assert said("muon", 1000) == said("adamw", 1) == [of_precision]
    flops.peak_flops.cache_clear()
