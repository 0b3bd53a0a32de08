"""How models read files and compute, for the verbs that have `--slicing`, `--half` and `--device`.

    dtype = told_dtype(options.device, half=options.half)    # with --half a line on standard error says which

`--half` is bfloat16 where the device multiplies it itself, else float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from partimento.commands.common.options import Device, Half, VerbOptions
from partimento.embed.slicing import SUITING, Slicing

if TYPE_CHECKING:
    import torch

    from partimento.evaluate.encoders import EncoderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions(VerbOptions):
    """Options of the verbs that evaluate encoders."""

    slicing: Slicing = SUITING
    """Which notes of a file are read."""
    half: Half = False
    device: Device = None

    def settings(self) -> EncoderSettings:
        """The same as a value of the package."""
        from partimento.evaluate.encoders import EncoderSettings

        device = best_device(self.device)
        dtype = told_dtype(device, half=self.half, say=self.remark)
        return EncoderSettings(slicing=self.slicing, dtype=dtype, device=device)


def best_device(asked: str | None) -> str:
    """What was asked for, else the GPU if there is one."""
    import torch

    return asked or ("cuda" if torch.cuda.is_available() else "cpu")


def told_dtype(device: str, *, half: bool, say: Callable[[str], None]) -> torch.dtype:
    """What to compute in on a device, told to whoever asked for half."""
    import torch

    from partimento.model.precision import computing_dtype, remark

    if not half:
        return torch.float32
    dtype = computing_dtype("auto", torch.device(device))
    say(remark(dtype, torch.device(device)))
    return dtype
