"""Widths are chosen by what rounding does to the model's distributions, and the model comes out as it went in."""

import json

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from partimento.cli import main
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.export.calibration import made_up_ids
from partimento.model.export.onnx_graph import BLOCK, Widths
from partimento.model.export.sensitivity import Yardstick, mixed_widths
from partimento.model.quantisation import quantise
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

torch.set_num_threads(1)

V = Vocabulary.piano()


@pytest.fixture
def model() -> Transformer:
    """The attention of layer 1 and the feed-forward of layer 0 matter far less than all other parts."""
    torch.manual_seed(5)
    config = ModelConfig(vocab_size=len(V), d_model=64, n_heads=2, n_layers=2, d_ff=96, context=128)
    made = Transformer(config).eval()
    for name, parameter in made.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in name and "weight" in name else 0.0, 0.2)
    with torch.no_grad():
        made.model.encode_layers[1].att_proj_linear.weight *= 0.01
        made.model.encode_layers[0].ff_down_proj.weight *= 0.01
    return made


def test_parts_that_hardly_matter_are_the_first_to_be_coarse(model) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    widths = mixed_widths(model, V, most=0.001)
    assert widths == Widths(attention=(8, 4), feed_forward=(4, 8), head=8)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert mixed_widths(model, V, most=1e9) == Widths.uniform(4, 2)
    assert mixed_widths(model, V, most=0.0) == Widths.uniform(8, 2)


@torch.inference_mode()
@pytest.mark.parametrize("first", [0, 1])
def test_the_yardstick_is_the_divergence_of_whole_passes(model, first: int) -> None:
    ids_1T = torch.from_numpy(made_up_ids(V)[:128])[None]
    exact_TV = F.log_softmax(model(ids_1T)[0].double(), dim=1)
    yardstick = Yardstick(model, V)
    assert yardstick.nats() == pytest.approx(0, abs=1e-9)
    weight = model.model.encode_layers[first].mixed_qkv.weight
    weight.copy_(quantise(weight, 4, block=BLOCK[4]).dequantised())
    moved_TV = F.log_softmax(model(ids_1T)[0].double(), dim=1)
    expected = F.kl_div(moved_TV, exact_TV, reduction="batchmean", log_target=True)
    assert expected > 1e-6
    np.testing.assert_allclose(yardstick.nats(first=first), expected, rtol=1e-4)


def test_an_export_holds_the_widths_it_states(model, tmp_path, capsys) -> None:
    with torch.no_grad():
        model.lm_head.weight *= 0.05  # quiet logits: something may be coarse
    save(tmp_path / "m.safetensors", model, V)
    assert main(["export", str(tmp_path / "m.safetensors"), "--format", "onnx-mixed", "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("4 bits in ") == 5
    stated = json.loads((tmp_path / "out" / "partimento.json").read_text())["bits"]
    assert printed.count("kept") == str(stated).count("4") > 0
    names = {"qkv": "attention", "attended": "attention", "gate": "feed_forward", "up": "feed_forward"}
    for node in onnx.load(tmp_path / "out" / "model.onnx", load_external_data=False).graph.node:
        if node.op_type == "MatMulNBits":
            (bits,) = (attribute.i for attribute in node.attribute if attribute.name == "bits")
            _, *layer, part = node.name.split(".") if "." in node.name else ("", "")
            kind = names.get(part, "feed_forward")
            assert bits == (stated[kind][int(layer[0])] if layer else stated["head"])
