"""What hidden states are used for, besides the next token: a vector, a class, or tokens in the manner of a vector.

Knows: the published tensor names of the three heads (`emb_head`, `class_head`, `embedding_adapter`) and which hidden
state each reads. Refuses to know: losses, chunks of performances, names of classes. The language model itself is
`partimento.model.transformer.Transformer`.

    embedder = Embedder(config, size=512)
    vector_BE = embedder(ids_BT, at_B)                       # at_B: where <E> stands in each row
    conditioned = ConditionedTransformer(config, size=512)
    logits_BSV = conditioned.after(vector_BE, ids_BT)        # logits_BSV[:, t] are those of ids_BT[:, t]

Shape legend: as in `transformer.py`; E channels of an embedding, N classes, S = T + 1 positions (vector and tokens).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from partimento.errors import UserError
from partimento.model.config import ModelConfig
from partimento.model.transformer import Decoder, KVCache, Transformer


class _Reader(nn.Module):
    """A decoder of which one hidden state of each row is read; attention is causal, so what stands behind it is not."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)


class Embedder(_Reader):
    """Tokens to one vector for each row (paper, section 3.3)."""

    def __init__(self, config: ModelConfig, size: int = 512) -> None:
        super().__init__(config)
        self.emb_head = _head(config, size)

    def forward(self, ids_BT: Tensor, at_B: Tensor) -> Tensor:
        """Vectors [B, E] read at position `at_B` (that of <E>) of each row; rows may be padded behind it."""
        return self.emb_head(self.model.at(ids_BT, at_B))


class Classifier(_Reader):
    """Tokens to the logits of one class for each row (paper, section 4.1)."""

    def __init__(self, config: ModelConfig, size: int) -> None:
        super().__init__(config)
        self.class_head = _head(config, size)

    def forward(self, ids_BT: Tensor, at_B: Tensor) -> Tensor:
        """Logits [B, N] read at position `at_B` (that of <E>) of each row; rows may be padded behind it."""
        return self.class_head(self.model.at(ids_BT, at_B))


class ConditionedTransformer(Transformer):
    """A language model that can be given a vector, at position 0, in whose manner the tokens from position 1 on go.

    Without one (`forward`) it is the language model alone, tokens from position 0 on.
    """

    def __init__(self, config: ModelConfig, size: int = 512) -> None:
        super().__init__(config)
        if size < 1:
            raise UserError(f"an embedding of {size} channels cannot be adapted; give 1 or more")
        self.embedding_adapter = nn.Linear(size, config.d_model, bias=False)

    def after(
        self, vector_BE: Tensor, ids_BT: Tensor, cache: KVCache | None = None, *, unseen_B: Tensor | None = None
    ) -> Tensor:
        """Logits [B, T + 1, V]: after the vector alone, then after each token. An empty cache grows by T + 1.

        Rows in `unseen_B` (bool) go on as if they had no vector, while their positions stay those of the others: the
        unconditioned half of classifier-free guidance. What then follows in the cache is read by `forward`, and stays
        so hidden.
        """
        return self.lm_head(self.hidden_after(vector_BE, ids_BT, cache, unseen_B=unseen_B))

    def hidden_after(
        self, vector_BE: Tensor, ids_BT: Tensor, cache: KVCache | None = None, *, unseen_B: Tensor | None = None
    ) -> Tensor:
        """What `after` gives to the head, [B, T + 1, D]."""
        if cache is not None and cache.length:
            raise ValueError(f"the vector takes position 0, but the cache already holds {cache.length} positions")
        first_B1D = self.embedding_adapter(vector_BE)[:, None]
        x_BSD = torch.cat((first_B1D, self.model.tok_embeddings(ids_BT)), dim=1)
        return self.model.read(x_BSD, cache, unseen_B)


def _head(config: ModelConfig, size: int) -> nn.Linear:
    if size < 1:
        raise UserError(f"a head of {size} outputs makes no sense; give 1 or more")
    return nn.Linear(config.d_model, size, bias=False)
