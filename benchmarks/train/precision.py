"""float32 beside bfloat16 on a processor, with its instructions for bfloat16 and kept from them.

    python -m benchmarks.train.precision [--steps 5] [-o benchmarks/train/precision.md]

Instructions are forbidden by variables that torch's libraries heed (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA), each case
in a process of its own: a product of square matrices, what precision `auto` becomes and how long it takes to find out,
and training steps of the shape `compact` (6 layers of width 512, the piano's vocabulary) on one sequence. Of turns and
steps the fastest counts, in the processor's time, which does not include waiting for other programs (so one thread).
What would take minutes a step is not tried: Muon in a bfloat16 that is computed by way of float32 is estimated from one
product and marked so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.common import Program, again, output_of, publish, table, times
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
TOKENS = 512
SIDE = 512


def seconds(act: Callable[[], object], passes: int) -> float:
    """The processor's time of the fastest of some turns, after one that counts only where it is the only one."""
    return min(times(act, passes, warm_up=passes > 1))


def measured(steps: int) -> dict[str, float | str]:
    """Everything about this process: GFLOP/s of a product and seconds of a step in each precision."""
    device = torch.device("cpu")
    begun = time.process_time()
    native = native_bfloat16(device)
    found: dict[str, float | str] = {"seconds to find out": time.process_time() - begun}
    found["auto"] = str(computing_dtype("auto", device)).removeprefix("torch.")
    tokens = np.random.default_rng(1).integers(len(VOCABULARY) - 600, len(VOCABULARY), (1, TOKENS + 1), dtype=np.int32)
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
            found[key] = seconds(lambda trainer=trainer: trainer.step(tokens, rate=1e-4), 1 if slow else steps)
    return found


def report(results: dict[str, dict[str, float | str]]) -> tuple[str, str]:
    """What was done, and the table."""
    muon = muon_flops(weight.shape for weight in muon_weights(Transformer(SHAPE))) / 1e9
    of_tokens = TOKENS * flops_per_token(SHAPE, length=TOKENS) / 1e9
    rows = []
    for case, found in results.items():
        for precision in PRECISIONS:
            about = "about " if f"step muon {precision} estimated" in found else ""
            cells = case, found["auto"], f"{found['seconds to find out']:.2f} s", precision
            muon_step = f"{about}{found[f'step muon {precision}']:.{0 if about else 2}f}"
            steps = f"{found[f'product {precision}']:.1f}", f"{found[f'step adamw {precision}']:.2f}", muon_step
            rows.append((*cells, *steps))
    said = (
        f"One thread. Product: two matrices of {SIDE} x {SIDE}, GFLOP/s. Step: {TOKENS} tokens through "
        f"{SHAPE.parameters / 1e6:.1f} M parameters (6 layers of width 512), seconds of it; the tokens' products are "
        f"{of_tokens:.0f} GFLOP, Muon's {muon:.0f} more."
    )
    head = ["instructions", "`auto` is", "found out in", "precision", "product", "step, AdamW", "step, Muon"]
    return said, table(head, rows)


def main(words: Sequence[str] | None = None) -> None:
    """Measure every case in a process of its own and write the table."""
    parser = Program(__file__, __doc__, quick="--steps 1 --cases 1")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--cases", type=int, default=len(CASES), help="so many of them")
    parser.add_argument("--one", action="store_true", help="measure this process alone, as JSON")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    if arguments.one:
        print(json.dumps(measured(arguments.steps)))
        return
    results = {}
    for case, variables in list(CASES.items())[: arguments.cases]:
        results[case] = json.loads(output_of(again(__file__, "--one", "--steps", arguments.steps), **variables))
    publish(arguments, "float32 beside bfloat16 on a processor", *report(results))


if __name__ == "__main__":
    main()
