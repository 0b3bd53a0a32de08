"""What a model was trained to do, and how its tokens are best drawn: facts that travel in its file.

It knows the keys of a checkpoint's metadata that generation listens to, and what holds where a file is silent; how a
model came by them is not its business.

    abilities = Abilities.from_metadata(checkpoint.metadata, parameters=checkpoint.config.parameters)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from partimento.errors import UserError
from partimento.generate.decode.sampling import Sampling
from partimento.generate.settings import MOST_CANDIDATES

SMALL: Final = 100_000_000
"""Models of fewer parameters drift where they read themselves; they are searched with unless their file says no."""
SMALL_SAMPLING: Final = Sampling(temperature=1.0, min_p=0.01, cut_times=False)
"""How tokens of small models are drawn (benchmarks/generate/coherence.md)."""
SMALL_CANDIDATES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """`infilling`: it was shown sequences with <X>, so it can fill gaps (the vocabulary alone does not say so).

    `pedal_tokens`: it reads and writes the pedal as tokens; else the pedal is folded into durations for it, and pedal
    tokens never come out. `sampling`, `candidates`: what is used unless a caller says otherwise. `embedder`,
    `embedder_sha256`: name and file of the embedding model whose vectors it was trained to go by.
    """

    infilling: bool = False
    pedal_tokens: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    candidates: int = 1
    embedder: str | None = None
    embedder_sha256: str | None = None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], *, parameters: int) -> Abilities:
        """Reads the keys `infilling`, `pedal_tokens`, `sampling` ({"min_p": 0.01}, say), `candidates` and `embedder`
        ({"model", "sha256"}); others are not for us. Where the file is silent, a model of so many `parameters` is
        sampled as the published ones, or, if it is small, searched with.

        Raises `UserError` for a `sampling` that names what does not exist or cannot be.
        """
        stated = metadata.get("sampling", {})
        known = {f.name for f in dataclasses.fields(Sampling)}
        if not isinstance(stated, Mapping) or not set(stated) <= known:
            raise UserError(f"the model file's 'sampling' is {stated!r}; it may name {', '.join(sorted(known))}")
        if not all(isinstance(value, int | float) for value in stated.values()):
            raise UserError(f"the model file's 'sampling' is {stated!r}; its values must be numbers")
        small = parameters < SMALL
        candidates = metadata.get("candidates", SMALL_CANDIDATES if small else 1)
        if not isinstance(candidates, int) or not 1 <= candidates <= MOST_CANDIDATES:
            raise UserError(f"the model file's 'candidates' is {candidates!r}; it must lie in 1..{MOST_CANDIDATES}")
        embedder = metadata.get("embedder", {})
        return cls(
            infilling=bool(metadata.get("infilling", False)),
            pedal_tokens=bool(metadata.get("pedal_tokens", False)),
            sampling=replace(SMALL_SAMPLING if small else Sampling(), **stated),
            candidates=candidates,
            embedder=embedder.get("model"),
            embedder_sha256=embedder.get("sha256"),
        )
