"""Loss, probes and continuations against model size and data, of small runs and of finished models, in one figure.

    python -m benchmarks.train.scaling_tasks STORE MIDI LABELS -o FOLDER [--models shipped=bundled-pretrained:231e6 ...]

First come the runs, most telling first, then the finished models that `--models` names, with the tokens that each was
trained on. All are measured in the same three ways: nats a token on `grid.HeldOut`; linear probes of the six tasks on
the mean of the hidden states (a model with an embedding head: on its vectors, and nothing else); plain continuations of
the same prompts, files of MIDI that LABELS calls validation. `FOLDER` holds what is finished and `scaling_tasks.md` and
`scaling_tasks.png`, made anew after each model. Interrupted, the same command goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import Program, page, table, write
from benchmarks.train.grid import ALL, HELDOUT_FILE, HeldOut, carried_out
from benchmarks.train.scaling import PowerLaw, folder_of, grid_of, in_millions, tokens_of
from partimento import Engine, Settings
from partimento.corpus.store.note_store import NoteStore
from partimento.corpus.survey.labels import Labels
from partimento.embed.slicing import Slicing
from partimento.evaluate.continuation.prompts import Prompt, Span, choose
from partimento.evaluate.continuation.run import OurModel, Run
from partimento.evaluate.continuation.scores import MODEL, PIANISTS, findings, measured, nats_a_note
from partimento.evaluate.encoders import EncoderSettings, file_encoder
from partimento.evaluate.metrics import interval, resampled
from partimento.evaluate.outcomes import Outcome, by_probe
from partimento.evaluate.tasks import Task, content_key, find_all
from partimento.files import replacing
from partimento.generate.decode.sampling import Sampling
from partimento.model.checkpoint import load_any
from partimento.model.heads import Embedder
from partimento.model.hub import locate
from partimento.model.precision import native_bfloat16
from partimento.train.recipes import pretraining as recipes

RUNS = (
    *("64x2:125000", "256x4:125000", "128x4:125000", "256x4:500000", "64x2:500000", "128x4:500000"),
    *("256x4:250000", "512x6:125000"),
)
HELDOUT_FILES = 16
MOST_FILES = {"train": 96, "validation": 24, "test": 80}
SLICING = Slicing(notes=80, most=1)
SPAN = Span(prompt=15.0, seconds=15.0)
SCORES = ("notes/s", "duration, s", "pulse", "pitch classes")
EARLIER = PowerLaw(floor=0.30, of_size=1.19, alpha=0.24, of_data=3.50, beta=0.12, residual=0.085)
"""The fit of scaling.md: 15 runs of at most 5.6 M parameters and 0.5 M tokens."""

_HOW = f"""\
Circles: runs of the recipe of [scaling.md](scaling.md), tokens seen once, one seed each. Stars: models that were there
already. All are measured alike, and on little, so that a model takes a minute or two on one core.

- Loss: a window of at most 1,025 tokens of each of {3 * HELDOUT_FILES} validation files. Forecast: scaling.md's fit.
- Probes: linear, on the mean of the hidden states (of a model with an embedding head: on its vectors) over {SLICING}
  of each file; at most {MOST_FILES["train"]} files to learn from. The mean is over all tasks.
- Coherence: each prompt ({SPAN.prompt:g} s) continued by {SPAN.seconds:g} s at temperature 1, nothing cut, no search,
  weights of 8 bits. 1: as near to the prompt as pianists stay, 0: as far off as unrelated music (docs/evaluation.md).
  The mean is over those of {"; ".join(SCORES)} that have one. Its interval is the mean of
  theirs, wider than its own would be.

In brackets 95 % intervals: pieces (probes) or prompts resampled; losses have none."""
MEASURES = {
    "loss": "held-out loss, nats a token",
    "probes": "linear probes, mean accuracy of six tasks, %",
    "coherence": "plain continuations, mean of four scores",
}
Json = dict[str, Any]
Estimate = list[float]
"""A value and the ends of its interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A model and what is known of it; `run` says whether it was trained here."""

    name: str
    parameters: int
    tokens: float
    run: bool
    loss: float | None
    probes: Json
    coherence: Json

    def measure(self, what: str) -> Estimate | None:
        """Nats a token, the mean accuracy of the probes in %, or the mean of the scores of continuations."""
        if what == "probes":
            return [100 * value for value in self.probes["mean"]]
        if self.loss is None:
            return None
        of = [3 * [self.loss]] if what == "loss" else [self.coherence["scores"][name] for name in SCORES]
        known = [each for each in of if not np.isnan(each[0])]
        return np.mean(known, axis=0).tolist() if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every model is measured on, and the folder in which vectors are kept."""

    heldout: HeldOut
    tasks: Sequence[Task]
    prompts: Sequence[Prompt]
    vectors: Path

    def row(self, name: str, model: str, folder: Path, tokens: float, *, run: bool) -> Row:
        """A model measured, as far as it has not been."""
        checkpoint = load_any(model)
        head = isinstance(checkpoint.model, Embedder)
        probes = recorded(folder / "probes.json", lambda: probed(model, self.tasks, self.vectors, head=head))
        loss, made = None, {}
        if not head:
            losses = recorded(folder / HELDOUT_FILE, lambda: self.heldout.measured(Path(model)))
            loss = losses[ALL]["nats_per_token"]
            made = recorded(folder / "coherence.json", lambda: continued(model, self.prompts, folder / "made"))
        size = checkpoint.config.parameters
        return Row(name=name, parameters=size, tokens=tokens, run=run, loss=loss, probes=probes, coherence=made)


