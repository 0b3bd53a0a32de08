"""A language model as a `StableLmForCausalLM` folder, which transformers, vLLM, MLX and llama.cpp's converter read.

Knows: the names and settings under which those engines know this very network, and a tokeniser file that gives every
token a name, since most of them insist on one. Refuses to know: those engines; nothing of them is imported.

    write_stablelm(Path("aria-stablelm"), load("loubb/aria-medium-base", dtype=None))
    # elsewhere: transformers.AutoModelForCausalLM.from_pretrained("aria-stablelm")
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from partimento.errors import UserError
from partimento.files import give_usual_mode
from partimento.model.checkpoint import Checkpoint
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary


def write_stablelm(folder: Path, checkpoint: Checkpoint[Transformer]) -> None:
    """Writes config, weights (in the dtype they are loaded as) and names of tokens into a folder that exists."""
    if isinstance(checkpoint.model, ConditionedTransformer):
        raise UserError(f"{checkpoint.path} is conditioned on embeddings, which StableLM has no place for")
    tensors = {name: tensor.contiguous() for name, tensor in _tensors(checkpoint.model)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    give_usual_mode(folder / "model.safetensors")
    dtype = next(iter(tensors.values())).dtype
    _write_json(folder / "config.json", _config(checkpoint.config, checkpoint.vocabulary, dtype))
    _write_json(folder / "tokenizer.json", _tokenizer(checkpoint.vocabulary))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<S>",
            "eos_token": "<E>",
            "pad_token": "<P>",
            "unk_token": "<U>",
            "model_max_length": checkpoint.config.context,
            "clean_up_tokenization_spaces": False,
        },
    )


def _tensors(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    ours = model.state_dict()
    yield "model.embed_tokens.weight", ours["model.tok_embeddings.weight"]
    for layer in range(model.config.n_layers):
        our, their = f"model.encode_layers.{layer}.", f"model.layers.{layer}."
        for part, weight in zip("qkv", ours[our + "mixed_qkv.weight"].chunk(3), strict=True):
            yield f"{their}self_attn.{part}_proj.weight", weight
        yield their + "self_attn.o_proj.weight", ours[our + "att_proj_linear.weight"]
        for part in ("gate", "up", "down"):
            yield f"{their}mlp.{part}_proj.weight", ours[f"{our}ff_{part}_proj.weight"]
        for parameter in ("weight", "bias"):
            yield f"{their}input_layernorm.{parameter}", ours[f"{our}norm1.{parameter}"]
            yield f"{their}post_attention_layernorm.{parameter}", ours[f"{our}norm2.{parameter}"]
    for parameter in ("weight", "bias"):
        yield f"model.norm.{parameter}", ours[f"model.out_layer_norm.{parameter}"]
    yield "lm_head.weight", ours["lm_head.weight"]


def _config(config: ModelConfig, vocabulary: Vocabulary, dtype: torch.dtype) -> dict[str, Any]:
    name = str(dtype).removeprefix("torch.")
    return {
        "architectures": ["StableLmForCausalLM"],
        "model_type": "stablelm",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_heads,
        "max_position_embeddings": config.context,
        "hidden_act": "silu",
        "layer_norm_eps": config.norm_eps,
        # Engines of different age look for these in different places.
        "rope_theta": config.rope_base,
        "partial_rotary_factor": 1.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base, "partial_rotary_factor": 1.0},
        "use_qkv_bias": False,
        "qk_layernorm": False,
        "use_parallel_residual": False,
        "tie_word_embeddings": False,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "bos_token_id": vocabulary.start,
        "eos_token_id": vocabulary.end,
        "pad_token_id": vocabulary.pad,
        "use_cache": True,
        "torch_dtype": name,
        "dtype": name,
    }


def _tokenizer(vocabulary: Vocabulary) -> dict[str, Any]:
    """Tokens as words without blanks, such as `onset_1000_ms`, that stand between blanks."""
    names = [vocabulary.text_of(id_).replace(" ", "_") for id_ in range(len(vocabulary))]
    specials = (vocabulary.start, vocabulary.end, vocabulary.pad, vocabulary.unknown)
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": id_, "content": names[id_], **plain} for id_ in sorted(specials)],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {name: id_ for id_, name in enumerate(names)}, "unk_token": "<U>"},
    }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
