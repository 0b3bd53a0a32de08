"""What a run writes down: a line of JSON for every step and every measurement, and the same for an experiment tracker.

Knows: the log file and how it survives a kill, three trackers by name. Refuses to know: what the numbers mean.

    with RunLog(folder, after_step=0, trackers=open_trackers(["tensorboard"], folder, {})) as log:
        log.write({"step": 1, "loss": 7.9})
        log.write({"step": 1, "validation": {"nats_per_token": 7.8}})
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Literal, Protocol

from partimento.errors import UserError
from partimento.files import replacing

LOG_FILE = "log.jsonl"

TrackerName = Literal["tensorboard", "wandb", "trackio"]


class Tracker(Protocol):
    """Somewhere else to look at a run."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Named values of a step."""
        ...

    def close(self) -> None:
        """No more values follow."""
        ...


class RunLog:
    """Appends to `log.jsonl` in the run's folder, a line at once, after those of `after_step` and before."""

    def __init__(self, folder: Path, *, after_step: int, trackers: Sequence[Tracker] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _forget_after(folder / LOG_FILE, after_step)
        self._file = (folder / LOG_FILE).open("a", encoding="utf-8", buffering=1)
        self._trackers = trackers

    def write(self, record: Mapping[str, Any]) -> None:
        """One line; its `step` and its numbers, those of a nested mapping named like `validation/nats_per_token`."""
        self._file.write(json.dumps(record) + "\n")
        values = dict(_numbers(record, ""))
        for tracker in self._trackers:
            tracker.log({name: value for name, value in values.items() if name != "step"}, record["step"])

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        for tracker in self._trackers:
            tracker.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's log; a `UserError` if there is none."""
    try:
        lines = (folder / LOG_FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as error:
        raise UserError(
            f"{folder}: no run there (no readable {LOG_FILE}); give the folder of a training run"
        ) from error
    return [json.loads(line) for line in lines if line.endswith("}\n")]


def open_trackers(names: Sequence[TrackerName], folder: Path, settings: Mapping[str, Any]) -> list[Tracker]:
    """The trackers of these names; a `UserError` with the command that installs one that is missing."""
    return [_OPENERS[name](folder, settings) for name in names]


class _TensorBoard:
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        _imported("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._writer.add_text("settings", "```\n" + json.dumps(settings, indent=2) + "\n```")

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Hosted:
    """wandb, and trackio, which has the same three functions."""

    def __init__(self, module: ModuleType, folder: Path, settings: Mapping[str, Any]) -> None:
        self._module = module
        module.init(project="partimento", name=folder.name, config=dict(settings))

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._module.log(dict(values), step=step)

    def close(self) -> None:
        self._module.finish()


def _hosted(name: str) -> Any:
    return lambda folder, settings: _Hosted(_imported(name), folder, settings)


_OPENERS: dict[TrackerName, Any] = {
    "tensorboard": _TensorBoard,
    "wandb": _hosted("wandb"),
    "trackio": _hosted("trackio"),
}


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"--track {name}: {name} is not installed; pip install {name}") from error


def _numbers(record: Mapping[str, Any], prefix: str) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            found.append((prefix + name, value))
    return found


def _forget_after(path: Path, step: int) -> None:
    """Drops the lines of steps that a killed run took after its last checkpoint, and a line it did not finish."""
    if not path.exists():
        return
    kept = [record for record in read_log(path.parent) if record["step"] <= step]
    with replacing(path) as part:
        part.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
