"""What is applied from outside changes neither values nor names. (Sharding: tests/train/test_distributed.py.)"""

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from partimento.model.config import ModelConfig
from partimento.model.heads import Embedder
from partimento.model.parallel import blocks_of, place
from partimento.model.transformer import Transformer

CONFIG = ModelConfig(vocab_size=50, d_model=16, n_heads=2, n_layers=3, d_ff=32, context=8)
IDS_BT = torch.arange(12).reshape(2, 6)


def make(**placing) -> Transformer:
    torch.manual_seed(1)
    model = Transformer(CONFIG)
    place(model, **placing)
    return model


def gradients(model: Transformer) -> dict[str, torch.Tensor]:
    model(IDS_BT).square().sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


# Tracing without generating code shows that the blocks can be compiled and is quick.
@pytest.mark.parametrize(
    "placing",
    [
        {"activation_checkpointing": True},
        {"compiled": True, "backend": "aot_eager"},
        {"compiled": True, "activation_checkpointing": True, "backend": "aot_eager"},
    ],
    ids=["activation_checkpointing", "compiled", "both"],
)
def test_gradients_and_names_stay(placing):
    plain, placed = make(), make(**placing)
    expected, found = gradients(plain), gradients(placed)
    assert list(found) == list(expected)
    assert list(placed.state_dict()) == list(plain.state_dict())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("compiled", [False, True])
def test_recomputing_keeps_less_for_the_backward_pass(compiled):
    def kept(model: Transformer) -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            model(IDS_BT)
        return sum(sizes)

    placing = {"compiled": compiled, "backend": "aot_eager"}
    assert kept(make(activation_checkpointing=True, **placing)) < kept(make(**placing)) / 2


@pytest.mark.parametrize("activation_checkpointing", [False, True])
def test_all_blocks_share_their_compiled_code(activation_checkpointing):
    torch._dynamo.reset()
    counter = CompileCounter()
    make(compiled=True, activation_checkpointing=activation_checkpointing, backend=counter)(IDS_BT)
    assert counter.frame_count == 1


def test_one_code_fits_all_lengths_and_numbers_of_sequences():
    torch._dynamo.reset()
    counter = CompileCounter()
    model = Embedder(CONFIG, size=4)
    place(model, compiled=True, dynamic=True, backend=counter)
    for rows, length in ((2, 6), (3, 8), (2, 5), (5, 7), (4, 4)):
        model(torch.zeros(rows, length, dtype=torch.long), torch.full((rows,), length - 1))
    assert (
        counter.frame_count == 2
    )  # one for the blocks, one for the last of them, which reads one position of each row


def test_blocks_come_in_order():
    assert [block.layer for block in blocks_of(Transformer(CONFIG))] == [0, 1, 2]
