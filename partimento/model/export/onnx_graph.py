"""The network as an ONNX graph that decodes fast on ONNX Runtime's CPU kernels.

Knows: the operators (`GroupQueryAttention` with rotary positions built in and one buffer for past and present, and
`MatMulNBits` for quantised weights), the order of inputs and outputs, and how large tensors lie in a file beside the
graph. Refuses to know: sessions, sampling, and what the ids mean.

    write_graph(folder, model, Widths.uniform(8))

Inputs: `ids` [B, T] int64; `last` [] int64, how many of the last positions get logits; `length` [B] int32, positions
after this call less one; `total` [] int32, the longest of them; and for each layer `past_key.N` and `past_value.N`
[B, H, C, K], which the caller also binds as the outputs `key.N` and `value.N`. So rolling back is setting the length.
Output: `logits` [B, last, V] float32.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor

from partimento.model.config import ModelConfig
from partimento.model.export.onnx_folder import GRAPH_FILE
from partimento.model.export.quantisation import BLOCK, Bits, quantise
from partimento.model.transformer import Block, Transformer

WEIGHTS_FILE = "model.onnx.data"
_PAGE = 4096  # memory-mapping begins at a page
_INLINE_BYTES = 1024
_OPSET, _MICROSOFT_OPSET, _IR_VERSION = 21, 1, 10
_DOMAIN = "com.microsoft"

Width = Literal[4, 8, 32]
CacheScales = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""For each layer the step of its keys and of its values in an 8-bit cache, one for each channel [D]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Bits of a weight: of each layer's attention and feed-forward matrices, and of the language-model head."""

    attention: tuple[Width, ...]
    feed_forward: tuple[Width, ...]
    head: Width

    @classmethod
    def uniform(cls, width: Width, n_layers: int) -> Widths:
        """The same everywhere."""
        return cls(attention=(width,) * n_layers, feed_forward=(width,) * n_layers, head=width)


def write_graph(folder: Path, model: Transformer, widths: Widths, *, cache_scales: CacheScales | None = None) -> None:
    """Writes `model.onnx` and `model.onnx.data` into a folder that exists, one tensor in memory at a time.

    With `cache_scales` the buffers of keys and values are int8, else float32.
    """
    with _Writer(folder / WEIGHTS_FILE) as out:
        proto = _Builder(model, widths, cache_scales, out).build()
    onnx.save_model(proto, folder / GRAPH_FILE)