def recorded(path: Path, make: Callable[[], Json]) -> Json:
    """What stands in a file of JSON, which is made first if it is not there."""
    if not path.exists():
        write(path, json.dumps(make(), indent=1) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def thinned(task: Task) -> Task:
    """At most `MOST_FILES` of each split, the first by content, so that tasks share files."""
    ordered = sorted(task.found, key=lambda example: example.sha256)
    kept = [e for name, most in MOST_FILES.items() for e in [e for e in ordered if e.split == name][:most]]
    return replace(task, examples=tuple(kept))


def probed(model: str, tasks: Sequence[Task], vectors: Path, *, head: bool) -> Json:
    """Accuracy of each task, and their mean, with intervals (pieces resampled)."""
    dtype = torch.bfloat16 if native_bfloat16(torch.device("cpu")) else torch.float32
    kind, settings = "head" if head else "pooled", EncoderSettings(slicing=SLICING, dtype=dtype)
    encode = file_encoder(model, vectors, kind=kind, settings=settings).encode
    samples = {task.name: accuracies(by_probe(task, encode)) for task in tasks}
    every = samples | {"mean": np.mean(list(samples.values()), axis=0)}
    return {name: [float(of[0]), *interval(of[1:])] for name, of in every.items()}


def accuracies(outcome: Outcome) -> np.ndarray:
    """Accuracy as it is, then in each resample of the pieces."""
    hits = np.equal(outcome.truth, outcome.predicted)
    weights = np.concatenate([np.ones((1, len(hits))), resampled(np.array(outcome.pieces), 0)])
    return weights @ hits / weights.sum(axis=1)


def continued(model: str, prompts: Sequence[Prompt], folder: Path) -> Json:
    """Scores and medians of plain continuations, and nats a note of what the pianists played."""
    plain = Settings(seed=0, candidates=1, sampling=Sampling(temperature=1.0, min_p=0.0))
    ours = OurModel.of(Engine.load(model, engine="onnx-int8"), plain, model=model)
    run = Run.begin(folder, prompts, SPAN, ours, seed=0)
    made = run.complete(lambda line: print(" ", line, flush=True))
    found = {one.descriptor.name: findings(one)[0] for one in measured(prompts, made, SPAN, seed=0)}
    return {
        "scores": {name: [one.scores[MODEL][0], *one.scores[MODEL][1]] for name, one in found.items()},
        "medians": {name: [one.medians[MODEL][0], one.medians[PIANISTS][0]] for name, one in found.items()},
        "nats": nats_a_note(made)[0],
        "nats_unrelated": nats_a_note(made, unrelated=True)[0],
    }


def draw(rows: Sequence[Row], out: Path) -> None:
    """Each measure against data, a line for each size, and against size, a line for each amount of data."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(13, 8), layout="constrained")
    panels = figure.subplots(2, 3, sharey="col")
    ways = (("tokens", "parameters", "tokens trained on"), ("parameters", "tokens", "parameters"))
    for line, (along, across, words) in enumerate(ways):
        groups = sorted({getattr(row, across) for row in rows})
        for axes, (what, title) in zip(panels[line], MEASURES.items(), strict=True):
            for number, group in enumerate(groups):
                members = [row for row in rows if getattr(row, across) == group and row.measure(what)]
                members.sort(key=lambda row: getattr(row, along))
                at = [getattr(row, along) for row in members]
                values, low, high = np.array([row.measure(what) for row in members]).reshape(-1, 3).T
                colour = f"C{number}"
                axes.plot(at, values, "-", color=colour, linewidth=1, label=f"{in_millions(group)} {across}")
                axes.errorbar(at, values, [values - low, high - values], fmt="none", alpha=0.4, color=colour)
                for x, y, row in zip(at, values, members, strict=True):
                    axes.plot(x, y, "o" if row.run else "*", color=colour, markersize=5 if row.run else 11)
            axes.set(xscale="log", xlabel=words, ylabel=title)
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.grid(alpha=0.3)
        panels[line][0].legend(fontsize="x-small")
    with replacing(out) as part:
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None})


def tables(rows: Sequence[Row]) -> list[str]:
    """All in short; the probes task by task; the continuations score by score."""
    names = [name for name in rows[0].probes if name != "mean"]
    heads = ["model", "parameters", "tokens", "nats a token", "forecast", "probes, %", "coherence"]
    cells = [[row.name, *(shown([100 * value for value in row.probes[name]], 0) for name in names)] for row in rows]
    of = [*(f"{name}: score (median)" for name in SCORES), "nats a note, told the prompt", "told another"]
    return [
        table(heads, map(in_short, rows)),
        table(["probes, accuracy in %", *names], cells),
        table(["continuations", *of], [[row.name, *scores_of(row.coherence)] for row in rows if row.coherence]),
    ]


def in_short(row: Row) -> list[str]:
    """A model's line in the first table."""
    of_loss = ["", ""] if row.loss is None else [f"{row.loss:.3f}", f"{EARLIER(row.parameters, row.tokens):.2f}"]
    measures = [shown(row.measure("probes"), 1), shown(row.measure("coherence"), 2)]
    return [row.name, f"{row.parameters:,}", in_millions(row.tokens), *of_loss, *measures]


def scores_of(found: Json) -> list[str]:
    """Scores with medians, and nats."""
    scores = [f"{shown(found['scores'][name], 2)} ({found['medians'][name][0]:.2f})" for name in SCORES]
    return [*scores, *(f"{found[name]:.2f}" for name in ("nats", "nats_unrelated"))]


def shown(estimate: Sequence[float] | None, digits: int) -> str:
    """A value with its interval."""
    if estimate is None or np.isnan(estimate[0]):
        return "–"
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*estimate, d=digits)


