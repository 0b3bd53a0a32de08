"""How much memory the cross entropy of the paper's batch needs: 16 rows of 8,192 tokens over 17,727.

    python -m benchmarks.train.loss_memory [--rows 16] [-o benchmarks/train/loss_memory.md]

Forward and backward pass of the loss alone, from hidden states of few channels, so that what is seen is the logits. The
figure is how far the process's peak rises above what it held before; the plain loss runs on one row only, since all
rows would need sixteen times its figure.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from benchmarks.common import Program, again, output_of, publish, table
from partimento.train.objectives.losses import total_cross_entropy

VOCABULARY, CHANNELS = 17_727, 16


def rise(way: str, rows: int, length: int) -> float:
    """Gigabytes above what was held before, in this process."""
    torch.set_num_threads(1)
    hidden_ND = torch.randn(rows * length, CHANNELS, requires_grad=True)
    weight_VD = torch.randn(VOCABULARY, CHANNELS, requires_grad=True)
    target_N = torch.randint(VOCABULARY, (rows * length,))
    total_cross_entropy(hidden_ND[:8], weight_VD, target_N[:8], ignored=-1).backward()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if way == "chunked":
        loss = total_cross_entropy(hidden_ND, weight_VD, target_N, ignored=-1)
    else:
        loss = F.cross_entropy(F.linear(hidden_ND, weight_VD), target_N, reduction="sum")
    loss.backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e9


def main(words: Sequence[str] | None = None) -> None:
    """Each way in a process of its own, since a peak never falls."""
    parser = Program(__file__, __doc__, quick="--rows 2 --length 256")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--length", type=int, default=8192)
    parser.add_argument("--one", choices=["chunked", "plain"], help="measure one way here and print the figure")
    arguments = parser.parse_args(words)
    if arguments.one:
        print(rise(arguments.one, arguments.rows, arguments.length))
        return
    cells = []
    for way, rows in (("chunked", arguments.rows), ("chunked", 1), ("plain", 1)):
        command = again(__file__, "--one", way, "--rows", rows, "--length", arguments.length)
        logits = 4 * rows * arguments.length * VOCABULARY / 1e9
        found = float(output_of(command))
        cells.append((way, f"{rows} x {arguments.length}", f"{logits:.1f} GB", f"{found:.2f} GB"))
        print(*cells[-1], flush=True)
    publish(
        arguments,
        "Memory of the loss",
        f"{VOCABULARY:,} tokens in the vocabulary, float32 on a processor.",
        table(["loss", "tokens", "all logits would be", "peak rises by"], cells),
    )


if __name__ == "__main__":
    main()
