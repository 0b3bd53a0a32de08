"""Everything that continues a run, in a folder that appears whole or not at all.

Knows: weights, moments and random state as sharded safetensors (torch.distributed.checkpoint), the rest as JSON; which
checkpoints stay. Refuses to know: steps, schedules, models for use (`partimento.model.checkpoint` writes those).
Nothing is unpickled. Any number of processes can read what any other number wrote.

    checkpoints = Checkpoints(folder / "checkpoints", keep=2, world=world)
    checkpoints.save(tensors(model, optimisers, world), {"step": 100, ...}, is_best=True)
    header = restore(checkpoints.newest(), model, optimisers, world)
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from partimento.errors import UserError
from partimento.files import replacing
from partimento.train.distributed import World

_HEADER = "state.json"
_BEST = "best.json"


class Checkpoints:
    """The checkpoints of one run: `step-00000100` and so on, the newest `keep` of them and the best one."""

    def __init__(self, folder: Path, *, keep: int, world: World) -> None:
        self.folder, self._keep, self._world = folder, keep, world

    def newest(self) -> Path | None:
        """The checkpoint of the latest step, if there is one."""
        return max(self._all(), default=None)

    def best(self) -> Path | None:
        """The checkpoint that was the best when it was written, and none since."""
        try:
            path = self.folder / json.loads((self.folder / _BEST).read_text(encoding="utf-8"))["checkpoint"]
        except FileNotFoundError:
            return None
        return path if path.is_dir() else None

    def save(self, state: Mapping[str, Tensor], header: Mapping[str, Any], *, is_best: bool) -> None:
        """Writes tensors and JSON, `header["step"]` among it, as one checkpoint; then removes what need not stay.

        Every process calls this with its shards; the main process's header counts.
        """
        name = f"step-{header['step']:08d}"
        temporary = self.folder / f".{name}.tmp"
        if self._world.main:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        self._world.barrier()
        with _quiet():
            save(dict(state), storage_writer=HuggingFaceStorageWriter(str(temporary), save_distributed=True))
        if self._world.main:
            _write_json(temporary / _HEADER, header)
            shutil.rmtree(self.folder / name, ignore_errors=True)
            temporary.rename(self.folder / name)
            if is_best:
                _write_json(self.folder / _BEST, {"checkpoint": name})
            for old in sorted(self._all())[: -self._keep]:
                if old != self.best():
                    shutil.rmtree(old)
        self._world.barrier()

    def _all(self) -> list[Path]:
        return [path.parent for path in self.folder.glob(f"step-*/{_HEADER}")]


def read_header(path: Path) -> dict[str, Any]:
    """The JSON of a checkpoint; a `UserError` if `path` is none."""
    try:
        header: dict[str, Any] = json.loads((path / _HEADER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a checkpoint (no readable {_HEADER}); give a folder step-...") from error
    return header


def tensors(model: nn.Module, optimisers: Sequence[torch.optim.Optimizer], world: World) -> dict[str, Tensor]:
    """What `Checkpoints.save` takes: weights, each weight's state in its optimiser, this process's random state."""
    found = {f"model.{name}": tensor.detach() for name, tensor in model.state_dict().items()}
    for name, parameter, optimiser in _moved(model, optimisers):
        for moment, value in optimiser.state[parameter].items():
            found[f"optimiser.{moment}.{name}"] = value
    return found | {f"random.{world.rank}.{key}": state for key, state in _random_states(world).items()}


def restore(path: Path, model: nn.Module, optimisers: Sequence[torch.optim.Optimizer], world: World) -> dict[str, Any]:
    """Puts weights, moments and, where this process had one, random state back; returns the JSON.

    Raises `UserError` if the checkpoint is damaged or another model's.
    """
    header = read_header(path)
    try:
        saved = HuggingFaceStorageReader(str(path)).read_metadata().state_dict_metadata
        wanted = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        for name, parameter, optimiser in _moved(model, optimisers):
            for key in [key for key in saved if key.startswith("optimiser.") and key.split(".", 2)[2] == name]:
                wanted[key] = optimiser.state[parameter][key.split(".")[1]] = _room(saved[key], parameter)
        random = {f"random.{world.rank}.{key}": state for key, state in _random_states(world).items()}
        wanted |= {key: state for key, state in random.items() if key in saved}
        _check_shapes(path, wanted, saved)
        with _quiet():
            load(wanted, storage_reader=HuggingFaceStorageReader(str(path)))
    except (OSError, SafetensorError, CheckpointException) as error:
        raise UserError(f"{path} is damaged: {error}; resume from another checkpoint") from error
    for key, state in random.items():
        if key in saved:
            _set_random_state(key, state)
    return header


def _moved(
    model: nn.Module, optimisers: Sequence[torch.optim.Optimizer]
) -> list[tuple[str, nn.Parameter, torch.optim.Optimizer]]:
    """Every trained weight with its name and its optimiser."""
    owner = {id(p): o for o in optimisers for group in o.param_groups for p in group["params"]}
    return [(name, p, owner[id(p)]) for name, p in model.named_parameters() if id(p) in owner]


def _room(saved: Any, parameter: nn.Parameter) -> Tensor:
    """Zeros to load into: sharded as the weight if shaped like it, else (a count of steps) whole."""
    if saved.size == parameter.shape:
        return torch.zeros_like(parameter, dtype=saved.properties.dtype, requires_grad=False)
    return torch.zeros(saved.size, dtype=saved.properties.dtype, device=parameter.device)


def _check_shapes(path: Path, wanted: Mapping[str, Tensor], saved: Mapping[str, Any]) -> None:
    for key, tensor in wanted.items():
        there = saved.get(key)
        if not isinstance(there, TensorStorageMetadata) or there.size != tensor.shape:
            what = "is missing" if there is None else f"has shape {list(there.size)}, not {list(tensor.shape)}"
            raise UserError(f"{path} is not of this model: {key} {what}; train into another folder")
    foreign = [key for key in saved if key.startswith("model.") and key not in wanted]
    if foreign:
        raise UserError(f"{path} is not of this model, which has no {foreign[0]}; train into another folder")


def _random_states(world: World) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state(world.device)} if world.device.type == "cuda" else {})


def _set_random_state(key: str, state: Tensor) -> None:
    if key.endswith(".cuda"):
        torch.cuda.set_rng_state(state)
    else:
        torch.set_rng_state(state)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(value) + "\n", encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences torch's remark that a single process is a single process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        yield
