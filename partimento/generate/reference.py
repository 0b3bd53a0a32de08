"""A reference to go by: which embedding model it is embedded with, and the engine that goes by its vector.

Knows: that a conditioned model's file may name the embedding model it was trained with, and that vectors of another one
mean nothing to it. Refuses to know: how vectors are made (`partimento.embed`) and followed (`partimento.generate`).

    engine = like(engine, Path("ballade.mid"), model="runs/conditioned", embedder=None, guidance=Guidance(weight=2.0))
"""

from __future__ import annotations

from pathlib import Path

from partimento.corpus.store.note_store import digest
from partimento.embed.encoder import Encoder
from partimento.errors import UserError
from partimento.generate.engine import Engine
from partimento.generate.settings import Guidance
from partimento.model.hub import locate


def like(engine: Engine, reference: Path, *, model: str, embedder: str | None, guidance: Guidance) -> Engine:
    """The engine of `model`, guided by what `embedder` (unless given, that of the model's file) makes of the reference.

    Raises `UserError` for a model that is not conditioned, and for an embedding model that is absent or not its own.
    """
    size = engine.vector_size  # refused before anything else is loaded
    encoder = _encoder(engine, model, embedder)
    if encoder.size != size:
        raise UserError(
            f"{model} goes by vectors of {size} numbers, {embedder or engine.abilities.embedder} makes {encoder.size}; "
            "give the embedding model that it was trained with (--like-model)"
        )
    return engine.like(encoder.encode([reference])[0], guidance)


def _encoder(engine: Engine, model: str, embedder: str | None) -> Encoder:
    named, sha256 = engine.abilities.embedder, engine.abilities.embedder_sha256
    if embedder is None and named is None:
        raise UserError(
            f"--like needs the embedding model that {model} was trained with, and its file names none: give it with "
            "--like-model (loubb/aria-medium-embedding for published models)"
        )
    try:
        path = locate(embedder or str(named))
    except UserError as error:
        if embedder is not None:
            raise
        raise UserError(
            f"the embedding model that {model} was trained with is not here; give it with --like-model ({error})"
        ) from error
    if sha256 is not None and digest(path) != sha256:
        raise UserError(
            f"{path} is not the embedding model that {model} was trained with ({named}), so its vectors would mean "
            "nothing; give that one with --like-model"
        )
    return Encoder.load(path)
