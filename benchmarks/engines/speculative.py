"""What a draft brings: how many of its tokens a model keeps, how much faster both are together, and when it would pay.

    python -m benchmarks.engines.speculative gain FOLDER MODEL DRAFT [DRAFT ...] [--engine onnx-int8] [--rounds 6]
    python -m benchmarks.engines.speculative passes MODEL [DRAFT ...] [--kept 0.6] [--threads 2] [--rounds 9]

`gain`: FOLDER holds MIDI files, whose beginnings are the prompts. Plain and drafted engines take turns on each prompt;
tokens are counted by seconds of processor time, which other load on the machine falsifies less than time on a clock
(small models decode on one thread, so on an idle machine the two are the same).

`passes`: how long MODEL needs to read 1 to 7 tokens behind 512, on a clock, each length in turn in every round. From
that, and from what the draft's reading costs, follows which share of tokens has to be kept for a draft of k tokens to
pay, and what the gain would be if `--kept` of them were. That is computed, not measured: it needs no trained weights.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Program, drawn, publish, table
from partimento.generate.backends.engines import open_model
from partimento.generate.engine import Engine
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance

PAST = 512
MOST = 7


class Counted:
    """A back end that counts what it reads after a beginning."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.passes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def read(self, ids_BT: Sequence[Sequence[int]], cache: Any, *, last: int = 1) -> Any:
        self.passes += cache.length > 0
        return self._backend.read(ids_BT, cache, last=last)


def continued(engine: Engine, prompt: Performance, notes: int, seed: int) -> dict[str, float]:
    """One continuation from its first note on."""
    run = engine.continuing(prompt, Settings(notes=notes, seed=seed, candidates=1), None)
    (variation,), stream = run.variations, run.notes()
    next(stream)
    engine.backend.passes = 0
    chosen, began = variation.chosen, time.process_time()
    for _ in stream:
        pass
    seconds, made = time.process_time() - began, variation.chosen - chosen
    kept = variation.accepted / variation.proposed if variation.proposed else 0.0
    return {"speed": made / seconds, "kept": kept, "tokens a pass": made / engine.backend.passes}


def gain(arguments: argparse.Namespace) -> list[str]:
    plain = Engine.load(arguments.model, engine=arguments.engine)
    plain.backend = Counted(plain.backend)
    engines = {"plain": plain}
    for draft in arguments.drafts:
        engines[draft] = plain.drafted_by(Engine.load(draft, engine=arguments.engine))
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
    for number, path in enumerate(drawn(arguments.folder, arguments.rounds)):
        prompt = Performance.from_midi(path).slice_time(0, 15)
        for name, engine in engines.items():
            samples[name].append(continued(engine, prompt, arguments.notes, number))
    rows = []
    for name, engine in engines.items():
        median = {key: statistics.median(s[key] for s in samples[name]) for key in samples[name][0]}
        gains = [s["speed"] / p["speed"] for s, p in zip(samples[name], samples["plain"], strict=True)]
        size = (engine.draft or engine).backend.config.parameters / 1e6
        figures = f"{median['kept']:.2f}", f"{median['tokens a pass']:.2f}", f"{median['speed']:.0f}"
        gained = f"{statistics.median(gains):.2f} ({min(gains):.2f}, {max(gains):.2f})"
        rows.append((name, f"{size:.2f} M", *figures, gained))
    head = ["draft", "parameters", "kept", "tokens a pass", "tokens/s of processor time", "gain, median (least, most)"]
    return [f"{plain.backend.description}; load average {os.getloadavg()[0]:.1f}", table(head, rows)]


def seconds_of(backend: Any, cache: Any, new: int) -> float:
    cache.rollback(PAST)
    began = time.perf_counter()
    backend.read([[50] * new], cache, last=new)
    return time.perf_counter() - began


def passes(arguments: argparse.Namespace) -> list[str]:
    large = open_model(arguments.model, arguments.engine).backend
    small = {name: open_model(name, arguments.engine).backend for name in arguments.drafts}
    caches = {}
    for name, backend in (("", large), *small.items()):
        caches[name] = backend.cache(batch=1, capacity=PAST + MOST)
        backend.read([[50] * PAST], caches[name])
    taken: dict[int, list[float]] = {new: [] for new in range(1, MOST + 1)}
    drafting: dict[str, list[float]] = {name: [] for name in small}
    for _ in range(arguments.rounds):
        for new, values in taken.items():
            values.append(seconds_of(large, caches[""], new))
        for name, values in drafting.items():
            values.append(seconds_of(small[name], caches[name], 1))
    # The least of many is what it takes where nobody interferes.
    one = min(taken[1])
    rows = []
    for name, values in drafting.items():
        for ahead in range(1, MOST):
            checking = min(taken[ahead + 1]) / one
            cost = checking + ahead * min(values) / one
            figures = checking, cost, break_even(cost, ahead), expected(arguments.kept, ahead) / cost
            rows.append((name, ahead, *(f"{figure:.2f}" for figure in figures)))
    head = ["draft", "tokens ahead", "a pass, in passes of one", "with drafting", "pays above a share kept of", "gain"]
    return [
        f"{large.description}; load average {os.getloadavg()[0]:.1f}",
        f"Reading one token after {PAST}: {1000 * one:.2f} ms (median {1000 * statistics.median(taken[1]):.2f}).",
        table(head, rows),
    ]


def expected(kept: float, ahead: int) -> float:
    """Ids that a pass decides on if each proposal is kept with this probability, and one more."""
    return sum(kept**k for k in range(ahead + 1))


def break_even(cost: float, ahead: int) -> float:
    """The share at which as many tokens come as passes are paid for; above 1 there is none."""
    low, high = 0.0, 2.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle, ahead) < cost else (low, middle)
    return low


def main(words: Sequence[str] | None = None) -> None:
    program = Program(__file__, __doc__, quick="gain {midi} bundled bundled --rounds 1 --notes 24")
    verbs = program.add_subparsers(required=True, parser_class=argparse.ArgumentParser)
    one = verbs.add_parser("gain")
    one.add_argument("folder", type=Path)
    one.add_argument("--notes", type=int, default=100)
    one.set_defaults(run=gain)
    other = verbs.add_parser("passes")
    other.add_argument("--kept", type=float, default=0.6)
    other.set_defaults(run=passes)
    for verb, rounds in ((one, 6), (other, 9)):
        verb.add_argument("model")
        verb.add_argument("drafts", nargs="+")
        verb.add_argument("--engine", default="onnx-int8")
        verb.add_argument("--rounds", type=int, default=rounds)
    arguments = program.parse_args(words)
    publish(arguments, "Drafts", *arguments.run(arguments))


if __name__ == "__main__":
    main()
