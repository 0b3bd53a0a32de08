"""The only transformer: training, prefill and cached decoding run the same code.

Knows: the network of the published weights (pre-norm LayerNorm, fused attention without biases, rotary positions in
half-split form, SwiGLU, untied embeddings); `state_dict` has the published tensor names. Refuses to know: what a token
means, losses, sampling, devices, compilation and parallelism (those are applied from outside).

    model = Transformer(ModelConfig.named("debug", vocab_size=2675))
    logits_BTV = model(ids_BT)                                          # training: every position at once
    cache = KVCache(model.config, batch=1, capacity=1024)
    logits_BTV = model(prompt_BT, cache)                                # prefill
    logits_BTV = model(next_B1, cache)                                  # decoding, one or more tokens at a time
    logits_B1V = model.step(next_B1, cache, at_1, unseen_B)             # the same in tensors of fixed shapes

Shape legend: B batch, T new positions, S all positions so far (S = T without a cache), L layers, H heads,
N heads of queries and of keys, K channels of a head, R = K / 2 rotary angles, D = H * K channels of the model,
F channels of the feed-forward, V vocabulary, P context (number of positions that have rotary angles), C capacity of a
cache. A 1 stands for an axis of that length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.model.config import ModelConfig
from partimento.model.positions import Positions


class KVCache(Positions):
    """Keys and values of the positions a `Transformer` has seen, in memory allocated once.

    `dtype` is that in which the model computes (its weights', or autocast's).
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        batch: int,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(config, batch=batch, capacity=capacity)
        shape = (config.n_layers, batch, config.n_heads, capacity, config.head_dim)
        self._keys_LBHCK = torch.zeros(shape, dtype=dtype, device=device)
        self._values_LBHCK = torch.zeros(shape, dtype=dtype, device=device)
        self.unseen_B: Tensor | None = None  # rows whose first position is hidden from all later ones

    def layers(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Keys and values of each layer, [B, H, length, K] each: views, for reading."""
        held = slice(0, self._length)
        yield from zip(self._keys_LBHCK[:, :, :, held], self._values_LBHCK[:, :, :, held], strict=True)

    def take(self, rows: Sequence[int], *, capacity: int | None = None) -> KVCache:
        """A new cache whose rows are copies of these rows of this one, which stays as it is; by default as roomy."""
        capacity, keys_LBHCK = self.check_copy(capacity), self._keys_LBHCK
        taken = KVCache(
            self.config, batch=len(rows), capacity=capacity, dtype=keys_LBHCK.dtype, device=keys_LBHCK.device
        )
        held = slice(0, self._length)
        for ours_LBHCK, theirs_LBHCK in ((keys_LBHCK, taken._keys_LBHCK), (self._values_LBHCK, taken._values_LBHCK)):
            for to, row in enumerate(rows):
                theirs_LBHCK[:, to, :, held] = ours_LBHCK[:, row, :, held]
        taken._length = self._length
        taken.unseen_B = None if self.unseen_B is None else self.unseen_B[list(rows)]
        return taken

    def _places(self, new: int) -> slice:
        return slice(self._length, self._length + new)

    def _write(self, layer: int, keys_BHTK: Tensor, values_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Stores one layer's new keys and values; returns those of all positions. `length` is left to `advance`."""
        end = self._length + keys_BHTK.shape[2]
        self._keys_LBHCK[layer, :, :, self._length : end] = keys_BHTK
        self._values_LBHCK[layer, :, :, self._length : end] = values_BHTK
        return self._keys_LBHCK[layer, :, :, :end], self._values_LBHCK[layer, :, :, :end]


class _OnePlace:
    """A cache to which one position is added that only the device knows; all of its room is seen, for masks to cut."""

    def __init__(self, cache: KVCache, at_1: Tensor) -> None:
        self._cache, self._at_1 = cache, at_1

    def _places(self, _new: int) -> Tensor:
        return self._at_1

    def _write(self, layer: int, keys_BH1K: Tensor, values_BH1K: Tensor) -> tuple[Tensor, Tensor]:
        keys_BHCK, values_BHCK = self._cache._keys_LBHCK[layer], self._cache._values_LBHCK[layer]
        return keys_BHCK.index_copy_(2, self._at_1, keys_BH1K), values_BHCK.index_copy_(2, self._at_1, values_BH1K)


class Rotary(nn.Module):
    """Rotary positions: channel r of a head's first half turns with channel r of its second half (half-split form)."""

    cos_PR: Tensor
    sin_PR: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._config = config
        self._tabulate(torch.device("cpu"))

    def _tabulate(self, device: torch.device) -> None:
        c = self._config
        exponent_R = torch.arange(0, c.head_dim, 2, dtype=torch.float64, device="cpu") / c.head_dim
        position_P = torch.arange(c.context, dtype=torch.float64, device="cpu")
        angle_PR = torch.outer(position_P, c.rope_base**-exponent_R)
        self.register_buffer("cos_PR", angle_PR.cos().float().to(device), persistent=False)
        self.register_buffer("sin_PR", angle_PR.sin().float().to(device), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rotary:
        # Follow the model to another device but never to another dtype: in bfloat16 late positions would blur.
        # Tabulating anew also fills tables that `to_empty` left without values.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self._tabulate(self.cos_PR.device)
        return self

    def forward(self, x_BTNK: Tensor, places: slice | Tensor) -> Tensor:
        """Turns queries or keys that stand at these positions; the dtype is kept."""
        tables_T1R = self.cos_PR[places][:, None], self.sin_PR[places][:, None]
        turned_BTNK: Tensor = _Turn.apply(x_BTNK, *tables_T1R)  # type: ignore[no-untyped-call]  # torch's omission
        return turned_BTNK


class _Turn(torch.autograd.Function):
    """Turns by angles. The gradient is turned back by them, so that no steps of the turning are kept for it."""

    @staticmethod
    def forward(ctx: Any, x_BTNK: Tensor, cos_T1R: Tensor, sin_T1R: Tensor) -> Tensor:
        ctx.save_for_backward(cos_T1R, sin_T1R)
        return _turned(x_BTNK, cos_T1R, sin_T1R)

    @staticmethod
    def backward(ctx: Any, grad_BTNK: Tensor) -> tuple[Tensor, None, None]:
        cos_T1R, sin_T1R = ctx.saved_tensors
        return _turned(grad_BTNK, cos_T1R, -sin_T1R), None, None


def _turned(x_BTNK: Tensor, cos_T1R: Tensor, sin_T1R: Tensor) -> Tensor:
    half, exact_BTNK = cos_T1R.shape[-1], x_BTNK.float()
    # One long product, and the rest added in place: on a processor these passes over memory are what this costs.
    turned_BTNK = exact_BTNK * torch.cat((cos_T1R, cos_T1R), dim=-1)
    turned_BTNK[..., :half].addcmul_(exact_BTNK[..., half:], sin_T1R, value=-1)
    turned_BTNK[..., half:].addcmul_(exact_BTNK[..., :half], sin_T1R)
    return turned_BTNK.to(x_BTNK.dtype)


class Block(nn.Module):
    """Attention, then feed-forward, each behind its norm and added to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        d_model, d_ff = config.d_model, config.d_ff
        self.layer = layer
        self.n_heads = config.n_heads
        self.dropout = 0.0
        self.mixed_qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.att_proj_linear = nn.Linear(d_model, d_model, bias=False)
        self.ff_gate_proj = nn.Linear(d_model, d_ff, bias=False)
        self.ff_up_proj = nn.Linear(d_model, d_ff, bias=False)
        self.ff_down_proj = nn.Linear(d_ff, d_model, bias=False)
        self.norm1 = nn.LayerNorm(d_model, eps=config.norm_eps)
        self.norm2 = nn.LayerNorm(d_model, eps=config.norm_eps)

    def forward(
        self,
        x_BTD: Tensor,
        rotary: Rotary,
        mask: Tensor | None,
        cache: KVCache | _OnePlace | None,
        at_B: Tensor | None = None,
    ) -> Tensor:
        """Residual stream [B, T, D] in and out; writes the new keys and values to the cache if there is one.

        With `at_B` only what comes out at that position of each row is computed, [B, 1, D]; then without a mask.
        """
        mixed_BTD = self._attend(self.norm1(x_BTD), rotary, mask, cache, at_B)
        if at_B is not None:
            x_BTD = x_BTD[torch.arange(len(at_B), device=at_B.device), at_B][:, None]
        x_BTD = x_BTD + self._drop(mixed_BTD)
        return x_BTD + self._drop(self._feed_forward(self.norm2(x_BTD)))

    def _drop(self, x_BTD: Tensor) -> Tensor:
        return F.dropout(x_BTD, self.dropout) if self.training and self.dropout else x_BTD

    def _attend(
        self,
        x_BTD: Tensor,
        rotary: Rotary,
        mask: Tensor | None,
        cache: KVCache | _OnePlace | None,
        at_B: Tensor | None,
    ) -> Tensor:
        places = slice(x_BTD.shape[1]) if cache is None else cache._places(x_BTD.shape[1])
        heads_BTNK = self.mixed_qkv(x_BTD).unflatten(2, (3 * self.n_heads, -1))
        turning_BTNK, value_BTHK = heads_BTNK.split((2 * self.n_heads, self.n_heads), dim=2)
        query_BHTK, key_BHSK = rotary(turning_BTNK, places).transpose(1, 2).chunk(2, dim=1)
        value_BHSK = value_BTHK.transpose(1, 2)
        if cache is not None:
            key_BHSK, value_BHSK = cache._write(self.layer, key_BHSK, value_BHSK)
        if at_B is not None:
            query_BHTK = query_BHTK[torch.arange(len(at_B), device=at_B.device), :, at_B][:, :, None]
            mask = (torch.arange(x_BTD.shape[1], device=at_B.device) <= at_B[:, None])[:, None, None]
        # Without a cache this is no comparison of sizes, which code compiled for all lengths could not decide.
        causal = mask is None and (cache is None or query_BHTK.shape[2] == key_BHSK.shape[2])
        mixed_BHTK = F.scaled_dot_product_attention(query_BHTK, key_BHSK, value_BHSK, attn_mask=mask, is_causal=causal)
        return self.att_proj_linear(mixed_BHTK.transpose(1, 2).flatten(2))

    def _feed_forward(self, x_BTD: Tensor) -> Tensor:
        return self.ff_down_proj(F.silu(self.ff_gate_proj(x_BTD)) * self.ff_up_proj(x_BTD))


def _causal_mask(new: int, past: int, device: torch.device, unseen_B: Tensor | None) -> Tensor | None:
    """Which of S = past + new positions each of the new ones sees, [T, S] or [B, 1, T, S]; None: as `is_causal` says.

    Position 0 of the rows in `unseen_B` is seen by itself alone.
    """
    if unseen_B is None and (past == 0 or new == 1):
        return None
    seen_TS = torch.ones(new, past + new, dtype=torch.bool, device=device).tril(past)
    if unseen_B is None:
        return seen_TS
    seen_B1TS = seen_TS.expand(len(unseen_B), 1, -1, -1).clone()
    seen_B1TS[unseen_B, :, 1 if past == 0 else 0 :, 0] = False
    return seen_B1TS


class Decoder(nn.Module):
    """Tokens to hidden states: everything below the heads, which all kinds of model share."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.d_model)
        self.encode_layers = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.out_layer_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.rotary = Rotary(config)

    def drop_residuals(self, last: float) -> None:
        """While training, dropout on what blocks add, rising linearly from 0 at the first to `last` (section 4.1)."""
        for layer, block in enumerate(self.encode_layers):
            block.dropout = last * layer / max(1, len(self.encode_layers) - 1)  # type: ignore[assignment]

    def forward(self, ids_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """Hidden states [B, T, D] after the last norm, of tokens that follow those in the cache if there is one."""
        return self.read(self.tok_embeddings(ids_BT), cache, None if cache is None else cache.unseen_B)

    def at(self, ids_BT: Tensor, at_B: Tensor) -> Tensor:
        """Hidden states [B, D] at one position of each row: those of `forward`, without the last block's others."""
        return self.read(self.tok_embeddings(ids_BT), at_B=at_B)[:, 0]

    def read(
        self,
        x_BTD: Tensor,
        cache: KVCache | None = None,
        unseen_B: Tensor | None = None,
        *,
        at_B: Tensor | None = None,
    ) -> Tensor:
        """`forward` for vectors in place of tokens. Position 0 of rows in `unseen_B` (bool) is hidden from the others.

        With `at_B`, which goes with neither, [B, 1, D] at that position of each row.
        """
        batch, new, _ = x_BTD.shape
        past = 0 if cache is None else cache.length
        if past + new > self.config.context:
            raise ValueError(
                f"position {past + new - 1} is beyond the context of {self.config.context} positions; "
                "shorten the sequence or slide a window over it"
            )
        if cache is not None:
            cache.check_room(batch, new)
            cache.unseen_B = unseen_B
        mask = _causal_mask(new, past, x_BTD.device, unseen_B)
        *blocks, last = self.encode_layers
        for block in blocks:
            x_BTD = block(x_BTD, self.rotary, mask, cache)
        x_BTD = last(x_BTD, self.rotary, mask, cache, at_B)
        if cache is not None:
            cache.advance(new)
        return self.out_layer_norm(x_BTD)

    def step(self, ids_B1: Tensor, cache: KVCache, at_1: Tensor, unseen_B: Tensor) -> Tensor:
        """Hidden states [B, 1, D] of one token a row at position `at_1` (int64): `forward` for what runs blindly.

        Every shape is the same whatever the cache holds, and its `length` is neither read nor changed, so that a CUDA
        graph can be made of it. `unseen_B` (bool) as in `read`.
        """
        place_C = torch.arange(cache.capacity, device=at_1.device)
        seen_BC = (place_C <= at_1) & ~(unseen_B[:, None] & (place_C == 0))
        x_B1D, place = self.tok_embeddings(ids_B1), _OnePlace(cache, at_1)
        for block in self.encode_layers:
            x_B1D = block(x_B1D, self.rotary, seen_BC[:, None, None], place)
        return self.out_layer_norm(x_B1D)


class Transformer(nn.Module):
    """Tokens [batch, positions] to the logits of the token that follows each (paper, section 3.2).

    Weights are torch's own random ones until `partimento.model.initialisation` or a checkpoint sets them.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)

    def forward(self, ids_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits [B, T, V]. With a cache, `ids_BT` follow the `cache.length` tokens it holds, and it grows by T.

        Raises `ValueError` for a position beyond the context or the cache's capacity; the cache is then unchanged.
        """
        return self.lm_head(self.hidden(ids_BT, cache))

    def step(self, ids_B1: Tensor, cache: KVCache, at_1: Tensor, unseen_B: Tensor) -> Tensor:
        """Logits [B, 1, V]; see `Decoder.step`."""
        return self.lm_head(self.model.step(ids_B1, cache, at_1, unseen_B))

    def hidden(self, ids_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """Hidden states [B, T, D] after the last norm: what every head reads."""
        return self.model(ids_BT, cache)
