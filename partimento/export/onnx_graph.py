"""The network as an ONNX graph that decodes fast on ONNX Runtime's CPU kernels.

Knows: the operators (`GroupQueryAttention` with rotary positions built in and one buffer for past and present, and
`MatMulNBits` for quantised weights), the order of inputs and outputs, and how large tensors lie in a file beside the
graph. Refuses to know: sessions, sampling, and what the tokens mean.

    write_graph(folder / "model.onnx", model, 8)

Inputs: `ids` [B, T] int64; `last` [] int64, how many of the last positions get logits; `length` [B] int32, positions
after this call less one; `total` [] int32, the longest of them; and for each layer `past_key.N` and `past_value.N`
[B, H, C, K], which the caller also binds as the outputs `key.N` and `value.N`. So rolling back is setting the length.
Output: `logits` [B, last, V] float32.

Where the buffers have 8 bits there is one more input, `prompt` [1] int64: T if these tokens begin an empty cache, else
0. Beginnings are attended to in float32, several times faster than the kernel for 8 bits does; their keys and values
are the outputs `prompt_key.N` and `prompt_value.N` [B, H, T, K] int8, for the caller to put into the buffers, with
`length` and `total` those of a single position meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BufferedWriter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor

from partimento.model.config import ModelConfig
from partimento.model.quantisation import Bits, quantise
from partimento.model.transformer import Block, Transformer

_PAGE = 4096  # memory-mapping begins at a page
_INLINE_BYTES = 1024
_OPSET, _MICROSOFT_OPSET, _IR_VERSION = 21, 1, 10
_DOMAIN = "com.microsoft"

BLOCK: dict[Bits, int] = {8: 128, 4: 32}
"""Weights that share a scale. With 8 bits longer blocks read a third faster than blocks of 32 and cost next to nothing
(KL 0.00013 for 0.00008 nats, benchmarks/engines); with 4 bits they would cost too much."""

Width = Literal[4, 8, 32]
CacheScales = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""For each layer the step of its keys and of its values in an 8-bit cache, one for each channel [D]."""


def write_graph(path: Path, model: Transformer, width: Width, *, cache_scales: CacheScales | None = None) -> None:
    """Writes the graph to `path` and its weights beside it (`.data` appended), one tensor in memory at a time.

    Matrices have `width` bits a weight. With `cache_scales` the buffers of keys and values are int8, else float32.
    """
    with path.with_name(f"{path.name}.data").open("wb") as file:
        proto = _Builder(model, width, cache_scales, _Writer(file)).build()
    onnx.save_model(proto, path)


