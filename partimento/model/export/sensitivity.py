"""Which parts of a model bear weights of 4 bits: measured for each alone, then for as many as may be together.

Knows: the parts that can have widths of their own, and how far rounding one moves the model's distributions on made-up
playing. Refuses to know graphs, and how a width is stored.

    widths = mixed_widths(model, vocabulary)             # minutes for 650 M parameters

Shape legend: T positions, D channels, V vocabulary; a 1 stands for an axis of that length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from partimento.model.export.calibration import made_up_ids
from partimento.model.export.onnx_graph import BLOCK, Width, Widths
from partimento.model.quantisation import quantise
from partimento.model.transformer import Block, Transformer
from partimento.tokens.vocabulary import Vocabulary

MOST_NATS = 0.008  # leaves room for what the 8 bits of the rest cost, so that all stays below 0.01
_POSITIONS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The matrices that share a width: a layer's attention or feed-forward, or the head behind all layers."""

    kind: str
    layer: int
    matrices: tuple[nn.Linear, ...]

    @property
    def name(self) -> str:
        """For people."""
        return self.kind if self.kind == "head" else f"{self.kind.replace('_', '-')} {self.layer}"

    @property
    def weights(self) -> int:
        """How many."""
        return sum(matrix.weight.numel() for matrix in self.matrices)


def parts_of(model: Transformer) -> list[Part]:
    """All of them, in the order in which the network uses them."""
    parts = []
    for layer, block in enumerate(model.model.encode_layers):
        assert isinstance(block, Block)
        parts.append(Part("attention", layer, (block.mixed_qkv, block.att_proj_linear)))
        parts.append(Part("feed_forward", layer, (block.ff_gate_proj, block.ff_up_proj, block.ff_down_proj)))
    return [*parts, Part("head", model.config.n_layers, (model.lm_head,))]


class Yardstick:
    """How far a model has moved from what it was when this was made, on a page of made-up playing."""

    @torch.inference_mode()
    def __init__(self, model: Transformer, vocabulary: Vocabulary) -> None:
        ids_T = torch.from_numpy(made_up_ids(vocabulary)[: min(_POSITIONS, model.config.context)])
        self._model, decoder = model, model.model
        self._before_1TD = [decoder.tok_embeddings(ids_T[None].to(model.lm_head.weight.device))]
        for block in decoder.encode_layers:
            self._before_1TD.append(block(self._before_1TD[-1], decoder.rotary, None, None))
        self._exact_TV = self._logs(model.config.n_layers)

    @torch.inference_mode()
    def nats(self, *, first: int = 0) -> float:
        """Mean KL divergence a token from what it was then, if no layer before `first` has changed."""
        return float((self._exact_TV.exp() * (self._exact_TV - self._logs(first))).sum(dim=1).mean())

    def _logs(self, first: int) -> Tensor:
        decoder, x_1TD = self._model.model, self._before_1TD[first]
        for block in decoder.encode_layers[first:]:
            x_1TD = block(x_1TD, decoder.rotary, None, None)
        return torch.log_softmax(self._model.lm_head(decoder.out_layer_norm(x_1TD))[0].double(), dim=1)


def mixed_widths(
    model: Transformer,
    vocabulary: Vocabulary,
    *,
    most: float = MOST_NATS,
    say: Callable[[str], None] | None = None,
) -> Widths:
    """4 bits in the parts that cost least for what they save, while together they cost at most so many nats; else 8.

    `say` is told what each costs alone, and together. The model is as it was afterwards.
    """
    yardstick, parts = Yardstick(model, vocabulary), parts_of(model)
    alone = {}
    for part in parts:
        with _rounded(part):
            nats = yardstick.nats(first=part.layer)
        alone[part] = nats / part.weights
        if say is not None:
            say(f"4 bits in {part.name}: {nats:.6f} nats a token")
    coarse: set[tuple[str, int]] = set()
    with ExitStack() as stack:
        for part in sorted(parts, key=alone.__getitem__):
            stack.enter_context(_rounded(part))
            nats = yardstick.nats()
            if say is not None:
                say(f"and in {part.name} too: {nats:.6f} nats a token, {'kept' if nats <= most else 'too much'}")
            if nats > most:
                break
            coarse.add((part.kind, part.layer))

    def width(kind: str, layer: int) -> Width:
        return 4 if (kind, layer) in coarse else 8

    layers = range(model.config.n_layers)
    return Widths(
        attention=tuple(width("attention", layer) for layer in layers),
        feed_forward=tuple(width("feed_forward", layer) for layer in layers),
        head=width("head", model.config.n_layers),
    )


@contextmanager
def _rounded(part: Part) -> Iterator[None]:
    """The part's matrices as 4 bits hold them."""
    exact = [matrix.weight.data for matrix in part.matrices]
    for matrix in part.matrices:
        weight = matrix.weight.data
        matrix.weight.data = quantise(weight.float(), 4, block=BLOCK[4]).dequantised().to(weight)
    try:
        yield
    finally:
        for matrix, weight in zip(part.matrices, exact, strict=True):
            matrix.weight.data = weight
