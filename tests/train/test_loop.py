"""The loop learns, does the arithmetic it says, and survives being killed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from partimento.errors import UserError
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.checkpoints import read_header
from partimento.train.distributed import ALONE
from partimento.train.log import LOG_FILE
from partimento.train.loop import CHECKPOINTS, Trainer, train
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.settings import LoopSettings, Machine, learning_rate
from tests import programs
from tests.train.small import PAD, SETTINGS, loader, make_model, newest, objective, records, train_in


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_loss_falls_on_a_repetitive_corpus(tmp_path):
    measured = train_in(tmp_path, make_model())
    log = records(tmp_path)
    assert log[0]["step"] == 0
    assert log[0]["validation"]["nats_per_token"] == pytest.approx(np.log(2675), abs=0.05)
    assert measured["nats_per_token"] < 3
    assert measured == log[-1]["validation"]
    assert [line["step"] for line in log if "loss" in line] == list(range(1, 25))
    assert [line["step"] for line in log if "validation" in line] == [0, 6, 12, 18, 24]


@pytest.mark.parametrize("rows", [1, 3])
def test_a_batch_in_pieces_equals_the_batch_at_once(rows):
    ids_BW = next(iter(loader()))
    ids_BW[4:, 5:] = PAD  # pieces of unequal weight
    results = []
    for machine in (Machine(micro_batch_size=rows), Machine()):
        model = make_model()
        trainer = Trainer(model, objective(), SETTINGS, machine, ALONE)
        outcomes = [trainer.step(ids_BW, rate=1e-2) for _ in range(3)]
        results.append((outcomes, weights(model)))
    (pieces, weights_of_pieces), (whole, weights_of_whole) = results
    for one, other in zip(pieces, whole, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    torch.testing.assert_close(weights_of_pieces, weights_of_whole, atol=2e-5, rtol=1e-5)


def test_a_step_is_torchs_own_adamw_on_the_mean_loss():
    ids_BW = next(iter(loader()))
    ours, plain = make_model(), make_model()
    trainer = Trainer(ours, objective(), SETTINGS, Machine(), ALONE)
    matrices = [p for p in plain.parameters() if p.ndim == 2]
    vectors = [p for p in plain.parameters() if p.ndim == 1]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(3):
        loss, norm, targets = trainer.step(ids_BW, rate=1e-2)
        logits_BTV = plain(torch.from_numpy(ids_BW[:, :-1]).long())
        expected = nn.functional.cross_entropy(
            logits_BTV.flatten(0, 1), torch.from_numpy(ids_BW[:, 1:]).long().flatten(), ignore_index=PAD
        )
        optimiser.zero_grad()
        expected.backward()
        assert norm == pytest.approx(nn.utils.clip_grad_norm_(plain.parameters(), 1.0).item(), rel=1e-4)
        optimiser.step()
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        assert targets == (ids_BW[:, 1:] != PAD).sum()
    torch.testing.assert_close(weights(ours), weights(plain), atol=2e-5, rtol=1e-4)


class Doubling:
    """Something else than tokens to learn: two columns, one of which is to be twice the other."""

    criterion = "error"
    unit = "rows"
    lengths_vary = False

    def targets(self, batch):
        return len(batch["x"])

    def total_loss(self, model, batch):
        return (model(batch["x"]) - batch["y"]).square().sum()

    def measure(self, model, batch):
        return torch.stack([self.total_loss(model, batch).double(), torch.tensor(len(batch["x"])).double()])

    def report(self, sums):
        return {"error": float(sums[0] / sums[1])}


class Columns:
    """Batches of two arrays."""

    def __init__(self):
        self.position = 0

    def __iter__(self):
        while True:
            self.position += 1
            x = np.random.default_rng(self.position).normal(size=(6, 1)).astype(np.float32)
            yield {"x": x, "y": 2 * x}

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


def test_any_objective_and_any_batch_will_do(tmp_path):
    model = nn.Linear(1, 1)
    settings = LoopSettings(
        steps=60, peak_lr=0.1, warmup_steps=0, eval_every=60, eval_batches=1, weight_decay=0, precision="float32"
    )
    machine = Machine(micro_batch_size=4)
    columns = {"loader": Columns(), "validation": Columns()}
    measured = train(model, Doubling(), **columns, settings=settings, folder=tmp_path, machine=machine)
    assert measured["error"] < 0.01
    assert model.weight.item() == pytest.approx(2, abs=0.1)


def test_padding_is_no_target():
    ids_BW = torch.tensor([[60, 61, 62, PAD]])
    model = make_model()
    assert objective().targets(ids_BW) == 2
    log_p_TV = model(ids_BW[:, :-1])[0].log_softmax(dim=1)
    expected = -(log_p_TV[0, 61] + log_p_TV[1, 62])
    torch.testing.assert_close(objective().total_loss(model, ids_BW), expected)


def test_evaluation_divides_by_tokens_and_by_notes():
    vocabulary, model = Vocabulary.piano(), make_model()
    note, onset, duration = (lo for lo, _ in (vocabulary.note, vocabulary.onset, vocabulary.duration))
    ids_BW = torch.tensor([[vocabulary.pad, note, onset, duration], [note + 1, onset, duration, vocabulary.pad]])
    report = objective().report(2 * objective().measure(model, ids_BW))
    total = 2 * objective().total_loss(model, ids_BW).item()
    assert (report["tokens"], report["notes"]) == (10, 2)
    assert report["nats_per_token"] == pytest.approx(total / 10)
    assert report["nats_per_note"] == pytest.approx(total / 2)
    by_kind = 2 * report["nats_note"] + 4 * report["nats_onset"] + 4 * report["nats_duration"]
    assert by_kind == pytest.approx(total)


def test_the_schedule_is_two_straight_lines():
    settings = LoopSettings(steps=110, warmup_steps=10, peak_lr=2.0, min_lr_ratio=0.1)
    assert [learning_rate(settings, step) for step in (1, 5, 10)] == pytest.approx([0.2, 1.0, 2.0])
    assert [learning_rate(settings, step) for step in (60, 110)] == pytest.approx([1.1, 0.2])
    assert learning_rate(dataclasses.replace(settings, warmup_steps=0), 1) == pytest.approx(2 - 1.8 / 110)


# Killed before any checkpoint exists, between two, and while one is half written.
KILLED_AT = ["3", "13", "15-saving"]


@pytest.fixture(scope="module")
def killed_runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    programs.run("tests.train.killed_run", folder, *KILLED_AT)
    train_in(folder / "whole", make_model())
    return folder


@pytest.mark.posix
@pytest.mark.parametrize("killed_at", KILLED_AT)
def test_a_killed_run_resumes_to_the_same_bits(killed_runs, killed_at):
    whole, killed = killed_runs / "whole", killed_runs / killed_at
    assert records(killed)[-1]["step"] < SETTINGS.steps
    with (killed / LOG_FILE).open("a") as log:
        log.write('{"step": 14, "lo')  # the line that was being written
    train_in(killed, make_model(seed=99) if newest(killed) else make_model())
    assert records(killed) == records(whole)
    assert checkpoint_tensors(killed).keys() == checkpoint_tensors(whole).keys()
    for name, tensor in checkpoint_tensors(killed).items():
        assert torch.equal(tensor, checkpoint_tensors(whole)[name]), name
    assert read_header(newest(killed)) == read_header(newest(whole))


def checkpoint_tensors(folder: Path) -> dict[str, torch.Tensor]:
    (shard,) = newest(folder).glob("*.safetensors")
    return load_file(shard)


def test_a_finished_run_is_left_alone(tmp_path):
    first = train_in(tmp_path, make_model())
    before = (tmp_path / LOG_FILE).read_bytes()
    assert train_in(tmp_path, make_model()) == first
    assert (tmp_path / LOG_FILE).read_bytes() == before


class Unlearning(Pretraining):
    """Goes the wrong way after six steps."""

    steps = 0

    def total_loss(self, model, ids_BW):
        self.steps += 1
        return super().total_loss(model, ids_BW) * (-1 if self.steps > 6 else 1)


def test_the_newest_checkpoints_and_the_best_one_stay(tmp_path):
    exported = []
    train(
        make_model(),
        Unlearning(Vocabulary.piano()),
        loader=loader(),
        validation=loader(batch=4),
        settings=dataclasses.replace(SETTINGS, steps=12, eval_every=2, checkpoint_every=2),
        folder=tmp_path,
        export=lambda step, measured, is_best: exported.append((step, measured["nats_per_token"], is_best)),
    )
    assert [step for step, _, _ in exported] == [2, 4, 6, 8, 10, 12]
    best_step = min(exported, key=lambda row: row[1])[0]
    assert [step for step, _, is_best in exported if is_best][-1] == best_step <= 8
    kept = sorted(path.name for path in (tmp_path / CHECKPOINTS).glob("step-*"))
    assert kept == [f"step-{step:08d}" for step in (best_step, 10, 12)]


def test_divergence_is_one_clear_line(tmp_path):
    model = make_model()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="training diverged: loss nan"):
        train_in(tmp_path, model)


@pytest.mark.parametrize(
    ("d_model", "n_layers", "message"),
    [(16, 2, r"model.model.tok_embeddings.weight has shape \[2675, 32\], not \[2675, 16\]"), (32, 3, "is missing"),
     (32, 1, "which has no model.model.encode_layers.1")],
)  # fmt: skip
def test_the_checkpoint_of_another_model_is_refused(tmp_path, d_model, n_layers, message):
    train_in(tmp_path, make_model())
    config = ModelConfig(vocab_size=2675, d_model=d_model, n_heads=2, n_layers=n_layers, d_ff=64, context=32)
    with pytest.raises(UserError, match=message):
        train_in(tmp_path, Transformer(config))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    train_in(tmp_path, make_model())
    (shard,) = newest(tmp_path).glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(UserError, match="is damaged"):
        train_in(tmp_path, make_model())
    (newest(tmp_path) / "state.json").write_text("[")
    with pytest.raises(UserError, match="is not a checkpoint"):
        train_in(tmp_path, make_model())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"keep_checkpoints": 0}, "keep_checkpoints is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"warmup_steps": 24}, "24 warm-up steps do not fit 24 steps"),
        ({"peak_lr": float("nan")}, "peak_lr nan"),
        ({"min_lr_ratio": 1.5}, "min_lr_ratio 1.5"),
        ({"betas": (0.9, 1.0)}, r"betas \(0.9, 1.0\)"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(SETTINGS, **change)


def test_an_impossible_machine_is_refused():
    with pytest.raises(UserError, match="micro_batch_size is 0"):
        Machine(micro_batch_size=0)


@pytest.mark.parametrize("length", [2, 63, 64, 65, 300])
def test_rows_of_any_length_are_read_in_few_widths_and_cost_the_same(length):
    """A processor's library keeps memory for every width it sees."""
    model, widths = Transformer(dataclasses.replace(make_model().config, context=1024)), []
    model.model.tok_embeddings.register_forward_hook(lambda _module, inputs, _output: widths.append(inputs[0].shape[1]))
    ids_BW = torch.full((1, 1025), PAD)
    ids_BW[0, :length] = torch.arange(60, 60 + length)
    loss = objective().total_loss(model, ids_BW)
    assert widths[0] % 64 == 0 and length - 1 <= widths[0] < length + 63
    torch.testing.assert_close(loss, objective().total_loss(model, ids_BW[:, :length]))
