"""Weights of 8 or 4 bits in blocks that share a scale, symmetric about zero.

Knows: the arithmetic, and the layout in which ONNX Runtime's `MatMulNBits` wants it. Refuses to know graphs, files, and
which block suits whom.

    blocks = quantise(weight_NK, 8, block=32, scale_dtype=torch.float16)
    blocks.number_NK, blocks.scale_NJ, blocks.dequantised()

Shape legend: N rows (outputs), K columns (inputs), J blocks of a row, W weights of a block, B bytes of a block; a 1
stands for an axis of that length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Bits = Literal[4, 8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """A quantised matrix: each number stands for itself * the scale of its block of so many columns.

    `number_NK` is int8 [N, K], with 4 bits within -8..7; `scale_NJ` [N, ceil(K / block)] of any float dtype.
    """

    number_NK: Tensor
    scale_NJ: Tensor
    block: int

    def dequantised(self) -> Tensor:
        """The matrix [N, K] that it stands for, float32."""
        rows, columns = self.number_NK.shape
        number_NJW = _in_blocks(self.number_NK, self.block)
        return (number_NJW * self.scale_NJ.float()[..., None]).reshape(rows, -1)[:, :columns].contiguous()

    def packed_NJB(self, bits: Bits) -> Tensor:
        """uint8 as the kernel reads it: 2^(bits - 1) more than the number; of two of 4 bits the first is the lower."""
        packed_NJW = (_in_blocks(self.number_NK, self.block).short() + 2 ** (bits - 1)).to(torch.uint8)
        return packed_NJW if bits == 8 else packed_NJW[..., 0::2] | (packed_NJW[..., 1::2] << 4)


def quantise(weight_NK: Tensor, bits: Bits, *, block: int, scale_dtype: torch.dtype = torch.float32) -> Blocks:
    """Rounds each block of a float32 matrix to the nearest of the numbers its scale allows.

    With 8 bits the largest magnitude of a block becomes 127. With 4 bits, where every step counts, it becomes -8: the
    one number without a counterpart on the other side.
    """
    columns = weight_NK.shape[1]
    weight_NJW = _in_blocks(weight_NK, block)
    extreme_NJ1 = weight_NJW.gather(-1, weight_NJW.abs().argmax(dim=-1, keepdim=True))
    exact_NJ1 = extreme_NJ1.abs() / 127 if bits == 8 else extreme_NJ1 / -8
    scale_NJ1 = exact_NJ1.to(scale_dtype)
    # Numbers are those of the scale as it is stored.
    inverse_NJ1 = torch.where(scale_NJ1 == 0, 0, 1 / scale_NJ1.float())
    least, most = (-127, 127) if bits == 8 else (-8, 7)
    number_NJW = (weight_NJW * inverse_NJ1).round().clamp(least, most).to(torch.int8)
    number_NK = number_NJW.flatten(1)[:, :columns].contiguous()
    return Blocks(number_NK=number_NK, scale_NJ=scale_NJ1.squeeze(-1), block=block)


def _in_blocks(matrix_NK: Tensor, block: int) -> Tensor:
    """[N, J, W], the last block filled with zeros."""
    rows, columns = matrix_NK.shape
    return torch.nn.functional.pad(matrix_NK, (0, -columns % block)).reshape(rows, -1, block)
