"""How much memory the cross entropy of the paper's batch needs: 16 rows of 8,192 tokens over 17,727.

    python benchmarks/train/loss_memory.py [--rows 16] [-o benchmarks/train/loss_memory.md]

Forward and backward pass of the loss alone, from hidden states of few channels, so that what is seen is the logits. The
figure is how far the process's peak rises above what it held before; the plain loss runs on one row only, since all
rows would need sixteen times its figure.
"""

from __future__ import annotations

import argparse
import datetime
import resource
import subprocess
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

from partimento.train.objectives.losses import total_cross_entropy

LENGTH, VOCABULARY, CHANNELS = 8192, 17_727, 16


def rise(way: str, rows: int) -> float:
    """Gigabytes above what was held before, in this process."""
    torch.set_num_threads(1)
    hidden_ND = torch.randn(rows * LENGTH, CHANNELS, requires_grad=True)
    weight_VD = torch.randn(VOCABULARY, CHANNELS, requires_grad=True)
    target_N = torch.randint(VOCABULARY, (rows * LENGTH,))
    total_cross_entropy(hidden_ND[:8], weight_VD, target_N[:8], ignored=-1).backward()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if way == "chunked":
        loss = total_cross_entropy(hidden_ND, weight_VD, target_N, ignored=-1)
    else:
        loss = F.cross_entropy(F.linear(hidden_ND, weight_VD), target_N, reduction="sum")
    loss.backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e9


def main() -> None:
    """Each way in a process of its own, since a peak never falls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--one", choices=["chunked", "plain"], help="measure one way here and print the figure")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    if arguments.one:
        print(rise(arguments.one, arguments.rows))
        return
    lines = []
    for way, rows in (("chunked", arguments.rows), ("chunked", 1), ("plain", 1)):
        command = [sys.executable, __file__, "--one", way, "--rows", str(rows)]
        found = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        lines.append(f"| {way} | {rows} x {LENGTH} | {4 * rows * LENGTH * VOCABULARY / 1e9:.1f} GB | {found:.2f} GB |")
        print(lines[-1], flush=True)
    text = "\n".join(
        [
            "# Memory of the loss",
            "",
            f"{VOCABULARY:,} tokens, float32 on a processor, torch {torch.__version__}, "
            f"{datetime.datetime.now(tz=datetime.UTC).date()}.",
            "",
            "| loss | tokens | all logits would be | peak rises by |",
            "|---|---|---|---|",
            *lines,
            "",
        ]
    )
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
