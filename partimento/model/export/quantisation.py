"""Weights of 8 or 4 bits in blocks that share a scale, symmetric about zero.

Knows: the arithmetic, and the layout in which ONNX Runtime's `MatMulNBits` wants it. Refuses to know graphs and files.

    blocks = quantise(weight_NK, bits=8)
    blocks.packed_NJB, blocks.scale_NJ

Shape legend: N rows (outputs), K columns (inputs), J blocks of a row, B bytes of a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bits = Literal[4, 8]

BLOCK: dict[Bits, int] = {8: 128, 4: 32}
"""Weights that share a scale. With 8 bits longer blocks read a third faster than blocks of 32 and cost next to nothing
(KL 0.00013 for 0.00008 nats, benchmarks/engines); with 4 bits they would cost too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """A quantised matrix. A stored number stands for (itself - 2^(bits - 1)) * scale; of two 4-bit ones in a byte the
    first is the lower. `columns` is K, of which the last block may hold less than its share.
    """

    packed_NJB: NDArray[np.uint8]
    scale_NJ: NDArray[np.float32]
    bits: Bits
    columns: int

    def dequantised(self) -> NDArray[np.float32]:
        """The matrix [N, K] that it stands for."""
        packed = self.packed_NJB
        if self.bits == 4:
            packed = np.stack((packed & 15, packed >> 4), axis=-1).reshape(*packed.shape[:2], -1)
        centred_NJB = packed.astype(np.float32) - 2 ** (self.bits - 1)
        whole_NK = (centred_NJB * self.scale_NJ[..., None]).reshape(len(packed), -1)
        return np.ascontiguousarray(whole_NK[:, : self.columns])


def quantise(weight_NK: NDArray[np.float32], bits: Bits) -> Blocks:
    """Rounds each block to the nearest of the numbers its scale allows.

    With 8 bits the largest magnitude of a block becomes 127. With 4 bits, where every step counts, it becomes -8: the
    one number without a counterpart on the other side.
    """
    rows, columns = weight_NK.shape
    padded_NK = np.pad(weight_NK, ((0, 0), (0, -columns % BLOCK[bits])))
    block_NJB = padded_NK.reshape(rows, -1, BLOCK[bits])
    at_NJ1 = np.abs(block_NJB).argmax(axis=-1, keepdims=True)
    extreme_NJ1 = np.take_along_axis(block_NJB, at_NJ1, axis=-1)
    scale_NJ1 = np.abs(extreme_NJ1) / 127 if bits == 8 else extreme_NJ1 / -8
    inverse_NJ1 = np.divide(1.0, scale_NJ1, out=np.zeros_like(scale_NJ1), where=scale_NJ1 != 0)
    middle = 2 ** (bits - 1)
    numbers_NJB = np.clip(np.rint(block_NJB * inverse_NJ1) + middle, 0, 2 * middle - 1).astype(np.uint8)
    if bits == 4:
        numbers_NJB = numbers_NJB[..., 0::2] | (numbers_NJB[..., 1::2] << 4)
    return Blocks(packed_NJB=numbers_NJB, scale_NJ=scale_NJ1[..., 0].astype(np.float32), bits=bits, columns=columns)
