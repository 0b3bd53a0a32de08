"""How models read files and compute, for the verbs that have `--slicing`, `--half` and `--device`.

    dtype = told_dtype(options.device, half=options.half)    # with --half a line on standard error says which

`--half` is bfloat16 where the device multiplies it itself, else float32.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from partimento.embed.slicing import SUITING, Slicing

if TYPE_CHECKING:
    import torch

    from partimento.evaluate.encoders import EncoderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """Options of the verbs that evaluate encoders."""

    slicing: Slicing = SUITING
    """Which notes of a file models read; fewer than all of them where time is short."""
    half: bool = False
    """Compute vectors in bfloat16 where the device multiplies it itself, which is faster; elsewhere in float32."""
    device: str = "cpu"
    """Where models run: cpu, cuda, mps."""

    def settings(self) -> EncoderSettings:
        """The same as a value of the package."""
        from partimento.evaluate.encoders import EncoderSettings

        dtype = told_dtype(self.device, half=self.half)
        return EncoderSettings(slicing=self.slicing, dtype=dtype, device=self.device)


def told_dtype(device: str, *, half: bool) -> torch.dtype:
    """What to compute in on a device, told to whoever asked for half."""
    import torch

    from partimento.model.precision import computing_dtype, remark

    if not half:
        return torch.float32
    dtype = computing_dtype("auto", torch.device(device))
    print(remark(dtype, torch.device(device)), file=sys.stderr)
    return dtype
