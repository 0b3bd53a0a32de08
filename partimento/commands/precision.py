"""What `--half` means, for every verb that has it: bfloat16 where the device multiplies it itself, else float32.

dtype = told_dtype(options.device, half=options.half)    # with --half a line on standard error says which
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def told_dtype(device: str, *, half: bool) -> torch.dtype:
    """What to compute in on a device, told to whoever asked for half."""
    import torch

    from partimento.model.precision import computing_dtype, remark

    if not half:
        return torch.float32
    dtype = computing_dtype("auto", torch.device(device))
    print(remark(dtype, torch.device(device)), file=sys.stderr)
    return dtype
