"""partimento continues, embeds and classifies piano performances.

    MIDI bytes -> Performance -> tokens -> corpus -> model -> train -> generate | embed | classify
               -> library | evaluate -> studio

One folder for each arrow, in this order; imports point backwards only. The names below are the public ones, imported
when first used, so that `import partimento` and reading a file load no torch.

    from partimento import Performance

    performance = Performance.from_midi("piece.mid")
    performance.slice_time(0, 15).write_midi("opening.mid")
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from partimento.corpus.loaders.torch_dataset import StoreDataset
    from partimento.embed.encoder import Encoder
    from partimento.errors import UserError
    from partimento.generate.engine import Engine
    from partimento.generate.settings import Settings
    from partimento.library.library import Library
    from partimento.midi.instruments import INSTRUMENTS
    from partimento.midi.performance import Performance
    from partimento.midi.picture import draw_piano_roll
    from partimento.midi.reader import MidiError
    from partimento.model.config import ModelConfig
    from partimento.model.transformer import Transformer
    from partimento.tokens.tokenizer import Tokenizer
    from partimento.tokens.vocabulary import Vocabulary

__version__ = "0.1.0"

_HOME = {
    "Encoder": "partimento.embed.encoder",
    "Engine": "partimento.generate.engine",
    "INSTRUMENTS": "partimento.midi.instruments",
    "Library": "partimento.library.library",
    "MidiError": "partimento.midi.reader",
    "ModelConfig": "partimento.model.config",
    "Performance": "partimento.midi.performance",
    "Settings": "partimento.generate.settings",
    "StoreDataset": "partimento.corpus.loaders.torch_dataset",
    "Tokenizer": "partimento.tokens.tokenizer",
    "Transformer": "partimento.model.transformer",
    "UserError": "partimento.errors",
    "Vocabulary": "partimento.tokens.vocabulary",
    "draw_piano_roll": "partimento.midi.picture",
}

__all__ = [
    "INSTRUMENTS",
    "Encoder",
    "Engine",
    "Library",
    "MidiError",
    "ModelConfig",
    "Performance",
    "Settings",
    "StoreDataset",
    "Tokenizer",
    "Transformer",
    "UserError",
    "Vocabulary",
    "__version__",
    "draw_piano_roll",
]


# numba raises where it can keep compiled functions neither beside their modules nor at home.
if "NUMBA_CACHE_DIR" not in os.environ and not os.access(f"{__path__[0]}/midi", os.W_OK):
    from pathlib import Path

    from partimento.files import place_for_compiled

    if (_compiled := place_for_compiled(Path(__file__).parent)) is not None:
        os.environ["NUMBA_CACHE_DIR"] = str(_compiled)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
