"""What torch itself has beside what this package wrote: Muon, the loss of a vocabulary, exchange between processes.

    python -m benchmarks.train.libraries STORE [--steps 30] [-o benchmarks/train/libraries.md]

Every figure comes from a process of its own with one thread, so that peaks do not mix; two of them for the exchange.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn import functional as differentiable
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from benchmarks.common import Program, again, output_of, publish, table, times
from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.model.initialisation import musical_initialisation
from partimento.model.parallel import place
from partimento.model.transformer import Transformer
from partimento.train import loop
from partimento.train.distributed import ALONE, joined, whole
from partimento.train.loop import Trainer
from partimento.train.objectives.losses import total_cross_entropy
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.optimiser import make_optimisers, muon_weights, parameter_groups
from partimento.train.recipes.pretraining import pretraining_recipe
from partimento.train.settings import AT_ONCE, LoopSettings, learning_rate

RECIPE = pretraining_recipe("two-cores")
LOSSES = {"bundled": (2_675, 256), "published": (17_727, 512)}
"""Tokens of the vocabulary, channels."""
ROUNDS = 4

Figures = dict[str, Any]


def peak() -> float:
    """The most memory this process had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def median_ms(work: Callable[[], object]) -> float:
    """Milliseconds of the processor."""
    return 1000 * statistics.median(times(work, ROUNDS))


# -- Muon -------------------------------------------------------------------------------------------------------------


def torch_muon(model: nn.Module, settings: LoopSettings) -> list[torch.optim.Optimizer]:
    """`make_optimisers` with torch's Muon for ours."""
    muon = muon_weights(model)
    taken = set(map(id, muon))
    others = parameter_groups([p for p in model.parameters() if id(p) not in taken], settings)
    return [
        torch.optim.AdamW(others, lr=settings.peak_lr, betas=settings.betas, fused=True),
        torch.optim.Muon(muon, lr=settings.peak_lr, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"),
    ]


def optimiser(store: Path, steps: int, way: str, precision: str) -> Figures:
    """Steps of the recipe `two-cores` on the same batches from the same weights; held-out loss after them."""
    loop.make_optimisers = torch_muon if way == "torch" else make_optimisers  # type: ignore[attr-defined]
    vocabulary, notes = RECIPE.make_vocabulary(), NoteStore(store)
    model = Transformer(RECIPE.make_config())
    musical_initialisation(model, vocabulary, seed=1)
    settings = dataclasses.replace(RECIPE.with_steps(steps).loop, precision=precision, eval_batches=8)
    trainer = Trainer(model, Pretraining(vocabulary), settings, AT_ONCE, ALONE)
    training = PackedLoader(notes, vocabulary, "train", RECIPE.length, RECIPE.batch, 1, streams=RECIPE.streams)
    held_out = PackedLoader(notes, vocabulary, "validation", RECIPE.length, RECIPE.batch, 0, augment=False, streams=32)
    seconds = []
    for step in range(1, steps + 1):
        batch, begun = next(training), time.process_time()
        trainer.step(batch, rate=learning_rate(settings, step))
        seconds.append(time.process_time() - begun)
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)
    alone = median_ms(trainer.optimisers[-1].step)
    loss = trainer.measure(held_out)["nats_per_token"]
    return {"step": 1000 * statistics.median(seconds), "optimiser": alone, "loss": loss, "peak": peak()}


# -- the loss of a vocabulary -----------------------------------------------------------------------------------------


