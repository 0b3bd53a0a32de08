"""Language models as ONNX folders: which formats there are, what stands in a folder, and where prepared ones are kept.

Knows: the widths behind a format's name, and that a folder is made once for a checkpoint, by its content, whatever it
is called. Refuses to know: nodes (`onnx_graph.py`) and sessions (`partimento.generate.backends.onnx_backend`).

    folder = prepare("loubb/aria-medium-gen", "onnx-int8")   # half a minute the first time, then at once

Prepared folders lie in PARTIMENTO_CACHE, by default ~/.cache/partimento, below `onnx`; whoever needs the room may
delete them at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partimento.errors import UserError
from partimento.files import (
    can_write,
    home_cache,
    new_folder,
    others_write,
    own_folder,
    replacing,
    scratch_folder,
)
from partimento.model.config import ModelConfig
from partimento.model.hub import locate
from partimento.tokens.tokenizer import VOCABULARY_FILE, Tokenizer
from partimento.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from partimento.export.onnx_graph import Width
    from partimento.model.checkpoint import Checkpoint
    from partimento.model.transformer import Transformer

FORMATS: dict[str, Width] = {"onnx": 32, "onnx-int8": 8, "onnx-int4": 4}
"""Names and bits of a weight. Below 32 the cache of keys and values has 8 bits as well."""

GRAPH_FILE = "model.onnx"
FACTS_FILE = "partimento.json"
_GENERATION = 4  # counts up when the same checkpoint shall give another folder


def write_onnx(folder: Path, checkpoint: Checkpoint[Transformer], format_: str) -> None:
    """Writes graph, weights, vocabulary and facts into a folder that exists."""
    # Only who makes a folder needs torch; who reads one does not.
    from partimento.export.calibration import cache_scales
    from partimento.export.onnx_graph import write_graph
    from partimento.model.heads import ConditionedTransformer

    if isinstance(checkpoint.model, ConditionedTransformer):
        raise UserError(f"{checkpoint.path} is conditioned on embeddings, which the graph has no input for")
    width, model = FORMATS[format_], checkpoint.model
    scales = None if width == 32 else cache_scales(model, checkpoint.vocabulary)
    write_graph(folder / GRAPH_FILE, model, width, cache_scales=scales)
    facts = {"format": format_, "config": asdict(checkpoint.config), "metadata": checkpoint.metadata}
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    Tokenizer(checkpoint.vocabulary).save(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a folder says of itself; `metadata` is that of the checkpoint."""

    format: str
    config: ModelConfig
    vocabulary: Vocabulary
    metadata: dict[str, Any]


def read_facts(folder: Path) -> Facts:
    """What a folder that `write_onnx` wrote says of itself; a `UserError` for any other."""
    missing = [name for name in (GRAPH_FILE, FACTS_FILE, VOCABULARY_FILE) if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} holds no {missing[0]}; make one with: partimento export MODEL --format onnx-int8")
    facts: dict[str, Any] = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    vocabulary = Vocabulary.from_json((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
    config = ModelConfig.of(facts["config"])
    return Facts(format=facts["format"], config=config, vocabulary=vocabulary, metadata=facts["metadata"])


def prepare(model: str | Path, format_: str = "onnx-int8", *, say: Callable[[str], None] | None = None) -> Path:
    """The folder of a model in a format, made if this checkpoint has none yet; `say` is told before it takes long."""
    if format_ not in FORMATS:
        raise UserError(f"no ONNX format is called {format_!r}; choose one of {', '.join(FORMATS)}")
    folder = _folder_of(model, format_)
    if not folder.is_dir():
        from partimento.model.checkpoint import load

        if say is not None:
            say(f"preparing {model} as {format_}, this once, in {folder}")
        checkpoint = load(model, dtype=None)
        ours = folder.with_name(f"{folder.name}.{os.getpid()}")
        with new_folder(ours) as part:
            write_onnx(part, checkpoint, format_)
        try:
            ours.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(ours)
    return folder


def is_prepared(model: str | Path, format_: str) -> bool:
    """Whether `prepare` would return at once."""
    return _folder_of(model, format_).is_dir()


def _folder_of(model: str | Path, format_: str) -> Path:
    return cache_folder() / "onnx" / f"{remembered_sha256(locate(model))[:32]}-{format_}-{_GENERATION}"


def cache_folder() -> Path:
    """Where what can be made again is kept: unless named, at home, or where that cannot be written, with what is
    temporary. In a folder that others share it is a folder of this user's: what they put there may not be what it says.
    """
    named = os.environ.get("PARTIMENTO_CACHE")
    if named:
        return own_folder(Path(named))[0] if others_write(Path(named)) else Path(named)
    folder = home_cache() / "partimento"
    return folder if can_write(folder) else scratch_folder()


def remembered_sha256(path: Path) -> str:
    """SHA-256 of a file, remembered until its size or time changes: reading gigabytes at every start takes seconds."""
    status = path.stat()
    identity = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    note = cache_folder() / "hashes" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    if note.is_file():
        return note.read_text(encoding="ascii")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    note.parent.mkdir(parents=True, exist_ok=True)
    with replacing(note) as part:
        part.write_text(sha256, encoding="ascii")
    return sha256
