"""Serves the studio until it is interrupted.

Knows what has to be warm before the first listener comes. Refuses to know sockets (`address.py`), routes (`app.py`) and
who may ask (`gate.py`).

    serve(engine, model="bundled", opened=None, host=None, port=7860, browser=True, say=print)
"""

from __future__ import annotations

from collections.abc import Callable

from partimento.corpus.duplicates.index import PassageIndex
from partimento.generate.engine import Engine
from partimento.generate.settings import Settings
from partimento.library.library import Library
from partimento.midi.performance import Performance
from partimento.studio.address import run
from partimento.studio.app import application
from partimento.studio.build import PAGE
from partimento.studio.music import tokens_behind
from partimento.studio.takes import compared


def serve(
    engine: Engine,
    *,
    model: str,
    opened: Performance | None,
    host: str | None,
    port: int,
    browser: bool,
    say: Callable[[str], None],
    learned: PassageIndex | None = None,
    library: Library | None = None,
) -> None:
    """Serves on 127.0.0.1, or on `host` with a token in the address; `say` is told the address.

    Takes are compared with `learned`, the index of what the model learned from; the page shows the map of `library`.

    Raises `UserError` if the address cannot be had.
    """
    run(
        application(engine, model=model, opened=opened, learned=learned, library=library),
        name="studio",
        host=host,
        port=port,
        browser=browser and PAGE.is_dir(),
        say=say,
        ready=lambda: _warm_up(engine, learned),
    )


def _warm_up(engine: Engine, learned: PassageIndex | None) -> None:
    """Compiles and loads what the first file and the first take would wait for."""
    played = Performance.from_notes(pitch=[60, 64, 67], velocity=60, onset=[0.0, 0.4, 0.8], duration=0.4)
    prompt = Performance.from_midi(played.to_midi())
    tokens_behind(engine.vocabulary, prompt, pedal=engine.abilities.pedal_tokens)
    takes = engine.continue_(prompt, settings=Settings(notes=4))
    if learned is not None:
        compared(takes, learned)