def loss(positions: int, size: str, way: str, precision: str) -> Figures:
    """Forward and backward pass of the loss alone; errors of the gradients beside float64."""
    vocabulary, channels = LOSSES[size]
    generator = torch.Generator().manual_seed(1)
    hidden_ND = torch.randn(positions, channels, generator=generator)
    weight_VD = torch.randn(vocabulary, channels, generator=generator) / channels**0.5
    target_N = torch.randint(vocabulary, (positions,), generator=generator)
    target_N[::7] = 0  # padding

    def gradients(dtype: torch.dtype, total: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
        given = [tensor.to(dtype, copy=True).requires_grad_() for tensor in (hidden_ND, weight_VD)]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16" and dtype != torch.float64):
            summed = total(*given)
        summed.backward()
        return [tensor.grad for tensor in given if tensor.grad is not None]

    def ours(hidden_ND: Tensor, weight_VD: Tensor) -> Tensor:
        return total_cross_entropy(hidden_ND, weight_VD, target_N, ignored=0)

    def of_torch(hidden_ND: Tensor, weight_VD: Tensor) -> Tensor:
        if precision == "bfloat16":  # autocast does not know it
            hidden_ND, weight_VD = hidden_ND.bfloat16(), weight_VD.bfloat16()
        options = nn.LinearCrossEntropyOptions()
        return F.linear_cross_entropy(hidden_ND, weight_VD, target_N, reduction="sum", ignore_index=0, options=options)

    def plain(hidden_ND: Tensor, weight_VD: Tensor) -> Tensor:
        return F.cross_entropy(F.linear(hidden_ND, weight_VD), target_N, reduction="sum", ignore_index=0)

    total = {"ours": ours, "torch": of_torch, "plain": plain}[way]
    before = peak()
    milliseconds = median_ms(lambda: gradients(torch.float32, total))
    risen = peak() - before
    errors = [
        ((found.double() - exact).norm() / exact.norm()).item()
        for found, exact in zip(gradients(torch.float32, total), gradients(torch.float64, plain), strict=True)
    ]
    return {"ms": milliseconds, "peak": risen, "error": max(errors)}


# -- exchange between processes ---------------------------------------------------------------------------------------


def sharded_difference(make: Callable[[nn.Module, LoopSettings], list[torch.optim.Optimizer]], shards: int) -> float:
    """By which share of its length Muon's first move of sharded matrices differs from that of whole ones."""
    settings = dataclasses.replace(RECIPE.loop, precision="float32", weight_decay=0.0)
    vocabulary, moved = RECIPE.make_vocabulary(), []
    ids_BT = torch.randint(40, 2000, (1, 64), generator=torch.Generator().manual_seed(1))
    for way in (1, shards):
        model = Transformer(RECIPE.make_config())
        musical_initialisation(model, vocabulary, seed=1)
        before = [weight.detach().clone() for weight in muon_weights(model)]
        place(model, shards=way)
        model(ids_BT).square().mean().backward()
        make(model, settings)[-1].step()
        moved.append(torch.cat([(whole(w) - b).flatten() for w, b in zip(muon_weights(model), before, strict=True)]))
    return ((moved[1] - moved[0]).norm() / moved[0].norm()).item()


def summed_at_the_end(model: nn.Module) -> None:
    """What the package did before it had DDP: one message with all gradients when the backward pass is over."""
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, total in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(total.view_as(gradient))


def exchange() -> Figures:
    """Two processes: rows of everybody with gradients, and the sum of a model's gradients."""
    with joined() as world:
        rows_NE = torch.randn(128, 512, generator=torch.Generator().manual_seed(world.rank))

        def similarity(stack: Callable[[Tensor], Tensor]) -> Tensor:
            given = rows_NE.clone().requires_grad_()
            ((given @ stack(given).T) ** 2).sum().backward()
            assert given.grad is not None
            return given.grad

        def of_torch(rows: Tensor) -> Tensor:
            return torch.cat(differentiable.all_gather(rows))

        figures: Figures = {
            "same": bool(torch.equal(similarity(world.stack), similarity(of_torch))),
            "stack ours": median_ms(lambda: similarity(world.stack)),
            "stack torch": median_ms(lambda: similarity(of_torch)),
        }
        vocabulary = RECIPE.make_vocabulary()
        ids_BW = torch.randint(40, 2000, (1, RECIPE.length + 1), generator=torch.Generator().manual_seed(world.rank))
        objective = Pretraining(vocabulary)
        found = []
        for way in ("ours", "torch"):
            model = Transformer(RECIPE.make_config())
            musical_initialisation(model, vocabulary, seed=1)
            learner = loop.Learner(model, objective).train()
            if way == "torch":
                learner = DistributedDataParallel(learner, gradient_as_bucket_view=True)

            def step(learner: nn.Module = learner, way: str = way) -> None:
                learner.zero_grad(set_to_none=True)
                (learner(ids_BW) / ids_BW.shape[1] * (world.size if way == "torch" else 1)).backward()
                if way == "ours":
                    summed_at_the_end(learner)

            figures[f"step {way}"] = median_ms(step)
            found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        pairs = zip(*found, strict=True)
        figures["gradients differ"] = max(((a - b).norm() / a.norm()).item() for a, b in pairs)
        for way, make in (("ours", make_optimisers), ("torch", torch_muon)):
            figures[f"sharded {way}"] = sharded_difference(make, world.size)
        return figures if dist.get_rank() == 0 else {}


def measured(*words: object, processes: int = 1) -> Figures:
    """What this program prints of one part, in processes of its own with one thread each."""
    command = again(__file__, *words)
    if processes > 1:
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [command[0], *launch, *command[1:]]
    found: Figures = json.loads(output_of(command, OMP_NUM_THREADS="1").splitlines()[-1])
    print(*words, found, flush=True)
    return found


def main(words: Sequence[str] | None = None) -> None:
    """The page, or one part of it."""
    program = Program(__file__, __doc__, quick="{store} --steps 1 --rows 64 --sizes bundled")
    program.add_argument("store", type=Path, help="a note store with a validation split")
    program.add_argument("--steps", type=int, default=30, help="of the optimisers")
    program.add_argument("--rows", type=int, default=2048, help="positions of the loss")
    program.add_argument("--sizes", nargs="+", choices=[*LOSSES], default=[*LOSSES], help="vocabularies of the loss")
    program.add_argument("--part", nargs="+", default=[], help="print the figures of one part: for this program's use")
    arguments = program.parse_args(words)
    torch.set_num_threads(1)
    if arguments.part:
        part, *how = arguments.part
        with redirect_stdout(sys.stderr):
            parts = {
                "muon": partial(optimiser, arguments.store, arguments.steps),
                "loss": partial(loss, arguments.rows),
                "exchange": exchange,
            }
            found = parts[part](*how)
        if found:
            print(json.dumps(found))
        return
    given = (arguments.store, "--steps", arguments.steps, "--rows", arguments.rows, "--part")
    precisions = ("float32", "bfloat16")
    muon = [(way, p, measured(*given, "muon", way, p)) for p in precisions for way in ("ours", "torch")]
    losses = [
        (size, p, way, measured(*given, "loss", size, way, p))
        for size in arguments.sizes
        for p in precisions
        for way in ("ours", "torch", "plain")
    ]
    between = measured(*given, "exchange", processes=2)
    publish(
        arguments,
        "What torch has itself",
        "One thread a process; milliseconds are of the processor.",
        f"**Muon**, {arguments.steps} steps of the recipe `two-cores` on the same batches; torch's is "
        "`torch.optim.Muon` with `match_rms_adamw`, which always iterates in bfloat16. Held out: nats a token after "
        "them.",
        table(
            ["Muon", "precision", "ms a step", "of it Muon", "held out", "peak, GB"],
            [
                (way, p, f"{f['step']:.0f}", f"{f['optimiser']:.0f}", f"{f['loss']:.4f}", f"{f['peak']:.2f}")
                for way, p, f in muon
            ],
        ),
        "With weights sharded over two processes Muon's first move differs from that of whole ones by "
        f"{between['sharded ours']:.0e} of its length with ours, by {between['sharded torch']:.0e} with torch's.",
        "**Loss of a vocabulary**, forward and backward; torch's is `F.linear_cross_entropy` with its own choice of "
        "pieces, plain holds all logits. Error: of the gradients, as a share of their length, beside float64.",
        table(
            ["positions, tokens, channels", "precision", "loss", "ms", "peak rises by, GB", "error"],
            [
                (
                    ", ".join(map(str, (arguments.rows, *LOSSES[size]))),
                    p,
                    way,
                    f"{f['ms']:.0f}",
                    f"{f['peak']:.2f}",
                    f"{f['error']:.1e}",
                )
                for size, p, way, f in losses
            ],
        ),
        "**Between two processes** (gloo): 128 rows of 512 of each, gathered with gradients "
        f"({'the same to the bit' if between['same'] else 'not the same'}; torch's is deprecated for a private "
        "function); and a step of 5.6 M parameters whose gradients are summed, by DDP or by one message at the end "
        f"(which differ by {between['gradients differ']:.0e}).",
        table(
            ["", "by hand, ms", "torch, ms"],
            [
                ("gathered rows", f"{between['stack ours']:.1f}", f"{between['stack torch']:.1f}"),
                ("step", f"{between['step ours']:.0f}", f"{between['step torch']:.0f}"),
            ],
        ),
    )


if __name__ == "__main__":
    main()
