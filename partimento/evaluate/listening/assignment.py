"""Who is asked what: every pair on every prompt equally often, sides by turns, no clip twice for anybody.

Knows balance. Refuses to know HTTP and files; what it decides is an event for the log (`votes.py`), and from the log
alone it can go on.

    event = next_trial(listener, listeners, manifest, now=time.time())      # an `asked` event, or None: all done

Each comparison is drawn when it is due, from those that have the fewest votes so far, so that listeners who leave, come
back, or do not count, leave no holes. A comparison that was asked and not answered counts as long as its listener is
active; the sides, and which of a system's clips is heard, are those that were heard least. Equal choices are drawn by
the study's seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np

from partimento.evaluate.listening.manifest import Clip, Manifest
from partimento.evaluate.listening.votes import Listener, Trial

ACTIVE_S: Final = 1800.0
"""Whoever did nothing for so long is not waited for."""

Cell = tuple[str, str, str]
"""Two systems, the pair's first one first, and a prompt."""


def total_trials(manifest: Manifest) -> int:
    """How many comparisons a listener is asked for, attention checks among them."""
    return manifest.study.trials.each + manifest.study.checks.attention


def next_trial(
    listener: Listener, listeners: Mapping[str, Listener], manifest: Manifest, *, now: float
) -> dict[str, Any] | None:
    """The `asked` event of a listener's next comparison; None if all are answered, or no clip is left for them.

    Whoever has one open must answer it first.
    """
    number = len(listener.trials)
    if number >= total_trials(manifest):
        return None
    rng = np.random.default_rng([manifest.study.seed, listener.number, number])
    places = attention_places(listener, manifest)
    trial = (
        _attention(places.index(number), manifest, rng)
        if number in places
        else _comparison(listener, _counted(listeners, manifest, now), manifest, rng)
    )
    if trial is None:
        return None
    return {"event": "asked", "listener": listener.id, "time": now, "number": number, **trial}


def attention_places(listener: Listener, manifest: Manifest) -> list[int]:
    """Which of a listener's comparisons are attention checks: one in each part of the session, never the very first."""
    checks, total = manifest.study.checks.attention, total_trials(manifest)
    rng = np.random.default_rng([manifest.study.seed, listener.number])
    edges = np.linspace(1, total, checks + 1).astype(int).tolist()
    return [int(rng.integers(low, high)) for low, high in pairwise(edges)]


def headphone_order(listener: Listener, manifest: Manifest) -> list[int]:
    """Numbers of the questions of a listener's next attempt, in the order in which they are asked."""
    each, attempt = manifest.study.checks.headphones, len(listener.right)
    rng = np.random.default_rng([manifest.study.seed, listener.number, 1_000_000 + attempt])
    return (each * attempt + rng.permutation(each)).tolist()


def _attention(number: int, manifest: Manifest, rng: np.random.Generator) -> dict[str, Any]:
    check = manifest.attention[number]
    return _sides(check.good, check.bad, first_is_a=bool(rng.integers(2))) | {"attention": number}


def _counted(listeners: Mapping[str, Listener], manifest: Manifest, now: float) -> list[Trial]:
    """The comparisons that balance is kept of: answered or about to be, by people whose votes may count."""
    trials = []
    for listener in listeners.values():
        active = now - listener.last < ACTIVE_S
        if listener.attentive(manifest.study) or (active and listener.may_become_attentive(manifest.study)):
            asked = [trial for trial in listener.trials if trial.attention is None]
            trials += [trial for trial in asked if active or trial.choice is not None]
    return trials


def _comparison(
    listener: Listener, counted: list[Trial], manifest: Manifest, rng: np.random.Generator
) -> dict[str, Any] | None:
    heard = {id_ for trial in listener.trials for id_ in (trial.a, trial.b)}
    open_cells = {cell: free for cell in _cells(manifest) if (free := _free(cell, heard, manifest)) is not None}
    if not open_cells:
        return None
    votes = Counter((trial.first, trial.second, trial.prompt) for trial in counted)
    mine = [trial for trial in listener.trials if trial.attention is None]
    prompts = Counter(trial.prompt for trial in mine)
    pairs = Counter((trial.first, trial.second) for trial in mine)
    cells = list(open_cells)
    rank = {cells[k]: place for place, k in enumerate(rng.permutation(len(cells)).tolist())}
    cell = min(cells, key=lambda c: (votes[c], pairs[c[:2]], prompts[c[2]], rank[c]))
    uses = Counter(id_ for trial in counted for id_ in (trial.a, trial.b))
    first, second = (_least(clips, uses, rng) for clips in open_cells[cell])
    return _sides(first, second, first_is_a=_side(cell, counted, rng))


def _cells(manifest: Manifest) -> list[Cell]:
    return [(*pair, prompt) for pair in manifest.study.pairs() for prompt in manifest.prompts]


def _free(cell: Cell, heard: set[str], manifest: Manifest) -> tuple[list[Clip], list[Clip]] | None:
    """The clips of either system that are still unheard, if both have some."""
    first, second, prompt = cell
    free = [[clip for clip in manifest.of(system, prompt) if clip.id not in heard] for system in (first, second)]
    return (free[0], free[1]) if all(free) else None


def _least(clips: list[Clip], uses: Counter[str], rng: np.random.Generator) -> Clip:
    fewest = min(uses[clip.id] for clip in clips)
    least = [clip for clip in clips if uses[clip.id] == fewest]
    return least[int(rng.integers(len(least)))]


def _side(cell: Cell, counted: list[Trial], rng: np.random.Generator) -> bool:
    """Whether the pair's first system is A: on the side where it was less often on this prompt, then of this pair."""
    pair = [trial for trial in counted if (trial.first, trial.second) == cell[:2]]
    for trials in ([trial for trial in pair if trial.prompt == cell[2]], pair):
        as_a = sum(trial.first_is_a for trial in trials)
        if 2 * as_a != len(trials):
            return 2 * as_a < len(trials)
    return bool(rng.integers(2))


def _sides(first: Clip, second: Clip, *, first_is_a: bool) -> dict[str, Any]:
    a, b = (first, second) if first_is_a else (second, first)
    return {
        "prompt": first.prompt,
        "first": first.system,
        "second": second.system,
        "a": a.id,
        "b": b.id,
        "first_is_a": first_is_a,
    }