def main(words: Sequence[str] | None = None) -> None:
    """Measure what is missing; write tables and figure after each model."""
    quick = (
        "{store} {midi} {labels} --tasks {layout} --runs 64x2:4096 --prompts 2 --models untrained={model}:1 -o {work}"
    )
    parser = Program(__file__, __doc__, quick=quick)
    parser.add_argument("store", type=Path)
    parser.add_argument("midi", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--tasks", type=Path, help="where the files of the tasks are, if not in MIDI")
    parser.add_argument("--runs", nargs="*", default=RUNS, metavar="WIDTHxLAYERS:TOKENS")
    parser.add_argument("--models", nargs="*", default=[], metavar="NAME=FILE:TOKENS")
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    if arguments.out is None:
        parser.error("give a folder for the runs with --out")
    pairs = [(size, int(amount)) for size, amount in (of.split(":") for of in arguments.runs)]
    store, runs = NoteStore(arguments.store), grid_of(recipes.two_cores(), pairs)
    heldout = HeldOut(store, next(iter(runs.values())), files=HELDOUT_FILES, collections=False)
    tasks = [thinned(task) for task in find_all(arguments.tasks or arguments.midi)]
    labels = Labels.load(csv=arguments.labels)
    prompts = choose(arguments.midi, SPAN, labels=labels, split="validation", half="second", files=arguments.prompts)
    of_tasks = ", ".join(f"{task.name} {len(task.found)} ({len(task.split('test'))} test)" for task in tasks)
    files = f"Files: {of_tasks}. Prompts: {', '.join(prompt.path.stem for prompt in prompts)}."
    bench = Bench(heldout=heldout, tasks=tasks, prompts=prompts, vectors=arguments.out / "vectors")
    rows = []
    for entry in (*runs, *arguments.models):
        print(entry, flush=True)
        if isinstance(entry, str):
            name, _, model = entry.partition("=")
            model, _, tokens = model.rpartition(":")
            folder = arguments.out / f"{name}-{content_key(locate(model))}"  # another model is measured anew
            rows.append(bench.row(name, model, folder, float(tokens), run=False))
        else:
            recipe, folder = runs[entry], folder_of(arguments.out, entry)
            carried_out(recipe, store, folder, heldout)
            rows.append(bench.row(folder.name, str(folder / "model.safetensors"), folder, tokens_of(recipe), run=True))
        ordered = sorted(rows, key=lambda row: (not row.run, row.parameters, row.tokens))
        draw(ordered, arguments.out / "scaling_tasks.png")
        title = "Loss, probes and continuations against model size and data"
        write(arguments.out / "scaling_tasks.md", page(arguments, title, _HOW, *tables(ordered), files))


if __name__ == "__main__":
    main()
