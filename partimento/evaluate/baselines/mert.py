"""MERT (Li and others, 2023): MIDI files -> vectors, by way of sound.

Knows how the published folder (m-a-p/MERT-v1-95M: config.json and weights of a HuBERT) is loaded without running the
code that lies in it, and how sound becomes one vector: 24,000 samples a second on one channel, in pieces of 5 s, the
mean over time, pieces and layers. Refuses to know how notes sound (`partimento.audio`).

    encode = mert("models/MERT-v1-95M")
    encode([Path("a.mid"), Path("b.mid")])   # float32 [2, 768]

Shape legend: S samples, L layers and the input of the first, T frames, E width.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from partimento.audio.samples import RATE
from partimento.errors import UserError
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from partimento.evaluate.encoders import Encode, Vectors

MERT_RATE: Final = 24_000
PIECE: Final = 5 * MERT_RATE
LEAST: Final = MERT_RATE
"""A last piece of fewer samples is left out."""


def mert(folder: str | Path, *, device: str = "cpu") -> Encode:
    """MERT from its folder; raises `UserError` where that holds another kind of model, or transformers is missing."""
    network = _network(Path(folder)).to(device).eval()

    @torch.inference_mode()
    def vector(path: Path) -> NDArray[np.float32]:
        sound_S = torch.from_numpy(heard(Performance.from_midi(path).render())).to(device)
        pieces = [piece for piece in torch.split(sound_S, PIECE) if len(piece) >= LEAST] or [sound_S]
        layers = [torch.stack(network(piece[None], output_hidden_states=True).hidden_states) for piece in pieces]
        mean_E: Tensor = torch.stack([hidden_L1TE.mean(dim=(0, 1, 2)) for hidden_L1TE in layers]).mean(0)
        return mean_E.cpu().numpy()

    def encode(paths: Sequence[Path]) -> Vectors:
        return np.stack([vector(path) for path in paths])

    return encode


def heard(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sound [frames, 2] at 48,000 a second as the model takes it [S]: its mean 0, its variance 1."""
    from scipy.signal import resample_poly

    mono_S = resample_poly(sound.mean(axis=1), 1, RATE // MERT_RATE)
    return ((mono_S - mono_S.mean()) / np.sqrt(mono_S.var() + 1e-7)).astype(np.float32)


def _network(folder: Path) -> Any:
    try:
        from transformers import HubertConfig, HubertModel
    except ImportError:
        raise UserError("MERT is run by transformers: pip install transformers") from None
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no config.json; download m-a-p/MERT-v1-95M into a folder")
    told = json.loads(path.read_text(encoding="utf-8"))
    if told.get("model_type") not in ("mert_model", "hubert"):
        raise UserError(f"{path} is of a model of the kind {told.get('model_type')!r}, not of MERT")
    if told.get("feature_extractor_cqt") or told.get("deepnorm"):
        raise UserError(f"{path} is of a MERT with parts that a HuBERT has not (CQT, deepnorm); take MERT-v1-95M")
    config = HubertConfig(**{name: value for name, value in told.items() if name not in ("model_type", "auto_map")})
    loaded: Any = HubertModel.from_pretrained(folder, config=config, local_files_only=True, output_loading_info=True)
    network, found = loaded
    if found["missing_keys"]:
        raise UserError(f"{folder}: the weights lack {sorted(found['missing_keys'])[0]}")
    return network
