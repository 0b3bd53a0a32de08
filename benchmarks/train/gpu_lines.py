"""One line of `gpu.py`, measured in this process and printed as JSON: how fast a GPU works, and what helps.

    python -m benchmarks.train.gpu_lines "medium, cuDNN attention" [--base MODEL] [--stores FOLDER] [--toy]

`pretraining` and `contrastive` are steps of the training loop with the model `--base` on the stores of that folder,
`decoding` is that of the base and of `medium`, all others are optimiser steps of `medium` on random tokens, 16 rows of
8,192 as one GPU of the paper has, which change one thing against the first. Utilisation counts causal attention and
nothing recomputed, of the rated bfloat16 speed, in 8 bits too. `--toy`: small enough for a processor.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from benchmarks.common import Program
from partimento.corpus.loaders.examples import ViewPairLoader
from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.generate.backends.backend import TorchBackend
from partimento.model.checkpoint import load
from partimento.model.config import ModelConfig
from partimento.model.heads import Embedder
from partimento.model.initialisation import random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.infill import Infilling
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.distributed import World, joined
from partimento.train.flops import flops_per_token, peak_flops
from partimento.train.log import read_log
from partimento.train.loop import Trainer, train
from partimento.train.objectives import losses
from partimento.train.objectives.contrastive import Contrastive
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.settings import LoopSettings, Machine

Figures = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a line is measured with; `toy` is small enough for a processor."""

    base: str
    stores: Path
    toy: bool
    world: World

    @property
    def device(self) -> torch.device:
        return self.world.device

    def of(self, real: int, toy: int) -> int:
        return toy if self.toy else real

    def memory(self) -> str:
        used = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else 0
        return f"{used / 2**30:.1f} GiB" if used else "not measured"


# -- the loop on real data --------------------------------------------------------------------------------------------


