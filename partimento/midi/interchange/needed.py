"""Another library if it is there, or one line that names the package to install.

>>> needed("mido").MidiFile  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

from partimento.errors import UserError


def needed(package: str) -> Any:
    """The module of this name, which is also its name on the package index; raises `UserError` without it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:  # it is there, and something of its own is not
            raise
        raise UserError(f"{package} is not installed; pip install {package}") from error
