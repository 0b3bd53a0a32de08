"""The log survives interruptions, trackers see what it sees, and curves are drawn from it."""

import sys
import types

import pytest
import torch

from partimento.cli import main
from partimento.errors import UserError
from partimento.train.curves import training_curve, validation_curve
from partimento.train.display import Display
from partimento.train.log import LOG_FILE, RunLog, open_trackers, read_log
from partimento.train.loop import Progress


def write(folder, steps, **options) -> None:
    with RunLog(folder, after_step=steps[0] - 1, **options) as log:
        for step in steps:
            log.write({"step": step, "loss": 10.0 / step, "targets": 100})
        log.write({"step": steps[-1], "validation": {"nats_per_token": 11.0 / steps[-1]}})


def test_later_lines_and_a_torn_one_are_forgotten(tmp_path):
    write(tmp_path, [1, 2, 3, 4])
    with (tmp_path / LOG_FILE).open("a") as file:
        file.write('{"step": 5, "lo')
    write(tmp_path, [3, 4, 5])
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3, 4, 5, 5]
    with pytest.raises(UserError, match="no run there"):
        read_log(tmp_path / "nowhere")


def test_tensorboard_sees_every_number(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(tmp_path, [1, 2], trackers=open_trackers(["tensorboard"], tmp_path, {"name": "debug"}))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = {tag: [(e.step, round(e.value, 4)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert found == {
        "loss": [(1, 10.0), (2, 5.0)],
        "targets": [(1, 100.0), (2, 100.0)],
        "validation/nats_per_token": [(2, 5.5)],
    }


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_hosted_trackers_are_told_the_same(tmp_path, monkeypatch, name):
    # What both packages document: init(project, name, config), log(values, step), finish().
    told = []
    module = types.SimpleNamespace(
        init=lambda **named: told.append(("init", named)),
        log=lambda values, step: told.append((step, values)),
        finish=lambda: told.append("finish"),
    )
    monkeypatch.setitem(sys.modules, name, module)
    write(tmp_path, [1], trackers=open_trackers([name], tmp_path, {"name": "debug"}))
    assert told == [
        ("init", {"project": "partimento", "name": tmp_path.name, "config": {"name": "debug"}}),
        (1, {"loss": 10.0, "targets": 100}),
        (1, {"validation/nats_per_token": 11.0}),
        "finish",
    ]


def test_a_missing_tracker_is_one_line_that_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="--track wandb: wandb is not installed; pip install wandb"):
        open_trackers(["wandb"], tmp_path, {})


def test_curves_are_over_what_was_seen(tmp_path):
    write(tmp_path, list(range(1, 401)))
    records = read_log(tmp_path)
    seen, loss = training_curve(tmp_path, records)
    assert len(seen) == len(loss) == 397
    assert (seen[0], seen[-1]) == (400, 40_000)
    assert loss[0] == pytest.approx((10 + 5 + 10 / 3 + 2.5) / 4)
    assert validation_curve(records) == ([40_000], [11 / 400])


def test_plot_draws_runs_beside_each_other(tmp_path, capsys):
    write(tmp_path / "one", [1, 2, 3])
    write(tmp_path / "two", [1, 2])
    picture = tmp_path / "curves.png"
    assert main(["plot", str(tmp_path / "one"), str(tmp_path / "two"), "-o", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.strip() == str(picture)
    assert main(["plot", str(tmp_path / "one"), "-o", str(picture)]) == 2
    assert "exists already; give --force" in capsys.readouterr().err
    assert main(["plot", str(tmp_path / "one"), "-o", str(picture), "--force"]) == 0
    assert main(["plot", str(tmp_path / "one"), "-o", str(tmp_path / "curves.pdf")]) == 2
    assert "is a .png file" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / LOG_FILE).write_text('{"step": 0, "validation": {}}\n')
    for wrong in ("nowhere", "empty"):
        assert main(["plot", str(tmp_path / wrong), "-o", str(tmp_path / "none.png")]) == 2
    assert main(["plot"]) == 2
    assert not (tmp_path / "none.png").exists()


def test_the_display_says_loss_pace_use_memory_and_time(capsys, monkeypatch):
    how = {"unit": "tokens", "flops_per_target": 1e9, "device": torch.device("cpu")}
    display = Display("debug", **how, processes=1, shown=True)
    progress = Progress(step=5, steps=5, loss=3.25, targets=1000, seconds=0.5, seconds_left=600, criterion=3.5)
    with display:
        display.show(progress)
    line = capsys.readouterr().err
    for part in ("step 5 of 5", "loss 3.250", "2,000 tokens/s", " GB", "10 min left", "validation 3.500"):
        assert part in line
    assert "MFU" not in line  # nobody knows what this processor can do
    monkeypatch.setattr("partimento.train.display.rated_flops", lambda _: 1e13)
    assert ", 20 % MFU, " in display.state(progress)
    with Display("debug", **how, processes=2, shown=False) as silent:
        silent.show(progress)
    assert capsys.readouterr().err == ""
