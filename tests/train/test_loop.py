"""The loop learns, does the arithmetic it says, and survives being killed."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cycling import CyclingLoader

from partimento.errors import UserError
from partimento.model.config import ModelConfig
from partimento.model.initialisation import random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.loop import (
    LOG_FILE,
    STATE_FILE,
    LoopSettings,
    learning_rate,
    optimiser_step,
    parameter_groups,
    train,
)
from partimento.train.objectives.pretrain import Pretraining

SETTINGS = LoopSettings(
    steps=24, peak_lr=1e-2, warmup_steps=4, accumulate=2, eval_every=6, eval_batches=2, checkpoint_every=5
)
CYCLE = list(range(60, 76))


def loader() -> CyclingLoader:
    return CyclingLoader(CYCLE, length=16, batch=4, pad=Vocabulary.piano().pad)


def heldout() -> CyclingLoader:
    return CyclingLoader(CYCLE, length=16, batch=2, pad=Vocabulary.piano().pad)


def objective() -> Pretraining:
    return Pretraining(Vocabulary.piano())


def make_model() -> Transformer:
    config = ModelConfig(vocab_size=len(Vocabulary.piano()), d_model=32, n_heads=2, n_layers=2, d_ff=64, context=32)
    model = Transformer(config)
    random_initialisation(model, seed=5)
    torch.manual_seed(6)  # the state of torch's own generator is part of what is compared
    return model


def train_in(folder: Path, model: Transformer) -> dict[str, float]:
    return train(model, objective(), loader=loader(), heldout=heldout(), settings=SETTINGS, out_dir=folder)


def records(folder: Path) -> list[dict]:
    """The log without its times, which no two runs share."""
    lines = [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_loss_falls_on_a_repetitive_corpus(tmp_path):
    measured = train_in(tmp_path, make_model())
    log = records(tmp_path)
    assert log[0]["step"] == 0
    assert log[0]["heldout"]["nats_per_token"] == pytest.approx(7.89, abs=0.05)  # ln 2675
    assert measured["nats_per_token"] < 3
    assert measured == log[-1]["heldout"]
    assert [line["step"] for line in log if "loss" in line] == list(range(1, 25))
    assert [line["step"] for line in log if "heldout" in line] == [0, 6, 12, 18, 24]


def test_accumulation_equals_a_large_batch():
    settings = dataclasses.replace(SETTINGS, precision="float32")
    rows = [torch.from_numpy(batch) for batch, _ in zip(loader(), range(3), strict=False)]
    rows[1][:, 5:] = Vocabulary.piano().pad  # batches of unequal weight
    results = []
    for batches in (rows, [torch.cat(rows)]):
        model = make_model()
        optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
        outcome = optimiser_step(model, objective(), optimiser, batches, settings)
        results.append((outcome, torch.cat([parameter.detach().flatten() for parameter in model.parameters()])))
    (many, many_weights), (one, one_weights) = results
    assert many == pytest.approx(one, rel=1e-5)
    torch.testing.assert_close(many_weights, one_weights, atol=1e-6, rtol=1e-5)


def test_padding_is_no_target():
    ids_BW = torch.tensor([[60, 61, 62, Vocabulary.piano().pad]])
    model = make_model()
    assert objective().targets(ids_BW) == 2
    log_p_TV = model(ids_BW[:, :-1])[0].log_softmax(dim=1)
    expected = -(log_p_TV[0, 61] + log_p_TV[1, 62])
    torch.testing.assert_close(objective().total_loss(model, ids_BW), expected)


def test_evaluation_divides_by_tokens_and_by_notes():
    vocabulary, model = Vocabulary.piano(), make_model()
    note, onset, duration = (lo for lo, _ in (vocabulary.note, vocabulary.onset, vocabulary.duration))
    ids_BW = torch.tensor([[vocabulary.pad, note, onset, duration], [note + 1, onset, duration, vocabulary.pad]])
    report = objective().evaluate(model, [ids_BW, ids_BW])
    total = 2 * objective().total_loss(model, ids_BW).item()
    assert (report["tokens"], report["notes"]) == (10, 2)
    assert report["nats_per_token"] == pytest.approx(total / 10)
    assert report["nats_per_note"] == pytest.approx(total / 2)
    by_kind = 2 * report["nats_note"] + 4 * report["nats_onset"] + 4 * report["nats_duration"]
    assert by_kind == pytest.approx(total)


def test_the_schedule_is_two_straight_lines():
    settings = LoopSettings(steps=110, warmup_steps=10, peak_lr=2.0, final_fraction=0.1)
    assert [learning_rate(settings, step) for step in (1, 5, 10)] == pytest.approx([0.2, 1.0, 2.0])
    assert [learning_rate(settings, step) for step in (60, 110)] == pytest.approx([1.1, 0.2])
    assert learning_rate(dataclasses.replace(settings, warmup_steps=0), 1) == pytest.approx(2 - 1.8 / 110)


def test_only_matrices_decay():
    model = make_model()
    decayed, kept = parameter_groups(model, 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names.pop(id(p)).rsplit(".", 1)[0][-5:] for p in kept["params"]} == {"norm1", "norm2", "_norm"}
    assert {id(p) for p in decayed["params"]} == set(names)


# Killed before any state exists, between two states, and after the last evaluation but before the last state.
@pytest.mark.parametrize("killed_at", [3, 13, 24])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, killed_at):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train_in(whole, make_model())
    script = Path(__file__).with_name("killed_run.py")
    root = Path(__file__).parents[2]
    command = [sys.executable, str(script), str(killed), str(killed_at)]
    process = subprocess.run(command, cwd=root, env=_environment(root), capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert records(killed)[-1]["step"] < SETTINGS.steps
    with (killed / LOG_FILE).open("a") as log:
        log.write('{"step": 14, "lo')  # the line that was being written
    model = make_model()
    random_initialisation(model, seed=99)
    if not (killed / STATE_FILE).exists():
        model = make_model()
    train_in(killed, model)
    assert records(killed) == records(whole)
    assert (killed / STATE_FILE).read_bytes() == (whole / STATE_FILE).read_bytes()


def _environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}


def test_a_finished_run_is_left_alone(tmp_path):
    first = train_in(tmp_path, make_model())
    before = (tmp_path / LOG_FILE).read_bytes()
    assert train_in(tmp_path, make_model()) == first
    assert (tmp_path / LOG_FILE).read_bytes() == before


def test_divergence_is_one_clear_line(tmp_path):
    model = make_model()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="training diverged: loss nan"):
        train_in(tmp_path, model)


def test_the_state_of_another_model_is_refused(tmp_path):
    train_in(tmp_path, make_model())
    config = ModelConfig(vocab_size=2675, d_model=16, n_heads=2, n_layers=1, d_ff=64, context=32)
    with pytest.raises(UserError, match="not the state of this model"):
        train_in(tmp_path, Transformer(config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"warmup_steps": 24}, "24 warm-up steps do not fit 24 steps"),
        ({"peak_lr": float("nan")}, "peak_lr nan"),
        ({"final_fraction": 1.5}, "final_fraction 1.5"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(SETTINGS, **change)
