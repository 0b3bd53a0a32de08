"""MERT from a folder of the published layout, with small random weights."""

import json

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertModel

from partimento import Performance, UserError
from partimento.evaluate.baselines.mert import heard, mert


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    small = HubertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(16, 16),
        conv_stride=(20, 16),
        conv_kernel=(20, 16),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    return HubertModel(small).eval()


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    """As it is published: a kind of its own, and code beside it, which must not run."""
    folder = tmp_path_factory.mktemp("MERT")
    network.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mert_model", "feature_extractor_cqt": False, "deepnorm": False}
    config |= {"auto_map": {"AutoModel": "modeling_MERT.MERTModel"}, "architectures": ["MERTModel"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_MERT.py").write_text("raise SystemExit('this must not run')")
    return folder


def test_a_files_vector_is_the_mean_over_time_pieces_and_layers(folder, network, tmp_path):
    music = Performance.from_notes(pitch=[60, 64], velocity=[80, 70], onset=[0.0, 5.5], duration=[1.0, 1.2])
    music.write_midi(tmp_path / "a.mid")
    sound = heard(Performance.from_midi(tmp_path / "a.mid").render())
    assert 5 * 24_000 + 24_000 <= len(sound) < 10 * 24_000
    with torch.inference_mode():
        split = [torch.from_numpy(part)[None] for part in (sound[: 5 * 24_000], sound[5 * 24_000 :])]
        means = [
            torch.stack([layer.mean(1)[0] for layer in network(part, output_hidden_states=True).hidden_states]).mean(0)
            for part in split
        ]
    vectors = mert(folder)([tmp_path / "a.mid"])
    assert vectors.shape == (1, 32)
    assert np.allclose(vectors[0], ((means[0] + means[1]) / 2).numpy(), atol=1e-5)


def test_sound_is_heard_at_half_the_rate_with_mean_0_and_variance_1():
    times = np.arange(48_000) / 48_000
    tone = np.stack([np.sin(2 * np.pi * 440 * times)] * 2, axis=1).astype(np.float32)
    mono = heard(tone)
    assert mono.shape == (24_000,)
    assert abs(mono.mean()) < 1e-3
    assert abs(mono.std() - 1) < 1e-3
    assert np.argmax(np.abs(np.fft.rfft(mono))) == 440


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"model_type": "bert"}, "not of MERT"), ({"feature_extractor_cqt": True}, "CQT"), (None, "no config")],
)
def test_another_kind_of_model_is_refused(folder, tmp_path, changed, said):
    if changed is not None:
        config = json.loads((folder / "config.json").read_text()) | changed
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=said):
        mert(tmp_path)


def test_weights_that_lack_some_are_refused(network, folder, tmp_path):
    state = {name: tensor for name, tensor in network.state_dict().items() if "layers.1.attention" not in name}
    network.save_pretrained(tmp_path, state_dict=state)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(UserError, match=r"the weights lack encoder\.layers\.1\.attention"):
        mert(tmp_path)
