"""Options that several verbs have: one name, one meaning, one text; and how verbs speak.

Knows: `--json` and `--quiet`, which every verb has, and the flags that more than one has. Refuses to know any verb. A
test walks the parsers of all verbs: a flag of two verbs has one text, which stands here.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Options(VerbOptions):
        '''Check a note store.'''

        store: tyro.conf.Positional[Path]
        '''The store.'''
        force: Force = False

    with options.counted("reading", total=5) as advance: ...
    options.report({"files": 5}, "5 files")    # a line, or with --json an object; with --quiet no line
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import tyro

from partimento.commands.common.progress import counted
from partimento.train.log import TrackerName

EngineName = Literal["auto", "torch", "onnx", "onnx-int8", "onnx-int4"]
"""What can run a model (`generate/backends/engines.py` says what each is)."""


def _flag(text: str, *aliases: str, name: str | None = None) -> Any:
    return tyro.conf.arg(help=text, aliases=aliases or None, name=name)


Force: TypeAlias = Annotated[bool, _flag("Replace what exists already.")]
Strict: TypeAlias = Annotated[bool, _flag("Refuse a damaged file instead of reading what can be read.")]
Check: TypeAlias = Annotated[bool, _flag("Exit with status 1 if anything is found, for scripts.")]
_MODEL = _flag("Name of a bundled model, a .safetensors file, a run's folder, or owner/name on the hub.", "-m")
Model: TypeAlias = Annotated[str, _MODEL]
AnyModel: TypeAlias = Annotated[str | None, _MODEL]
_BASE = _flag(
    "The model whose weights to begin with: a bundled one, a .safetensors file, a run's folder, or owner/name on the "
    "hub.",
    name="from",
)
Base: TypeAlias = Annotated[str, _BASE]
AnyBase: TypeAlias = Annotated[str | None, _BASE]
Models: TypeAlias = Annotated[
    tuple[str, ...],
    _flag(
        "NAME=MODEL for each model at hand, NAME=clamp3:FOLDER (or m3, mert) for the published encoders of others, or "
        "NAME=module:function for any."
    ),
]
Pooled: TypeAlias = Annotated[
    bool, _flag("Take the mean of the hidden states instead of the embedding, which any model has: a comparison.")
]
Engine: TypeAlias = Annotated[
    EngineName,
    _flag("What runs the model (auto: torch on a GPU, else ONNX Runtime with 8-bit weights, which are made once)."),
]
Window: TypeAlias = Annotated[
    int | None,
    _flag("Let the model see only so many of the latest tokens: faster, less memory, and it forgets sooner."),
]
Candidates: TypeAlias = Annotated[
    int | None,
    _flag(
        "Of so many continuations keep the best, a few seconds at a time; 1: what the model says, as it comes (unless "
        "given, what the model's file says, else 8 for models of less than 100 million parameters, else 1)."
    ),
]
Temperature: TypeAlias = Annotated[
    float | None,
    _flag(
        "Below 1 safer, above 1 wilder; 0 always takes the likeliest (unless given, what the model's file says, else 1 "
        "for small models and 0.98, as published, for others)."
    ),
]
MinP: TypeAlias = Annotated[
    float | None,
    _flag(
        "Leave out whatever is less likely than this share of the likeliest; 0: nothing (unless given, what the "
        "model's file says, else 0.035, as published)."
    ),
]
TopP: TypeAlias = Annotated[
    float | None,
    _flag(
        "Keep only the likeliest that together have this probability; 1: everything (unless given, what the model's "
        "file says, else 1)."
    ),
]
TimeTemperature: TypeAlias = Annotated[
    float | None, _flag("Temperature of onsets and durations (unless given, that of the notes).")
]
CutTimes: TypeAlias = Annotated[
    bool | None,
    _flag(
        "Whether --min-p and --top-p also cut onsets and durations, which makes them shorter (unless given, what the "
        "model's file says, else no for small models and yes, as published, for others)."
    ),
]
Originality: TypeAlias = Annotated[
    bool,
    _flag(
        "Say which passages new notes share with what the model learned from, if an index of that is kept (partimento "
        "originality --training STORE --keep makes one)."
    ),
]
Plot: TypeAlias = Annotated[bool, _flag("Also draw a picture of it (.png).")]
_DATA = _flag("Folder of MIDI files, found by content; of tasks also a metadata.json of the published layout.")
Data: TypeAlias = Annotated[Path, _DATA]
AnyData: TypeAlias = Annotated[Path | None, _DATA]
Labels: TypeAlias = Annotated[
    Path | None, _flag("CSV with a column path and others for what is known of each file: split, composer, title, ...")
]
Device: TypeAlias = Annotated[str | None, _flag("Where to compute: cpu, cuda, cuda:1, mps (the GPU if there is one).")]
Half: TypeAlias = Annotated[
    bool,
    _flag(
        "Compute in bfloat16 where the device multiplies it itself, else in float32: faster, and vectors differ by "
        "about a hundredth of their length."
    ),
]
Workers: TypeAlias = Annotated[int | None, _flag("Processes that read (one for each core).")]
Seconds: TypeAlias = Annotated[
    float | None, _flag("Length of the continuation in seconds (45 unless given, or given in notes).")
]
PromptSeconds: TypeAlias = Annotated[
    float | None, _flag("Seconds of the file's beginning that are the prompt (for continuations 15 unless given).")
]
Port: TypeAlias = Annotated[int, _flag("Where the server listens; 0 takes any that is free.")]
Host: TypeAlias = Annotated[
    str | None,
    _flag("Serve others too, on this address (0.0.0.0: on all); the address that is printed then holds a token."),
]
NoBrowser: TypeAlias = Annotated[bool, _flag("Open no browser.")]
_SEED = _flag("Another seed, another result; the same seed, the same.")
Seed: TypeAlias = Annotated[int, _SEED]
AnySeed: TypeAlias = Annotated[int | None, _SEED]
Task: TypeAlias = Annotated[
    str, _flag("One of the tasks of 'partimento evaluate tasks', or a category of a metadata.json.")
]
Track: TypeAlias = Annotated[tuple[TrackerName, ...], _flag("Where to log beside log.jsonl.")]
_TAG = _flag("A word of your own about files, to filter by.")
Tags: TypeAlias = Annotated[tuple[str, ...], _TAG]
Tag: TypeAlias = Annotated[str | None, _TAG]
Resume: TypeAlias = Annotated[
    str,
    _flag("auto: go on if the folder holds a run; off: refuse such a folder; or a checkpoint to begin a new run from."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbOptions:
    """What every verb has; the methods are how a verb speaks."""

    json: bool = False
    """Print what is reported as JSON on standard output; remarks go to standard error."""
    quiet: bool = False
    """No progress and no remarks: only what was asked for, warnings and errors."""

    def say(self, line: str) -> None:
        """A remark, for people."""
        if not self.quiet:
            print(line, file=sys.stderr if self.json else sys.stdout, flush=True)

    def remark(self, line: str) -> None:
        """A remark beside a result on standard output."""
        if not self.quiet:
            print(line, file=sys.stderr)

    def report(self, facts: Mapping[str, Any], *lines: str) -> None:
        """What came of it: JSON, or lines."""
        if self.json:
            print(json.dumps(facts, indent=1, ensure_ascii=False, default=str))
        else:
            for line in lines:
                self.say(line)

    @contextmanager
    def counted(self, what: str, total: int | None = None) -> Iterator[Callable[..., None]]:
        """As `progress.counted`, unless nobody wants to see it."""
        with counted(what, total, shown=not self.quiet) as advance:
            yield advance


def warn(line: str) -> None:
    """What people must know even if they asked for quiet."""
    print(line, file=sys.stderr)
