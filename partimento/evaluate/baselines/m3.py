"""M3 and CLaMP 3 (Wu and others, 2024 and 2025): MIDI files -> vectors, by the published weights in a folder.

Both read a MIDI file as text, a line a message, in patches of 64 characters; a BERT reads 512 patches at once. M3's
vector is the mean over all patches, CLaMP 3's that of its projections, weighted by their patches. Knows the text, the
patches and the names in the weights. Refuses to know tasks, and where vectors are kept (`encoders.py`).

    a C4, as two lines  ->  "note_on 0 0 60 64", "note_off 480 0 60 64"  ->  two patches of 64 numbers

    encode = m3("models/m3")                 # the folder that holds weights_m3_....pth
    encode([Path("a.mid"), Path("b.mid")])   # float32 [2, 768]

Names, texts and lyrics are left out for both (the authors of CLaMP 3 keep them): a title says who composed the piece,
and a test of what is heard would become one of what is read.

Shape legend: P patches, C characters of a patch, E width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from partimento.errors import UserError

if TYPE_CHECKING:
    from partimento.evaluate.encoders import Encode, Vectors

PATCH: Final = 64
"""Characters of a patch."""
PIECE: Final = 512
"""Patches that are read at once."""
_CHARACTERS: Final = 128
_PAD, _BEGIN, _END = 0, 1, 2
_HEAD_WIDTH: Final = 64
_TEXTS: Final = frozenset(
    ("text", "copyright", "track_name", "instrument_name", "lyrics", "marker", "cue_marker", "device_name")
)

Patches = NDArray[np.int64]
State = Mapping[str, Tensor]


def m3(folder: str | Path, *, device: str = "cpu") -> Encode:
    """M3 from the folder with its weights_m3_....pth; `UserError` where that, mido or transformers is missing."""
    network = _PatchEncoder(_state(folder, "weights_m3*.pth"), "encoder.").to(device).eval()

    @torch.inference_mode()
    def vector(path: Path) -> Tensor:
        return torch.cat([network(read_PC)[-new:] for read_PC, new in pieces(patches(text(path)))]).mean(0)

    return lambda paths: _stacked(vector(path) for path in paths)


def clamp3(folder: str | Path, *, device: str = "cpu") -> Encode:
    """CLaMP 3 from the folder with its weights_clamp3_....pth; raises `UserError` as `m3` does."""
    state = _state(folder, "weights_clamp3*.pth")
    network = _PatchEncoder(state, "symbolic_model.").to(device).eval()
    weight_EE, bias_E = (_tensor(state, f"symbolic_proj.{name}").to(device) for name in ("weight", "bias"))

    @torch.inference_mode()
    def vector(path: Path) -> Tensor:
        read = list(pieces(patches(text(path))))
        sums = [new * (network(read_PC).mean(0) @ weight_EE.T + bias_E) for read_PC, new in read]
        return torch.stack(sums).sum(0) / sum(new for _, new in read)

    return lambda paths: _stacked(vector(path) for path in paths)


def text(path: Path) -> str:
    """A MIDI file as lines: its resolution, then all tracks' messages in time, with their kind, delta and fields."""
    try:
        import mido
    except ImportError:
        raise UserError("M3 and CLaMP 3 read MIDI through mido: pip install mido") from None
    try:
        file = mido.MidiFile(path)
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise UserError(f"{path}: mido cannot read it: {error}") from error
    messages = (message.dict().values() for message in file.merged_track if message.type not in _TEXTS)
    lines = (" ".join(map(str, values)).strip() for values in messages)
    return "\n".join([f"ticks_per_beat {file.ticks_per_beat}", *lines])


def patches(lines: str) -> Patches:
    """Patches [P, 64] of a text: each line one, or several of one kind together; one more before and behind them."""
    found: list[str] = []
    for line in lines.splitlines(keepends=True):
        kind, _, fields = line.partition(" ")
        if found and found[-1].startswith(kind) and len(found[-1]) + len(fields) <= PATCH - 2:
            found[-1] = f"{found[-1][:-1]}\t{fields}"
        else:
            found.append(line)
    patch_PC = np.full((len(found) + 2, PATCH), _PAD, np.int64)
    patch_PC[0], patch_PC[-1] = _BEGIN, _END
    patch_PC[-1, 0] = _BEGIN
    for row, patch in zip(patch_PC[1:-1], found, strict=True):
        numbers = [_BEGIN, *patch.encode("ascii", "replace"), _END][:PATCH]
        row[: len(numbers)] = numbers
    return patch_PC


def pieces(patch_PC: Patches) -> Iterator[tuple[Patches, int]]:
    """What is read at once, and how many of its last patches are new: the last piece reaches back to be full."""
    for start in range(0, len(patch_PC), PIECE):
        end = min(start + PIECE, len(patch_PC))
        yield patch_PC[max(0, end - PIECE) : end], end - start


class _PatchEncoder(nn.Module):
    """Patches [P, C] -> what a BERT makes of them [P, E]; its shape is that of its weights."""

    def __init__(self, state: State, prefix: str) -> None:
        super().__init__()
        try:
            from transformers import BertConfig, BertModel
        except ImportError:
            raise UserError("M3 and CLaMP 3 are run by transformers: pip install transformers") from None
        own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        width, inputs = _tensor(own, "patch_embedding.weight").shape
        if inputs != PATCH * _CHARACTERS:
            raise UserError(f"these weights read patches of {inputs // _CHARACTERS} characters, not of {PATCH}")
        self.patch_embedding = nn.Linear(inputs, width)
        self.base: Any = BertModel(
            BertConfig(
                vocab_size=1,
                hidden_size=width,
                num_hidden_layers=1 + max(int(name.split(".")[3]) for name in own if name.startswith("base.encoder.")),
                num_attention_heads=width // _HEAD_WIDTH,
                intermediate_size=4 * width,
                max_position_embeddings=_tensor(own, "base.embeddings.position_embeddings.weight").shape[0],
            )
        )
        try:
            self.load_state_dict(own)
        except RuntimeError as error:
            raise UserError(f"these are no weights of M3: {error}") from error

    def forward(self, patch_PC: Patches) -> Tensor:
        """One piece."""
        one_hot = nn.functional.one_hot(torch.from_numpy(patch_PC), _CHARACTERS).flatten(1).float()
        embedded_PE = self.patch_embedding(one_hot.to(self.patch_embedding.weight.device))
        hidden: Tensor = self.base(inputs_embeds=embedded_PE[None]).last_hidden_state[0]
        return hidden


def _state(folder: str | Path, pattern: str) -> State:
    """The tensors of the one file of that name; torch's restricted reader makes tensors and plain values only."""
    found = sorted(Path(folder).glob(pattern))
    if len(found) != 1:
        raise UserError(f"{folder} holds {len(found)} files {pattern}, as its authors publish them; there must be one")
    read = torch.load(found[0], map_location="cpu", weights_only=True)
    state = read.get("model") if isinstance(read, Mapping) else None
    if not isinstance(state, Mapping):
        raise UserError(f"{found[0]} holds no weights under the name model")
    return state


def _tensor(state: State, name: str) -> Tensor:
    if name not in state:
        raise UserError(f"the weights lack {name}")
    return state[name].float()


def _stacked(vectors: Iterator[Tensor]) -> Vectors:
    return np.stack([vector.float().cpu().numpy() for vector in vectors])
