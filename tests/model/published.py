"""Files as the authors publish them: tensors under their names, nothing in the header; small, with random weights."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

D_MODEL, LAYERS, D_FF = 128, 2, 96


def tensors(vocab_size: int, *, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Everything below the heads, as the compatibility notes list it; not taken from our own network."""
    shapes = {"model.tok_embeddings.weight": (vocab_size, D_MODEL)}
    for layer in range(LAYERS):
        shapes |= {
            f"model.encode_layers.{layer}.{name}": shape
            for name, shape in {
                "mixed_qkv.weight": (3 * D_MODEL, D_MODEL),
                "att_proj_linear.weight": (D_MODEL, D_MODEL),
                "ff_gate_proj.weight": (D_FF, D_MODEL),
                "ff_up_proj.weight": (D_FF, D_MODEL),
                "ff_down_proj.weight": (D_MODEL, D_FF),
                "norm1.weight": (D_MODEL,),
                "norm1.bias": (D_MODEL,),
                "norm2.weight": (D_MODEL,),
                "norm2.bias": (D_MODEL,),
            }.items()
        }
    shapes |= {"model.out_layer_norm.weight": (D_MODEL,), "model.out_layer_norm.bias": (D_MODEL,)}
    generator = torch.Generator().manual_seed(5)
    return {name: (0.1 * torch.randn(shape, generator=generator)).to(dtype) for name, shape in shapes.items()}


def head(name: str, vocab_size: int) -> dict[str, Tensor]:
    """The tensors of one of the four heads, with 7 classes."""
    shapes = {
        "language model": {"lm_head.weight": (vocab_size, D_MODEL)},
        "embedding model": {"emb_head.weight": (512, D_MODEL)},
        "classifier": {"class_head.weight": (7, D_MODEL)},
        "embedding-conditioned language model": {
            "lm_head.weight": (vocab_size, D_MODEL),
            "embedding_adapter.weight": (D_MODEL, 512),
        },
    }[name]
    generator = torch.Generator().manual_seed(6)
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write(
    path: Path,
    kind: str = "language model",
    vocab_size: int = 2675,
    *,
    dtype: torch.dtype = torch.float32,
    prefix: str = "",
) -> Path:
    """One file; `prefix` stands before every name."""
    parts = tensors(vocab_size) | head(kind, vocab_size)
    save_file({prefix + name: tensor.to(dtype).contiguous() for name, tensor in parts.items()}, path)
    return path
