"""float32 beside bfloat16 on a processor, with its instructions for bfloat16 and kept from them.

    python benchmarks/train/precision.py [--steps 5] [-o benchmarks/train/precision.md]

Instructions are forbidden by variables that torch's libraries heed (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA), each case
in a process of its own: a product of square matrices, what precision `auto` becomes and how long it takes to find out,
and training steps of the shape `compact` (6 layers of width 512, the piano's vocabulary) on one sequence. Of turns and
steps the fastest counts, in the processor's time, which does not include waiting for other programs (so one thread).
What would take minutes a step is not tried: Muon in a bfloat16 that is computed by way of float32 is estimated from one
product and marked so.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from partimento.model.config import ModelConfig
from partimento.model.initialisation import musical_initialisation
from partimento.model.precision import computing_dtype, native_bfloat16
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.distributed import ALONE
from partimento.train.flops import flops_per_token, muon_flops
from partimento.train.loop import Trainer
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.optimiser import muon_weights
from partimento.train.settings import AT_ONCE, LoopSettings

CASES = {
    "all instructions": {},
    "AVX-512 without BF16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
PRECISIONS = ("float32", "bfloat16")
VOCABULARY = Vocabulary.piano()
SHAPE = ModelConfig(vocab_size=len(VOCABULARY), d_model=512, n_heads=8, n_layers=6, d_ff=2048, context=512)
IDS = 512
SIDE = 512


def seconds(act: Callable[[], object], times: int) -> float:
    """The processor's time of the fastest of some turns, after one that counts only where it is the only one."""
    taken = []
    for _ in range(times + (times > 1)):
        begun = time.process_time()
        act()
        taken.append(time.process_time() - begun)
    return min(taken[times > 1 :])


def measured(steps: int) -> dict[str, float | str]:
    """Everything about this process: GFLOP/s of a product and seconds of a step in each precision."""
    device = torch.device("cpu")
    begun = time.process_time()
    native = native_bfloat16(device)
    found: dict[str, float | str] = {"seconds to find out": time.process_time() - begun}
    found["auto"] = str(computing_dtype("auto", device)).removeprefix("torch.")
    ids = np.random.default_rng(1).integers(len(VOCABULARY) - 600, len(VOCABULARY), (1, IDS + 1), dtype=np.int32)
    for precision in PRECISIONS:
        slow = precision == "bfloat16" and not native
        factor = torch.ones(SIDE, SIDE, dtype=getattr(torch, precision))
        rate = 2 * SIDE**3 / seconds(lambda factor=factor: factor @ factor, 3 if slow else 20)
        found[f"product {precision}"] = rate / 1e9
        for optimiser in ("adamw", "muon"):
            model = Transformer(SHAPE)
            musical_initialisation(model, VOCABULARY, seed=1)
            settings = LoopSettings(steps=10, warmup_steps=1, optimiser=optimiser, precision=precision)
            muon = muon_flops(weight.shape for weight in muon_weights(model))
            key = f"step {optimiser} {precision}"
            if optimiser == "muon" and muon / rate > 60:
                found[key], found[f"{key} estimated"] = found[f"step adamw {precision}"] + muon / rate, True
                continue
            trainer = Trainer(model, Pretraining(VOCABULARY), settings, AT_ONCE, ALONE)
            found[key] = seconds(lambda trainer=trainer: trainer.step(ids, rate=1e-4), 1 if slow else steps)
    return found


def table(results: dict[str, dict[str, float | str]], processor: str, load: str) -> str:
    """The report."""
    model = Transformer(SHAPE)
    muon = muon_flops(weight.shape for weight in muon_weights(model)) / 1e9
    of_ids = IDS * flops_per_token(SHAPE, length=IDS) / 1e9
    lines = [
        "# float32 beside bfloat16 on a processor",
        "",
        f"{processor}, one thread, torch {torch.__version__}, {datetime.datetime.now(tz=datetime.UTC).date()}; made by "
        f"`benchmarks/train/precision.py`. Product: two matrices of {SIDE} x {SIDE}, GFLOP/s. Step: {IDS} tokens in "
        f"{SHAPE.parameters / 1e6:.1f} M parameters (6 layers of width 512), seconds of it; the tokens' products "
        f"are {of_ids:.0f} GFLOP, Muon's {muon:.0f} more. {load}".strip(),
        "",
        "| instructions | `auto` is | found out in | precision | product | step, AdamW | step, Muon |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, found in results.items():
        for precision in PRECISIONS:
            about = "about " if f"step muon {precision} estimated" in found else ""
            lines.append(
                f"| {case} | {found['auto']} | {found['seconds to find out']:.2f} s | {precision} "
                f"| {found[f'product {precision}']:.1f} | {found[f'step adamw {precision}']:.2f} "
                f"| {about}{found[f'step muon {precision}']:.{0 if about else 2}f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every case in a process of its own and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--processor", default="a processor", help="its name, as it should stand in the table")
    parser.add_argument("--load", default="", help="a note on what else the machine did")
    parser.add_argument("--one", action="store_true", help="measure this process alone, as JSON")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.one:
        print(json.dumps(measured(arguments.steps)))
        return
    results = {}
    for case, variables in CASES.items():
        command = [sys.executable, __file__, "--one", "--steps", str(arguments.steps)]
        done = subprocess.run(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=True)
        results[case] = json.loads(done.stdout)
    text = table(results, arguments.processor, arguments.load)
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