class _Writer:
    """Tensors of a graph: small ones inside, large ones at page boundaries of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO
        self.tensors: list[TensorProto] = []

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

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
        where = {"location": WEIGHTS_FILE, "offset": str(self._file.tell()), "length": str(array.nbytes)}
        for key, value in where.items():
            tensor.external_data.add(key=key, value=value)
        self._file.write(np.ascontiguousarray(array).data)
        self.tensors.append(tensor)
        return name


class _Builder:
    """Nodes in order, each named after its output."""

    def __init__(self, model: Transformer, widths: Widths, scales: CacheScales | None, out: _Writer) -> None:
        self._model, self._widths, self._scales, self._out = model, widths, scales, out
        self._config: ModelConfig = model.config
        self._nodes: list[onnx.NodeProto] = []

    def build(self) -> onnx.ModelProto:
        config, decoder = self._config, self._model.model
        cos = self._out.add("rotary.cos", _array(decoder.rotary.cos_PR))
        sin = self._out.add("rotary.sin", _array(decoder.rotary.sin_PR))
        # Half precision holds an embedding trained in bfloat16 exactly, and only a row of it is read for an id.
        table = self._out.add("embeddings", _array(decoder.tok_embeddings.weight).astype(np.float16))
        x = self._node(
            "Cast", [self._node("Gather", [table, "ids"], "embedded.half")], "embedded", to=TensorProto.FLOAT
        )
        for block in decoder.encode_layers:
            assert isinstance(block, Block)
            x = self._block(block, x, cos, sin)
        x = self._last_positions(x)
        x = self._norm(decoder.out_layer_norm, x, "out_norm")
        self._matmul(self._model.lm_head.weight, x, self._widths.head, "logits")
        cache_type = TensorProto.FLOAT if self._scales is None else TensorProto.INT8
        cache_shape: list[str | int] = ["batch", config.n_heads, "capacity", config.head_dim]
        buffers = [f"{part}.{layer}" for layer in range(config.n_layers) for part in ("key", "value")]
        value = helper.make_tensor_value_info
        inputs = [
            value("ids", TensorProto.INT64, ["batch", "new"]),
            value("last", TensorProto.INT64, []),
            value("length", TensorProto.INT32, ["batch"]),
            value("total", TensorProto.INT32, []),
            *(value(f"past_{name}", cache_type, cache_shape) for name in buffers),
        ]
        outputs = [
            value("logits", TensorProto.FLOAT, ["batch", "read", config.vocab_size]),
            *(value(name, cache_type, cache_shape) for name in buffers),
        ]
        graph = helper.make_graph(self._nodes, "partimento", inputs, outputs, self._out.tensors)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_DOMAIN, _MICROSOFT_OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="partimento")

    def _block(self, block: Block, x: str, cos: str, sin: str) -> str:
        layer = block.layer
        name = f"layer.{layer}."
        width = self._widths.attention[layer]
        qkv = self._matmul(block.mixed_qkv.weight, self._norm(block.norm1, x, name + "norm1"), width, name + "qkv")
        mixed = self._attention(layer, qkv, cos, sin, name + "mixed")
        x = self._node(
            "Add", [x, self._matmul(block.att_proj_linear.weight, mixed, width, name + "attended")], name + "x1"
        )
        width = self._widths.feed_forward[layer]
        normed = self._norm(block.norm2, x, name + "norm2")
        gate = self._matmul(block.ff_gate_proj.weight, normed, width, name + "gate")
        up = self._matmul(block.ff_up_proj.weight, normed, width, name + "up")
        silu = self._node("QuickGelu", [gate], name + "silu", domain=_DOMAIN, alpha=1.0)
        hidden = self._node("Mul", [silu, up], name + "hidden")
        return self._node(
            "Add", [x, self._matmul(block.ff_down_proj.weight, hidden, width, name + "down")], name + "x2"
        )

    def _attention(self, layer: int, qkv: str, cos: str, sin: str, name: str) -> str:
        heads = self._config.n_heads
        inputs = [qkv, "", "", f"past_key.{layer}", f"past_value.{layer}", "length", "total", cos, sin]
        attributes: dict[str, Any] = {"num_heads": heads, "kv_num_heads": heads, "do_rotary": 1}
        if self._scales is not None:
            steps = [
                self._out.add(f"{name}.{part}", step) for part, step in zip("kv", self._scales[layer], strict=True)
            ]
            inputs += ["", "", "", *steps]
            attributes |= {"k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL", "kv_cache_bit_width": 8}
        outputs = [name, f"key.{layer}", f"value.{layer}"]
        self._nodes.append(
            helper.make_node("GroupQueryAttention", inputs, outputs, name=name, domain=_DOMAIN, **attributes)
        )
        return name

    def _last_positions(self, x: str) -> str:
        self._out.add("minus_one", np.array([-1], np.int64))
        self._out.add("one", np.array([1], np.int64))
        self._out.add("end", np.array([np.iinfo(np.int64).max], np.int64))
        first = self._node("Mul", [self._node("Reshape", ["last", "one"], "last.flat"), "minus_one"], "last.first")
        return self._node("Slice", [x, first, "end", "one"], "last.x")

    def _norm(self, norm: Any, x: str, name: str) -> str:
        weight = self._out.add(name + ".weight", _array(norm.weight))
        bias = self._out.add(name + ".bias", _array(norm.bias))
        return self._node("LayerNormalization", [x, weight, bias], name, axis=-1, epsilon=self._config.norm_eps)

    def _matmul(self, weight: Tensor, x: str, width: Width, name: str) -> str:
        matrix_NK = _array(weight)
        if width == 32:
            stored = self._out.add(name + ".weight", np.ascontiguousarray(matrix_NK.T))
            return self._node("MatMul", [x, stored], name)
        bits: Bits = width
        blocks = quantise(matrix_NK, bits)
        packed = self._out.add(name + ".weight", blocks.packed_NJB)
        scale = self._out.add(name + ".scale", blocks.scale_NJ)
        shape = {"N": matrix_NK.shape[0], "K": matrix_NK.shape[1], "bits": bits, "block_size": BLOCK}
        # Level 4: activations are rounded to 8 bits as well, block by block, and products are sums of integers.
        return self._node("MatMulNBits", [x, packed, scale], name, domain=_DOMAIN, accuracy_level=4, **shape)

    def _node(self, operator: str, inputs: Iterable[str], name: str, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()
