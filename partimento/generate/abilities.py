"""What a model was trained to do, and how its ids are best drawn: facts that travel in its file.

Knows the keys of a checkpoint's metadata that generation listens to, and what holds where a file is silent. Refuses to
know how a model came by them.

    abilities = Abilities.from_metadata(checkpoint.load("piano.safetensors").metadata)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from partimento.errors import UserError
from partimento.generate.sampling import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """`infilling`: it was shown sequences with <X>, so it can fill gaps (the vocabulary alone does not say so).

    `pedal_tokens`: it reads and writes the pedal as tokens; else the pedal is folded into durations for it, and pedal
    tokens never come out. `sampling`: what is used unless a caller says otherwise. `embedder`, `embedder_sha256`: name
    and file of the embedding model whose vectors it was trained to go by.
    """

    infilling: bool = False
    pedal_tokens: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    embedder: str | None = None
    embedder_sha256: str | None = None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Abilities:
        """Reads the keys `infilling`, `pedal_tokens`, `sampling` ({"min_p": 0.01}, say) and `embedder` ({"model",
        "sha256"}); others are not for us.

        Raises `UserError` for a `sampling` that names what does not exist or cannot be.
        """
        stated = metadata.get("sampling", {})
        known = {f.name for f in dataclasses.fields(Sampling)}
        if not isinstance(stated, Mapping) or not set(stated) <= known:
            raise UserError(f"the model file's 'sampling' is {stated!r}; it may name {', '.join(sorted(known))}")
        if not all(isinstance(value, int | float) for value in stated.values()):
            raise UserError(f"the model file's 'sampling' is {stated!r}; its values must be numbers")
        embedder = metadata.get("embedder", {})
        return cls(
            infilling=bool(metadata.get("infilling", False)),
            pedal_tokens=bool(metadata.get("pedal_tokens", False)),
            sampling=Sampling(**stated),
            embedder=embedder.get("model"),
            embedder_sha256=embedder.get("sha256"),
        )
