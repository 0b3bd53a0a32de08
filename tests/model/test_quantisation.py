"""Blocks: rounding errors within what the width allows, rounded once for all, and read by the kernel as by us."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from partimento.export.onnx_graph import BLOCK
from partimento.model.quantisation import quantise


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), columns=st.integers(1, 300), bits=st.sampled_from([4, 8]))
def test_no_weight_moves_by_more_than_the_step_allows(seed, columns, bits):
    rng = np.random.default_rng(seed)
    weight_NK = (rng.standard_normal((5, columns)) * 10 ** rng.uniform(-6, 3)).astype(np.float32)
    size = BLOCK[bits]
    error_NK = np.abs(quantise(torch.from_numpy(weight_NK), bits, block=size).dequantised().numpy() - weight_NK)
    for j in range(0, columns, size):
        block_NB = np.abs(weight_NK[:, j : j + size])
        step_N1 = block_NB.max(axis=1, keepdims=True) / (127 if bits == 8 else 8)
        # The largest magnitude is exact; with 4 bits its opposite lies one whole step off.
        allowed = 0.5001 if bits == 8 else 1.0001
        assert (error_NK[:, j : j + size] <= allowed * step_N1).all()
        assert (error_NK[:, j : j + size].min(axis=1) <= 1e-5 * block_NB.max(axis=1)).all()


def test_a_block_of_zeros_stays_so():
    assert not quantise(torch.zeros(2, 40), 8, block=32).dequantised().any()


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), columns=st.integers(1, 100))
def test_with_scales_of_half_precision_what_was_rounded_is_rounded_no_more(seed, columns):
    rng = np.random.default_rng(seed)
    # Half precision has all its digits for scales above 6e-5, that is where a block reaches 0.008.
    sign_NK = rng.choice([-1, 1], (5, columns))
    weight_NK = torch.from_numpy((sign_NK * 10 ** (rng.uniform(-2, 3) + rng.uniform(0, 1, (5, columns)))).astype("f4"))
    once = quantise(weight_NK, 8, block=32, scale_dtype=torch.float16)
    assert once.scale_NJ.dtype == torch.float16
    step_NK = once.scale_NJ.float().repeat_interleave(32, dim=1)[:, :columns]
    # The largest magnitude of a block may lie beyond 127 steps by what rounds a scale away: 127 / 2^11 of a step.
    assert ((once.dequantised() - weight_NK).abs() <= 0.5001 * step_NK).all()
    again = quantise(once.dequantised(), 8, block=32, scale_dtype=torch.float16)
    assert torch.equal(again.number_NK, once.number_NK)
    assert torch.equal(again.scale_NJ, once.scale_NJ)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("columns", [256, 80])
def test_the_kernel_multiplies_by_the_matrix_we_mean(bits, columns):
    rng = np.random.default_rng(1)
    blocks = quantise(torch.from_numpy(rng.standard_normal((48, columns)).astype(np.float32)), bits, block=BLOCK[bits])
    node = helper.make_node(
        "MatMulNBits",
        ["x", "w", "s"],
        ["y"],
        domain="com.microsoft",
        N=48,
        K=columns,
        bits=bits,
        block_size=BLOCK[bits],
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 48])],
        [
            onnx.numpy_helper.from_array(blocks.packed_NJB(bits).numpy(), "w"),
            onnx.numpy_helper.from_array(blocks.scale_NJ.numpy(), "s"),
        ],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = rng.standard_normal((3, columns)).astype(np.float32)
    [y] = session.run(None, {"x": x})
    np.testing.assert_allclose(y, x @ blocks.dequantised().numpy().T, atol=1e-4, rtol=1e-4)
