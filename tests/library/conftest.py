"""What libraries of made-up music are made with."""

import pytest

from partimento.model import precision


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """In float32 on every machine, so that vectors can be compared."""
    monkeypatch.setattr(precision, "native_bfloat16", lambda _device: False)
