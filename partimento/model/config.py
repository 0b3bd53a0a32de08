"""The shape of a transformer, as one value.

Knows: the eight numbers that decide every tensor of the network, which of their combinations make sense, and the named
sizes. Refuses to know: weights, vocabularies (only their size), training.

    config = ModelConfig.named("small", vocab_size=2675)
    config.head_dim, config.parameters      # 64, 5_568_512
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partimento.errors import UserError

# name: (d_model, n_heads, n_layers); the hidden width of the feed-forward is always 4 * d_model, as in the paper.
SIZES = {
    "debug": (64, 2, 2),
    "tiny": (192, 3, 4),
    "small": (256, 4, 4),
    "compact": (512, 8, 6),
    "base": (512, 8, 8),
    "large": (1024, 16, 12),
    "medium": (1536, 24, 16),
}
"""`medium` is the published network of 650 M parameters and so the largest here; the other names are this package's.
`compact` is the size of the models inside the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Shape of a pre-norm SwiGLU transformer with rotary positions (paper, section 3.2; published weights).

    `vocab_size` rows in both embedding matrices, `n_layers` blocks of `n_heads` heads over `d_model` channels,
    `d_ff` channels inside each feed-forward, at most `context` positions. Raises `UserError` where these do not fit.
    """

    vocab_size: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int
    context: int = 8192
    rope_base: float = 500_000.0
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            expected = float if field.name in ("rope_base", "norm_eps") else int
            if isinstance(value, bool) or not isinstance(value, (int, expected)) or not value > 0:
                raise UserError(f"model configuration: {field.name} is {value!r}; give a positive {expected.__name__}")
        if self.d_model % (2 * self.n_heads):
            raise UserError(
                f"model configuration: d_model {self.d_model} does not split into {self.n_heads} heads of even width; "
                "rotary positions need one"
            )

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.d_model // self.n_heads

    @property
    def parameters(self) -> int:
        """Number of weights, in closed form: two embedding matrices, the blocks, the last norm."""
        block = 4 * self.d_model**2 + 3 * self.d_model * self.d_ff + 4 * self.d_model
        return 2 * self.vocab_size * self.d_model + self.n_layers * block + 2 * self.d_model

    @classmethod
    def named(cls, name: str, *, vocab_size: int, context: int = 8192) -> ModelConfig:
        """The configuration of a size in `SIZES`."""
        if name not in SIZES:
            raise UserError(f"no model size is called {name!r}; choose one of {', '.join(SIZES)}")
        d_model, n_heads, n_layers = SIZES[name]
        return cls(
            vocab_size=vocab_size,
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_layers,
            d_ff=4 * d_model,
            context=context,
        )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ModelConfig:
        """The configuration of which these are the fields (`dataclasses.asdict`); a `UserError` for any others."""
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"model configuration: {error}") from error