class _Writer:
    """Tensors of a graph: small ones inside, large ones at page boundaries of one file."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file = file
        self.tensors: list[TensorProto] = []

    def add(self, name: str, array: NDArray) -> str:
        if array.nbytes <= _INLINE_BYTES:
            self.tensors.append(onnx.numpy_helper.from_array(array, name))
            return name
        self._file.write(bytes(-self._file.tell() % _PAGE))
        tensor = TensorProto(
            name=name,
            dims=array.shape,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            data_location=TensorProto.EXTERNAL,
        )
        where = {"location": Path(self._file.name).name, "offset": str(self._file.tell()), "length": str(array.nbytes)}
        for key, value in where.items():
            tensor.external_data.add(key=key, value=value)
        self._file.write(np.ascontiguousarray(array).data)
        self.tensors.append(tensor)
        return name


class _Builder:
    """Nodes in order, each named after its output."""

    def __init__(self, model: Transformer, width: Width, scales: CacheScales | None, out: _Writer) -> None:
        self._model, self._width, self._scales, self._out = model, width, scales, out
        self._config: ModelConfig = model.config
        self._nodes: list[onnx.NodeProto] = []

    def build(self) -> onnx.ModelProto:
        config, decoder = self._config, self._model.model
        self._lengths()
        self._out.add("rotary.cos", _array(decoder.rotary.cos_PR))
        self._out.add("rotary.sin", _array(decoder.rotary.sin_PR))
        # Half precision holds an embedding trained in bfloat16 exactly, and is nothing beside the rounding of weights.
        table = _array(decoder.tok_embeddings.weight)
        stored = self._out.add("embeddings", table if self._scales is None else table.astype(np.float16))
        x = self._node("Cast", [self._node("Gather", [stored, "ids"], "row")], "embedded", to=TensorProto.FLOAT)
        for block in decoder.encode_layers:
            assert isinstance(block, Block)
            x = self._block(block, x)
        last = self._node("Mul", [self._node("Reshape", ["last", "one"], "last.flat"), "minus_one"], "last.first")
        x = self._cut(x, last, "end", "last.x")
        x = self._norm(decoder.out_layer_norm, x, "out_norm")
        self._matmul(self._model.lm_head.weight, x, "logits")
        cache_type = TensorProto.FLOAT if self._scales is None else TensorProto.INT8
        cache_shape: list[str | int] = ["batch", config.n_heads, "capacity", config.head_dim]
        buffers = [f"{part}.{layer}" for layer in range(config.n_layers) for part in ("key", "value")]
        value = helper.make_tensor_value_info
        prompt = [] if self._scales is None else [value("prompt", TensorProto.INT64, [1])]
        inputs = [
            value("ids", TensorProto.INT64, ["batch", "new"]),
            value("last", TensorProto.INT64, []),
            value("length", TensorProto.INT32, ["batch"]),
            value("total", TensorProto.INT32, []),
            *prompt,
            *(value(f"past_{name}", cache_type, cache_shape) for name in buffers),
        ]
        outputs = [
            value("logits", TensorProto.FLOAT, ["batch", "read", config.vocab_size]),
            *(value(name, cache_type, cache_shape) for name in buffers),
            *(value(f"prompt_{name}", cache_type, cache_shape) for name in buffers if prompt),
        ]
        graph = helper.make_graph(self._nodes, "partimento", inputs, outputs, self._out.tensors)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_DOMAIN, _MICROSOFT_OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="partimento")

    def _block(self, block: Block, x: str) -> str:
        layer = block.layer
        name = f"layer.{layer}."
        qkv = self._matmul(block.mixed_qkv.weight, self._norm(block.norm1, x, name + "norm1"), name + "qkv")
        mixed = self._attention(layer, qkv, name + "mixed")
        x = self._node("Add", [x, self._matmul(block.att_proj_linear.weight, mixed, name + "attended")], name + "x1")
        normed = self._norm(block.norm2, x, name + "norm2")
        gate = self._matmul(block.ff_gate_proj.weight, normed, name + "gate")
        up = self._matmul(block.ff_up_proj.weight, normed, name + "up")
        silu = self._node("QuickGelu", [gate], name + "silu", domain=_DOMAIN, alpha=1.0)
        hidden = self._node("Mul", [silu, up], name + "hidden")
        return self._node("Add", [x, self._matmul(block.ff_down_proj.weight, hidden, name + "down")], name + "x2")

    def _attention(self, layer: int, qkv: str, name: str) -> str:
        past = [f"past_key.{layer}", f"past_value.{layer}"]
        present = [f"key.{layer}", f"value.{layer}"]
        if self._scales is None:
            return self._attend([qkv, *past, "length", "total"], [name, *present])
        # Two attentions, one of which has nothing to do: it gets a single position that is cut off again.
        begun = self._cut(qkv, "zero", "prompt.first", name + ".begun.qkv")
        fresh = [f"{name}.{part}" for part in ("begun", "key", "value")]
        self._attend([begun, "", "", "prompt.length", "prompt.total"], fresh)
        keys_D, values_D = self._scales[layer]
        for part, steps_D in (("key", keys_D), ("value", values_D)):
            self._in_8_bits(f"{name}.{part}", steps_D, f"prompt_{part}.{layer}")
        steps = [self._out.add(f"{name}.{part}", step_D) for part, step_D in (("k", keys_D), ("v", values_D))]
        going_on = self._cut(qkv, "rest.first", "end", name + ".on.qkv")
        self._attend([going_on, *past, "length", "total"], [name + ".on", *present], steps)
        kept = [
            self._cut(fresh[0], "zero", "prompt", name + ".begun.kept"),
            self._cut(name + ".on", "zero", "rest", name + ".on.kept"),
        ]
        return self._node("Concat", kept, name, axis=1)

    def _attend(self, inputs: list[str], outputs: list[str], steps: list[str] | None = None) -> str:
        """`inputs` are queries, keys and values in one, the past's two buffers and the two lengths."""
        qkv, past_key, past_value, length, total = inputs
        heads = self._config.n_heads
        attributes: dict[str, Any] = {"num_heads": heads, "kv_num_heads": heads, "do_rotary": 1}
        named = [qkv, "", "", past_key, past_value, length, total, "rotary.cos", "rotary.sin"]
        if steps is not None:
            named += ["", "", "", *steps]
            attributes |= {"k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL", "kv_cache_bit_width": 8}
        self._nodes.append(
            helper.make_node("GroupQueryAttention", named, outputs, name=outputs[0], domain=_DOMAIN, **attributes)
        )
        return outputs[0]

    def _in_8_bits(self, x: str, step_D: NDArray[np.float32], name: str) -> None:
        """Keys or values [B, H, T, K] as the 8-bit cache holds them."""
        inverse_1H1K = (1 / step_D).reshape(1, self._config.n_heads, 1, self._config.head_dim)
        scaled = self._node("Mul", [x, self._out.add(name + ".inverse", inverse_1H1K)], name + ".scaled")
        self._node("QuantizeLinear", [scaled, "unit", "int8.zero"], name)

    def _lengths(self) -> None:
        """What `prompt` [1] says of the axis of positions: how much of it is a beginning, and how much goes on."""
        for name, number in (("zero", 0), ("one", 1), ("minus_one", -1), ("end", np.iinfo(np.int64).max)):
            self._out.add(name, np.array([number], np.int64))
        if self._scales is None:
            return
        self._out.add("unit", np.array(1, np.float32))
        self._out.add("int8.zero", np.array(0, np.int8))
        shape = self._node("Shape", ["ids"], "ids.shape")
        batch = self._node("Slice", [shape, "zero", "one"], "ids.batch")
        new = self._node("Slice", [shape, "one", "end"], "ids.new")
        first = self._node("Max", ["prompt", "one"], "prompt.first")
        total = self._node("Cast", [first], "prompt.total.flat", to=TensorProto.INT32)
        self._node("Squeeze", [total], "prompt.total")
        last = self._node(
            "Cast", [self._node("Sub", [first, "one"], "prompt.last")], "prompt.last.int", to=TensorProto.INT32
        )
        self._node("Expand", [last, batch], "prompt.length")
        rest = self._node("Sub", [new, "prompt"], "rest")
        self._node("Mul", [self._node("Max", [rest, "one"], "rest.least"), "minus_one"], "rest.first")

    def _cut(self, x: str, first: str, end: str, name: str) -> str:
        """Positions `first` to `end` of [B, T, ...]."""
        return self._node("Slice", [x, first, end, "one"], name)

    def _norm(self, norm: Any, x: str, name: str) -> str:
        weight = self._out.add(name + ".weight", _array(norm.weight))
        bias = self._out.add(name + ".bias", _array(norm.bias))
        return self._node("LayerNormalization", [x, weight, bias], name, axis=-1, epsilon=self._config.norm_eps)

    def _matmul(self, weight: Tensor, x: str, name: str) -> str:
        if self._width == 32:
            stored = self._out.add(name + ".weight", np.ascontiguousarray(_array(weight).T))
            return self._node("MatMul", [x, stored], name)
        bits: Bits = self._width
        blocks = quantise(weight.detach().float().cpu(), bits, block=BLOCK[bits])
        packed = self._out.add(name + ".weight", blocks.packed_NJB(bits).numpy())
        scale = self._out.add(name + ".scale", blocks.scale_NJ.numpy())
        shape = {"N": weight.shape[0], "K": weight.shape[1], "bits": bits, "block_size": BLOCK[bits]}
        # Level 4: activations are rounded to 8 bits as well, block by block, and products are sums of integers.
        return self._node("MatMulNBits", [x, packed, scale], name, domain=_DOMAIN, accuracy_level=4, **shape)

    def _node(self, operator: str, inputs: Iterable[str], name: str, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()