def pretraining(scene: Scene) -> Figures:
    """The step that took 69.5 ms on one H200 before there was a prefetcher, 4.8 of them for the loader."""
    base, store = load(scene.base), NoteStore(scene.stores / "finetune")
    length, batch, steps = scene.of(4096, 64), scene.of(16, 2), scene.of(60, 8)

    def loader(split: str, **more: Any) -> PackedLoader:
        return PackedLoader(store, base.vocabulary, split, length, batch, 1, streams=4, **more)

    rarely = {"eval_every": steps, "eval_batches": 1, "checkpoint_every": steps}
    settings = LoopSettings(steps=steps, warmup_steps=1, peak_lr=1e-4, optimiser="muon", **rarely)
    with tempfile.TemporaryDirectory() as folder:
        train(
            base.model.to(scene.device),
            Pretraining(base.vocabulary),
            loader=loader("train", transform=Infilling(base.vocabulary, share=0.5)),
            validation=loader("validation"),
            settings=settings,
            folder=Path(folder),
            machine=Machine(compile=not scene.toy),
            world=scene.world,
        )
        log = [line for line in read_log(Path(folder)) if "loss" in line]
    later = log[len(log) // 2 :]
    step = statistics.median(line["seconds"] for line in later)
    waits = [1000 * line["loader_seconds"] for line in later]
    tokens = batch * length / step
    return {
        "step": f"{1000 * step:.1f} ms",
        "waited for the loader": f"{statistics.median(waits):.2f} ms (most {max(waits):.2f})",
        "tokens/s": f"{tokens:,.0f}",
        "utilisation": f"{tokens * flops_per_token(base.config, length=length) / peak_flops(scene.device):.1%}",
        "memory": scene.memory(),
        "first step": f"{log[0]['seconds']:.0f} s",
    }


def contrastive(scene: Scene, *, rows: int, compile: bool = True, activation_checkpointing: bool = False) -> Figures:
    """A step of 64 pairs took 0.35 s with 64 rows at once, not compiled."""
    base, store = load(scene.base), NoteStore(scene.stores / "contrastive")
    length, pairs = scene.of(2048, 128), scene.of(64, 4)
    loader = ViewPairLoader(store, base.vocabulary, "train", length=length, batch=pairs, seed=1)
    model = Embedder(base.config, size=512)
    model.model = base.model.model
    trainer = Trainer(
        model.to(scene.device),
        Contrastive(
            base.vocabulary, micro_batch_size=scene.of(rows, 4), activation_checkpointing=activation_checkpointing
        ),
        LoopSettings(steps=100, warmup_steps=1, peak_lr=1e-5, optimiser="muon"),
        Machine(compile=compile and not scene.toy),
        scene.world,
    )
    seconds, tokens = [], []
    for batch in islice(loader, scene.of(14, 4)):
        tokens.append(sum(int((batch[name] != base.vocabulary.pad).sum()) for name in ("a", "b")))
        seconds.append(timed(partial(trainer.step, batch, rate=1e-6)))
    step = statistics.median(seconds[len(seconds) // 2 :])
    return {
        "step": f"{step:.3f} s",
        "tokens/s without padding": f"{statistics.mean(tokens) / step:,.0f}",
        "memory": scene.memory(),
        "first step": f"{seconds[0]:.0f} s",
    }


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


# -- decoding ---------------------------------------------------------------------------------------------------------


def decoding(scene: Scene, *, medium: bool, graphs: bool) -> Figures:
    """Ids a second of one sequence and of eight behind a prompt; the first id pays for recording."""
    if medium:
        size = "debug" if scene.toy else "medium"
        model = Transformer(ModelConfig.named(size, vocab_size=len(Vocabulary.aria()), context=scene.of(8192, 256)))
        random_initialisation(model, seed=1)
    else:
        model = load(scene.base).model
    dtype = torch.float32 if scene.toy else torch.bfloat16
    backend = TorchBackend(model.to(scene.device, dtype), graphs=graphs and not scene.toy)
    prompt, new = scene.of(1000, 20), scene.of(256, 8)
    figures = {"engine": backend.description}
    for batch in (1, 8):
        cache = backend.cache(batch=batch, capacity=prompt + new + 8)
        backend.read([list(range(60, 60 + prompt))] * batch, cache)
        first = timed(partial(backend.read, [[70]] * batch, cache))
        backend.read([[71]] * batch, cache)
        seconds = timed(lambda rows=batch, held=cache: [backend.read([[72]] * rows, held) for _ in range(new)])
        figures[f"batch {batch}"] = f"{batch * new / seconds:,.0f} tokens/s, {1000 * seconds / new:.2f} ms a token"
        figures[f"first id of {batch}"] = f"{1000 * first:.0f} ms"
    return figures | {"engine": backend.description, "memory": scene.memory()}


# -- medium on random tokens ------------------------------------------------------------------------------------------

Kernel = Literal["any", "flash", "cudnn", "efficient", "math", "flex"]
KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`logits_at_once`: elements of a chunk of the cross entropy; 0: all of them, by torch's own function."""

    compile: bool = True
    autotune: bool = False
    activation_checkpointing: bool = False
    kernel: Kernel = "any"
    logits_at_once: int = 2**26
    fp8: bool = False
    rows: int = 4


def medium(scene: Scene, choice: Choice) -> Figures:
    """Ids a second, utilisation and memory of one choice."""
    torch.set_float32_matmul_precision("high")
    torch._inductor.config.max_autotune = choice.autotune
    losses.LOGITS_AT_ONCE[scene.device.type] = choice.logits_at_once
    choice = replace(choice, compile=choice.compile and not scene.toy, rows=scene.of(choice.rows, 1))
    length, batch, steps = scene.of(8192, 128), scene.of(16, 2), scene.of(4, 2)
    vocabulary = Vocabulary.aria()
    size = "debug" if scene.toy else "medium"
    config = ModelConfig.named(size, vocab_size=len(vocabulary), context=length)
    model = Transformer(config)
    random_initialisation(model, seed=1)
    if choice.fp8:
        for module in model.model.modules():
            if isinstance(module, nn.Linear):
                module.__class__ = Linear8
    trainer = Trainer(
        model.to(scene.device),
        Pretraining(vocabulary) if choice.logits_at_once else AllLogits(vocabulary),
        LoopSettings(steps=2000, precision="float32" if scene.toy else "bfloat16"),
        Machine(
            micro_batch_size=choice.rows,
            compile=choice.compile,
            activation_checkpointing=choice.activation_checkpointing,
        ),
        scene.world,
    )
    low, high = vocabulary.note
    ids_BW = np.random.default_rng(1).integers(low, high, (batch, length + 1)).astype(np.int32)
    with kernel(choice.kernel, length, scene.device):  # a step ends with its loss read back: nothing is left under way
        seconds = [timed(partial(trainer.step, ids_BW, rate=1e-4)) for _ in range(2 + steps)]
    pace = batch * length / statistics.median(seconds[2:])
    return {
        "tokens/s": f"{pace:,.0f}",
        "utilisation": f"{pace * flops_per_token(config, length=length) / peak_flops(scene.device):.1%}",
        "memory": scene.memory(),
        "first step": f"{seconds[0]:.0f} s",
    }


@contextmanager
def kernel(name: Kernel, length: int, device: torch.device) -> Iterator[None]:
    """Attention by this kernel, or else an error."""
    if name != "flex":
        with nullcontext() if name == "any" else sdpa_kernel(KERNELS[name]):
            yield
        return
    mask = create_block_mask(lambda _b, _h, q, k: q >= k, None, None, length, length, device=device.type)
    plain = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = lambda q, k, v, **_causal: flex_attention(q, k, v, block_mask=mask)
    try:
        yield
    finally:
        F.scaled_dot_product_attention = plain


class AllLogits(Pretraining):
    """The plain way, for comparison."""

    def total_loss(self, model: Any, ids_BW: Tensor) -> Tensor:
        logits_BTV = model(ids_BW[:, :-1].long())
        return F.cross_entropy(logits_BTV.flatten(0, 1).float(), ids_BW[:, 1:].flatten().long(), reduction="sum")


class EightBits(torch.autograd.Function):
    """x @ weight.T with all three products of a step in 8 bits, one scale a tensor, scales taken as they are now."""

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, weight_FD: Tensor) -> Tensor:
        ctx.save_for_backward(x_ND, weight_FD)
        return _product(_eight(x_ND, torch.float8_e4m3fn), _eight(weight_FD, torch.float8_e4m3fn))

    @staticmethod
    def backward(ctx: Any, grad_NF: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        x_ND, weight_FD = ctx.saved_tensors
        grad_ND = _product(_eight(grad_NF, torch.float8_e5m2), _eight(weight_FD.T, torch.float8_e4m3fn))
        grad_FD = _product(_eight(grad_NF.T, torch.float8_e5m2), _eight(x_ND.T, torch.float8_e4m3fn))
        return grad_ND, grad_FD


def _eight(matrix: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    scale = torch.finfo(dtype).max / matrix.abs().amax().float().clamp(min=1e-12)
    return (matrix.float() * scale).to(dtype).contiguous(), scale.reciprocal()


def _product(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    return torch._scaled_mm(a[0], b[0].T, scale_a=a[1], scale_b=b[1], out_dtype=torch.bfloat16)


class Linear8(nn.Linear):
    """A linear layer that multiplies in 8 bits."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, -2).to(torch.bfloat16)
        return EightBits.apply(flat, self.weight.to(torch.bfloat16)).unflatten(0, x.shape[:-1])


# -- all of them, the most telling first ------------------------------------------------------------------------------

CHOICES = {
    "medium, compiled, 4 rows at once": Choice(),
    "medium, cuDNN attention": Choice(kernel="cudnn"),
    "medium, cuDNN attention, 8 rows": Choice(kernel="cudnn", rows=8),
    "medium, 8 rows": Choice(rows=8),
    "medium, kernels tuned": Choice(autotune=True),
    "medium, larger chunks of logits": Choice(logits_at_once=2**28),
    "medium, flex attention": Choice(kernel="flex"),
    "medium, blocks in 8 bits": Choice(fp8=True),
    "medium, smaller chunks of logits": Choice(logits_at_once=2**24),
    "medium, 2 rows": Choice(rows=2),
    "medium, activations recomputed, 16 rows": Choice(activation_checkpointing=True, rows=16),
    "medium, activations recomputed": Choice(activation_checkpointing=True),
    "medium, flash attention": Choice(kernel="flash"),
    "medium, memory-efficient attention": Choice(kernel="efficient"),
    "medium, attention by plain products, 1 row": Choice(kernel="math", rows=1),
    "medium, all logits at once": Choice(logits_at_once=0),
    "medium, not compiled": Choice(compile=False),
}
LINES: dict[str, Callable[[Scene], Figures]] = {
    "pretraining": pretraining,
    "contrastive, 16 rows": partial(contrastive, rows=16),
    "contrastive, 16 rows, not compiled": partial(contrastive, rows=16, compile=False),
    "decoding with graphs": partial(decoding, medium=False, graphs=True),
    "decoding without graphs": partial(decoding, medium=False, graphs=False),
    **{name: partial(medium, choice=choice) for name, choice in list(CHOICES.items())[:4]},
    "decoding of medium with graphs": partial(decoding, medium=True, graphs=True),
    "decoding of medium without graphs": partial(decoding, medium=True, graphs=False),
    "contrastive, 64 rows": partial(contrastive, rows=64),
    "contrastive, 8 rows": partial(contrastive, rows=8),
    "contrastive, 64 rows, recomputed": partial(contrastive, rows=64, activation_checkpointing=True),
    **{name: partial(medium, choice=choice) for name, choice in list(CHOICES.items())[4:]},
}


def main(words: Sequence[str] | None = None) -> None:
    """Measure one line."""
    parser = Program(__file__, __doc__, quick="pretraining --toy --base {model} --stores {stores}")
    parser.add_argument("line", choices=LINES)
    parser.add_argument("--base", default="bundled")
    parser.add_argument("--stores", type=Path, default=Path("stores"))
    parser.add_argument("--toy", action="store_true")
    arguments = parser.parse_args(words)
    with joined() as world:
        scene = Scene(base=arguments.base, stores=arguments.stores, toy=arguments.toy, world=world)
        print(json.dumps(LINES[arguments.line](scene)))


if __name__ == "__main__":
    main()
