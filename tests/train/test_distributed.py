"""Several processes learn what one learns, and take over each other's checkpoints."""

import dataclasses
from pathlib import Path

import pytest

from partimento.errors import UserError
from partimento.train.loop import CHECKPOINTS
from tests import programs
from tests.train.small import SETTINGS, make_model, newest, records, train_in

pytestmark = pytest.mark.posix
SPREAD = dataclasses.replace(SETTINGS, steps=20, eval_every=10, checkpoint_every=10, keep_checkpoints=9)
WAYS = ["replicate", "shard", "shard-muon"]
HALFWAY = Path(CHECKPOINTS, "step-00000010")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Folders of one run: on one process as `alone`, on two in each of the WAYS, from halfway on four."""
    folder = tmp_path_factory.mktemp("runs")
    train_in(folder / "alone", make_model(), SPREAD)
    train_in(folder / "alone-muon", make_model(), dataclasses.replace(SPREAD, optimiser="muon"))
    programs.run("tests.train.spread_run", folder)
    return folder


def check_equal(found: list[dict], expected: list[dict]) -> None:
    assert [line["step"] for line in found] == [line["step"] for line in expected]
    for line, wanted in zip(found, expected, strict=True):
        assert line.keys() == wanted.keys()
        for name in line.keys() - {"validation"}:
            # Sums in another order: what is left of it after 20 steps shows in the gradients first.
            assert line[name] == pytest.approx(wanted[name], rel=1e-4 if name == "norm" else 1e-5)
        if "validation" in line:
            assert line["validation"] == pytest.approx(wanted["validation"], rel=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_learn_what_one_does(runs, way):
    check_equal(records(runs / way), records(runs / ("alone-muon" if "muon" in way else "alone")))


def second_half(runs: Path) -> list[dict]:
    return [line for line in records(runs / "alone") if line["step"] > 10]


@pytest.mark.parametrize("way", ["replicate", "shard"])
def test_a_checkpoint_of_two_processes_goes_on_alone(runs, tmp_path, way):
    train_in(tmp_path, make_model(seed=99), SPREAD, resume=runs / way / HALFWAY)
    check_equal(records(tmp_path), second_half(runs))


@pytest.mark.parametrize("way", ["replicate", "shard"])
def test_a_checkpoint_of_two_processes_goes_on_on_four(runs, way):
    check_equal(records(runs / f"{way}-on-four"), second_half(runs))


def test_a_lost_shard_is_noticed(runs, tmp_path):
    checkpoint = newest(runs / "shard")
    next(checkpoint.glob("shard-00002*")).rename(tmp_path / "away")
    with pytest.raises(UserError, match="step-00000020"):
        train_in(tmp_path, make_model(), SPREAD, resume=checkpoint)
