"""Exports are read by those they are for, and arrive on the hub as they were written."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from partimento.cli import main
from partimento.model.checkpoint import load, load_any, save
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from tests.model.hub_server import serve
from tests.model.published import write

IDS_BT = torch.randint(0, 2675, (2, 70), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def published(tmp_path):
    return write(tmp_path / "published.safetensors")


@torch.inference_mode()
def test_transformers_reads_stablelm_plainly_and_agrees(tmp_path, published):
    assert main(["export", str(published), "--format", "stablelm", "-o", str(tmp_path / "out")]) == 0
    theirs, notes = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(notes.values())
    ours_BTV = load(published).model(IDS_BT)
    assert ours_BTV.std() > 0.1
    torch.testing.assert_close(theirs(IDS_BT).logits, ours_BTV, atol=1e-4, rtol=1e-4)
    written = theirs.generate(IDS_BT[:, :5], max_new_tokens=5, do_sample=False)
    assert written.shape == (2, 10)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["language model", "embedding model", "classifier"])
def test_a_model_of_8_bits_is_the_same_model_everywhere(tmp_path, kind, capsys):
    path, eight = write(tmp_path / "floats.safetensors", kind), tmp_path / "8" / "model.safetensors"
    assert main(["export", str(path), "--format", "partimento-int8", "-o", str(tmp_path / "8")]) == 0
    assert eight.stat().st_size < 0.31 * path.stat().st_size
    assert main(["info", str(tmp_path / "8")]) == 0
    assert "tensors of int8" in capsys.readouterr().out
    exact, rounded = load_any(path), load_any(eight)
    assert type(rounded.model) is type(exact.model)
    for name, tensor in exact.model.state_dict().items():
        torch.testing.assert_close(rounded.model.state_dict()[name], tensor, atol=0.005 * tensor.abs().max(), rtol=0)
    assert main(["export", str(eight), "--format", "partimento", "-o", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == eight.read_bytes()
    if kind == "language model":
        assert main(["export", str(eight), "--format", "stablelm", "-o", str(tmp_path / "out")]) == 0
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
        torch.testing.assert_close(theirs(IDS_BT).logits, rounded.model(IDS_BT), atol=1e-4, rtol=1e-4)


def test_every_id_has_a_name_of_its_own_there(tmp_path):
    path = write(tmp_path / "half.safetensors", dtype=torch.bfloat16)
    assert main(["export", str(path), "--format", "stablelm", "-o", str(tmp_path / "out")]) == 0
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = list(range(len(Vocabulary.piano())))
    names = tokenizer.convert_ids_to_tokens(ids)
    assert tokenizer(" ".join(names), add_special_tokens=False)["input_ids"] == ids
    ours = Tokenizer.from_pretrained(tmp_path / "out")
    assert ours.vocabulary == Vocabulary.piano()
    rows = [[1, 2, 3], [], [4, 5]]
    theirs = tokenizer.pad({"input_ids": rows}, padding_side="right")
    assert {name: array.tolist() for name, array in ours.pad(rows).items()} == dict(theirs)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").dtype == torch.bfloat16  # as the file


@pytest.mark.parametrize("kind", ["embedding model", "embedding-conditioned language model"])
def test_only_language_models_become_stablelm(tmp_path, kind, capsys):
    path = write(tmp_path / "other.safetensors", kind)
    assert main(["export", str(path), "--format", "stablelm", "-o", str(tmp_path / "out")]) == 2
    assert "embedding" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["other.safetensors"]


@pytest.mark.parametrize("kind", ["language model", "embedding model", "classifier"])
def test_what_is_pushed_can_be_loaded_by_its_name(tmp_path, monkeypatch, capsys, kind):
    path = write(tmp_path / "model.safetensors", kind)
    stored = load_any(path)
    save(path, stored.model, stored.vocabulary, labels=["bach", "liszt"], licence="CC BY 4.0")
    arguments = ["export", str(path), "--format", "partimento", "-o", str(tmp_path / "out"), "--push", "me/mine"]
    monkeypatch.setenv("HF_TOKEN", "secret")
    with serve(monkeypatch, tmp_path / "cache") as hub:
        assert main([*arguments, "--private"]) == 0
        assert "/me/mine/commit/" in capsys.readouterr().out
        assert set(hub.files["me/mine"]) == {"README.md", "model.safetensors", "vocabulary.json"}
        assert hub.created[0]["visibility"] == "private"
        again = load_any("me/mine")
    assert type(again.model) is type(stored.model)
    assert again.metadata == {"labels": ["bach", "liszt"], "licence": "CC BY 4.0"}
    for name, tensor in stored.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)
    card = hub.files["me/mine"]["README.md"].decode()
    assert card.startswith('---\nlicense: "cc-by-4.0"\n')
    assert 'load_any("me/mine")' in card
    assert stored.kind in card


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path, monkeypatch, published, capsys):
    with serve(monkeypatch, tmp_path / "cache"):
        pass
    arguments = ["export", str(published), "--format", "partimento", "-o", str(tmp_path / "out"), "--push", "me/mine"]
    assert main(arguments) == 2
    assert "cannot be reached; me/mine was not pushed" in capsys.readouterr().err
    arguments[-1] = "a name"
    assert main([*arguments, "--force"]) == 2
    assert "give owner/name" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["export", "continue"])
def test_a_format_that_went_is_refused_in_one_line(tmp_path, published, capsys, command):
    flag = ["--format", "onnx-mixed"] if command == "export" else ["--engine", "onnx-mixed"]
    assert main([command, str(published), *flag, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "onnx-mixed" in error and "onnx-int8" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_export_is_replaced_only_when_that_is_asked_for(tmp_path, published, capsys):
    out = tmp_path / "out"
    export = ["export", str(published), "-o", str(out), "--format"]
    assert main([*export, "stablelm"]) == 0
    assert main([*export, "partimento"]) == 2
    assert "exists already; give --force" in capsys.readouterr().err
    assert main([*export, "partimento", "--force"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "model.safetensors", "vocabulary.json"]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["out"]


def test_info_tells_what_a_model_is(tmp_path, published, capsys):
    assert main(["info", str(published), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["parameters"] == sum(p.numel() for p in load(published).model.parameters())
    assert (facts["kind"], facts["dtype"], facts["licence"]) == ("language model", "float32", None)
    assert facts["shape"]["context"] == 8192
    assert facts["vocabulary"] == {"ids": 2675, "instruments": ["piano"]}
    assert facts["bytes"] == published.stat().st_size
    assert main(["info", str(write(tmp_path / "c.safetensors", "classifier", dtype=torch.bfloat16))]) == 0
    shown = capsys.readouterr().out
    assert "classifier, 7 outputs" in shown
    assert "tensors of bfloat16" in shown
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert "27,918,336 in 58 tensors of int8" in shown
    assert "29.7 MB, 8.5 bits a parameter" in shown
    assert "CC-BY-NC-SA-4.0" in shown
    assert main(["info", "no/model.safetensors"]) == 2
