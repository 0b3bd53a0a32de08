r"""Several ways of continuing the same held-out prompts, beside the pianists' own continuations.

    python -m benchmarks.generate.coherence FOLDER LABELS WORK --half second \
        --run search bundled --run plain bundled candidates=1 min_p=0 \
        --run published bundled candidates=1 temperature=0.98 min_p=0.035 cut_times=true

A run is a name, a model and any of the fields of `Settings` and `Sampling`; what is left out is the model's own. Each
has a folder in WORK, and goes on there where it was stopped. Prompts are files of the labels' split (validation) of
FOLDER that go on for 60 s, one of each piece, the collections by turns, in the order of their contents: whoever chooses
among ways looks at the first half (--half first), and reports on the second. docs/evaluation.md says how to read what
comes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import Program, machine, title_of
from partimento import Engine, Settings
from partimento.corpus.survey.labels import Labels
from partimento.evaluate.continuation.prompts import Span, choose
from partimento.evaluate.continuation.report import described, judged, write
from partimento.evaluate.continuation.run import OurModel, Run
from partimento.generate.decode.sampling import Sampling


def main(words: Sequence[str] | None = None) -> None:
    """Continue with every run, judge, write the table and the figure."""
    quick = "{midi} {labels} {work} --run plain bundled candidates=1 --files 2 --split train -o {work}"
    parser = Program(__file__, __doc__, quick=quick)
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--run", nargs="+", action="append", required=True, metavar=("NAME MODEL", "FIELD=VALUE"))
    parser.add_argument("--split", default="validation")
    parser.add_argument("--half", choices=("first", "second"), default="second")
    parser.add_argument("--files", type=int, default=41)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="onnx-int8")
    parser.set_defaults(out=Path(__file__).parent)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    span = Span()
    labels = Labels.load(csv=arguments.labels)
    prompts = choose(
        arguments.folder, span, labels=labels, split=arguments.split, half=arguments.half, files=arguments.files
    )
    models = []
    settings = ""
    for name, model, *fields in arguments.run:
        engine = Engine.load(model, engine=arguments.engine)
        wanted = settings_of(fields, engine, arguments.seed)
        ours = OurModel.of(engine, wanted, model=model)
        run = Run.begin(arguments.work / name, prompts, span, ours, seed=arguments.seed)
        continued = run.complete(lambda line, name=name: print(f"{name}: {line}", flush=True))
        models.append(judged(name, prompts, continued, span, seed=arguments.seed))
        parameters = f"{engine.backend.config.parameters / 1e6:.1f} M parameters"
        settings += f"\n- {name}: {title_of(model)}, {parameters}; {', '.join(fields) or 'as its file says'}"
    about = (
        f"{described(prompts, span)} They are files of split {arguments.split}, the {arguments.half} half by content; "
        f"seed {arguments.seed}, {arguments.engine}. {machine(arguments)}\n{settings}"
    )
    write(models, arguments.out, about=about, name="coherence")


def settings_of(fields: list[str], engine: Engine, seed: int) -> Settings:
    """FIELD=VALUE of `Sampling` or, if it has none of that name, of `Settings`."""
    given = dict(field.split("=", 1) for field in fields)
    of_sampling = {f.name for f in dataclasses.fields(Sampling)} & given.keys()
    changes = {name: json.loads(given.pop(name)) for name in of_sampling}
    sampling = dataclasses.replace(engine.abilities.sampling, **changes)
    return Settings(seed=seed, sampling=sampling, **{name: json.loads(value) for name, value in given.items()})


if __name__ == "__main__":
    main()
