"""Whether 8-bit weights, which make decoding fast, make embedding fast: beside float32 and bfloat16, with cosines.

    python -m benchmarks.embed.eight_bits MIDI_FOLDER [--slices 100] [--model bundled-embedding] [-o eight_bits.md]

The graph is that of the package (`export/onnx_graph.py`) with another end: vectors, read at <E>. Weights share a scale
in blocks of 128, as for decoding, or of 32; the kernel rounds activations to 8 bits in the same blocks. One thread, so
that what else the machine does is counted as little as can be; times are of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from benchmarks.common import Program, drawn, publish, table
from benchmarks.made_up import scratch
from partimento.embed.encoder import Encoder
from partimento.embed.vectors import unit
from partimento.errors import UserError
from partimento.export import onnx_graph
from partimento.model.checkpoint import load_any

Vectors = np.ndarray


class EncoderGraph(onnx_graph._Builder):
    """Inputs: `ids` [B, T] int64 and `at` [B] int64, where <E> stands; output: `vectors` [B, E]."""

    def build(self) -> onnx.ModelProto:
        model: Any = self._model
        decoder, blocks = model.model, list(model.model.encode_layers)
        for name, number in (("zero", 0), ("one", 1), ("end", np.iinfo(np.int64).max)):
            self._out.add(name, np.array([number], np.int64))
        self._out.add("rotary.cos", onnx_graph._array(decoder.rotary.cos_PR))
        self._out.add("rotary.sin", onnx_graph._array(decoder.rotary.sin_PR))
        self._out.add("embeddings", onnx_graph._array(decoder.tok_embeddings.weight))
        shape = self._node("Shape", ["ids"], "ids.shape")
        batch = self._node("Slice", [shape, "zero", "one"], "ids.batch")
        new = self._node("Cast", [self._node("Slice", [shape, "one", "end"], "ids.new")], "new", to=TensorProto.INT32)
        self._node("Squeeze", [new], "total")
        self._out.add("one.int", np.array([1], np.int32))
        self._node("Expand", [self._node("Sub", [new, "one.int"], "new.last"), batch], "length")
        x = self._node("Gather", ["embeddings", "ids"], "embedded")
        for block in blocks:
            x = self._block(block, x)
        self._out.add("column", np.array([-1, 1], np.int64))
        x = self._node("GatherND", [x, self._node("Reshape", ["at", "column"], "at.index")], "read", batch_dims=1)
        self._matmul(model.emb_head.weight, self._norm(decoder.out_layer_norm, x, "out_norm"), "vectors")
        value = helper.make_tensor_value_info
        inputs = [value("ids", TensorProto.INT64, ["batch", "new"]), value("at", TensorProto.INT64, ["batch"])]
        outputs = [value("vectors", TensorProto.FLOAT, ["batch", len(model.emb_head.weight)])]
        graph = helper.make_graph(self._nodes, "partimento", inputs, outputs, self._out.tensors)
        opsets = [
            helper.make_opsetid("", onnx_graph._OPSET),
            helper.make_opsetid(onnx_graph._DOMAIN, onnx_graph._MICROSOFT_OPSET),
        ]
        return helper.make_model(graph, opset_imports=opsets, ir_version=onnx_graph._IR_VERSION)

    def _attention(self, _layer: int, qkv: str, name: str) -> str:
        return self._attend([qkv, "", "", "length", "total"], [name, f"{name}.key", f"{name}.value"])


def eight_bits(name: str, block: int) -> Callable[[list], Vectors]:
    """Slices one by one through the graph whose weights share a scale in blocks of this many."""
    path, usual = scratch() / f"blocks-{block}.onnx", onnx_graph.BLOCK[8]
    onnx_graph.BLOCK[8] = block
    with path.with_name(f"{path.name}.data").open("wb") as file:
        graph = EncoderGraph(load_any(name).model, 8, None, onnx_graph._Writer(file)).build()
    onnx_graph.BLOCK[8] = usual
    onnx.save_model(graph, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def encode(slices: list) -> Vectors:
        asked = ({"ids": ids[None].astype(np.int64), "at": np.array([len(ids) - 1])} for ids in slices)
        return np.concatenate([session.run(["vectors"], words)[0] for words in asked])

    return encode


def some_slices(encoder: Encoder, folder: Path, count: int) -> list:
    slices: list = []
    for path in drawn(folder):
        try:
            slices += encoder.sequences(path)
        except UserError:
            continue
        if len(slices) >= count:
            break
    return slices[:count]


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{midi} --slices 2")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--model", default="bundled-embedding")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    exact = Encoder.load(options.model)
    half = Encoder.load(options.model, dtype=torch.bfloat16)
    slices = some_slices(exact, options.folder, options.slices)
    ways: dict[str, Callable[[list], Vectors]] = {
        "float32, one slice at a time": lambda some: np.concatenate([exact.encode_sequences([ids]) for ids in some]),
        "float32, batches by length": exact.encode_sequences,
        "bfloat16, batches by length": half.encode_sequences,
        **{f"ONNX Runtime, 8 bits, blocks of {block}": eight_bits(options.model, block) for block in (128, 32)},
    }
    rows, first, vectors = [], 0.0, None
    for name, encode in ways.items():
        encode(slices[:1])
        begun = time.process_time()
        made = encode(slices)
        seconds = time.process_time() - begun
        first, vectors = first or seconds, made if vectors is None else vectors
        cosine = (unit(made) * unit(vectors)).sum(axis=1)
        rate = f"{len(slices) / seconds:.2f}", f"{first / seconds:.2f}"
        rows.append((name, *rate, f"{cosine.min():.5f}", f"{cosine.mean():.5f}"))
        print(*rows[-1], flush=True)
    publish(
        options,
        "Embedding in 8 bits",
        f"{len(slices)} slices of {np.mean(list(map(len, slices))):.0f} tokens on average.",
        table(["way", "slices per processor second", "beside the first", "least cosine", "mean cosine"], rows),
        libraries=["onnxruntime"],
    )


if __name__ == "__main__":
    main()
