"""Held-out prompts, what a model makes of them, and what it thinks of how the pianists went on.

Knows: which files become prompts, which other piece each is compared with, and that a run that was killed goes on.
Refuses to know what makes a continuation good (`continuation_scores.py`).

    prompts = choose(Path("midi"), Span(), labels=Labels.load(csv=Path("labels.csv")), split="validation", files=40)
    run = Run.begin(Path("out"), prompts, Span(), engine, Settings(seconds=45.0), model="bundled")
    continued = run.complete(say=print)

Every prompt is of another piece, so that another prompt's continuation is unrelated music.

Shape legend: n prompts, T ids, R the last of them, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from partimento.corpus.labels import Labels
from partimento.corpus.metadata import words
from partimento.errors import UserError
from partimento.evaluate.tasks import HASH_LENGTH, content_key, contents
from partimento.files import replacing
from partimento.generate.engine import Engine
from partimento.generate.events import latest, spell, split
from partimento.generate.settings import Settings
from partimento.generate.start import begin
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError
from partimento.model.export.onnx_folder import GRAPH_FILE
from partimento.model.hub import locate
from partimento.tokens.vocabulary import SEGMENT_MS, Kind

Half = Literal["all", "first", "second"]
"""Which files by their content: accept_or_resample how to sample on the first half, report on the second."""

LEAST_NOTES: Final = 8
"""Notes without which nothing can be said of a prompt."""
MOST_IDS: Final = 3
"""Ids of an event: head, onset, duration; the <T> between events come on top."""
_LIVE: Final = re.compile(r" - live\b.*", re.IGNORECASE)
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Seconds: where a prompt begins after the first note, how long it is, and how long what follows it is."""

    start: float = 0.0
    prompt: float = 15.0
    seconds: float = 45.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and self.start >= 0):
            raise UserError(f"a prompt begins 0 s or more after the first note, not {self.start}")
        if not (math.isfinite(self.prompt) and self.prompt > 0):
            raise UserError(f"prompts must be longer than 0 s, not {self.prompt}")
        if not (math.isfinite(self.seconds) and self.seconds > 0 and (self.seconds / self.prompt).is_integer()):
            raise UserError(
                f"what follows is compared in windows as long as the prompt, so seconds must be {self.prompt:g} s "
                f"or twice, three times ... as long, not {self.seconds:g}"
            )

    @property
    def end(self) -> float:
        """Where the comparison ends on the prompt's clock."""
        return self.prompt + self.seconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """A performance from the start of the prompt on (`music`), and what of it a model is given."""

    sha256: str
    path: Path
    collection: str
    music: Performance
    given: Performance


def choose(
    folder: Path,
    span: Span,
    *,
    labels: Labels | None = None,
    split: str | None = None,
    half: Half = "all",
    files: int | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Prompt]:
    """The prompts of a folder: long enough, a file of each piece, the collections by turns, ordered by content.

    Labels give split, collection and title; without, a file's folder is its collection and its name the title. Asking
    for more `files` adds to the end. Raises `UserError` where there are not even two.
    """
    by_collection: dict[str, list[tuple[str, Path, str, str]]] = defaultdict(list)
    for sha256, path in sorted(contents(folder).items()):
        inside = path.relative_to(folder)
        said = {name: value for name, (value, _) in (labels or Labels()).of(str(folder), inside.as_posix()).items()}
        if split is None or said.get("declared_split") == split:
            piece = " ".join(words(_LIVE.sub("", said.get("title", path.stem)))) or path.stem
            collection = said.get("collection", [folder.name, *inside.parts][-2])
            by_collection[collection].append((sha256, path, collection, piece))
    pieces: set[str] = set()
    turns = [_suiting(found, span, pieces, half, say) for _, found in sorted(by_collection.items())]
    chosen = list(islice(_by_turns(turns), files))
    if len(chosen) < 2:
        raise UserError(
            f"{folder}: {len(chosen)} files{f' of split {split!r}' if split else ''} are long enough "
            f"({span.start + span.end:g} s from their first note); it takes two of different pieces"
        )
    return chosen


def _suiting(
    found: Sequence[tuple[str, Path, str, str]],
    span: Span,
    pieces: set[str],
    half: Half,
    say: Callable[[str], None] | None,
) -> Iterator[Prompt]:
    for sha256, path, collection, piece in found:
        if piece in pieces:
            continue
        try:
            whole = Performance.from_midi(path)
        except MidiError as error:
            if say is not None:
                say(f"left out: {error}")
            continue
        later = whole.onset_seconds[whole.onset_seconds >= whole.onset_seconds[:1].sum() + span.start]
        if not len(later):
            continue
        music = whole.slice_time(later[0], math.inf)
        given = music.slice_time(0, span.prompt)
        if len(given) < LEAST_NOTES or music.onset_seconds[-1] < span.end:
            continue
        pieces.add(piece)  # whichever half it is in, or a piece would be in both
        if half == "all" or (half == "first") == (int(sha256[-1], 16) < 8):
            yield Prompt(sha256=sha256, path=path, collection=collection, music=music, given=given)


def _by_turns(turns: list[Iterator[Prompt]]) -> Iterator[Prompt]:
    while turns:
        for turn in list(turns):
            following = next(turn, None)
            if following is None:
                turns.remove(turn)
            else:
                yield following


def others(prompts: int, *, seed: int, step: int = 1) -> NDArray[np.int64]:
    """For each of n prompts another one, all of them once [n]: in a random circle, so many steps on."""
    order = np.random.default_rng(seed).permutation(prompts)
    other_n = np.empty(prompts, np.int64)
    other_n[order] = np.roll(order, -step)
    return other_n


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Continued:
    """What a model made of a prompt, on the prompt's clock, and nats of what the pianist played, by the same model.

    `nats_unrelated` are those of the same `notes` notes behind the prompt of the other piece.
    """

    music: Performance
    notes: int
    nats: float
    nats_unrelated: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A folder that fills with continuations: NAME.mid to listen to, NAME.json to measure, run.json of how."""

    out: Path
    prompts: Sequence[Prompt]
    span: Span
    engine: Engine
    settings: Settings

    @classmethod
    def begin(
        cls, out: Path, prompts: Sequence[Prompt], span: Span, engine: Engine, settings: Settings, *, model: str
    ) -> Run:
        """Begins, or goes on where another has stopped. `UserError` if that was about anything else.

        `settings` with the length of the span, and the model's own sampling where it names none.
        """
        sampling = settings.sampling or engine.abilities.sampling
        settings = replace(settings, seconds=span.seconds, notes=None, variations=1, sampling=sampling)
        graph = Path(model) / GRAPH_FILE
        facts = {
            "prompts": [prompt.sha256 for prompt in prompts],
            "span": dataclasses.asdict(span),
            "model": content_key(graph if graph.is_file() else locate(model)),
            "engine": engine.backend.description,
            "settings": dataclasses.asdict(settings),
        }
        out.mkdir(parents=True, exist_ok=True)
        path = out / "run.json"
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            for name, value in facts.items():
                if before.get(name) != value:
                    raise UserError(f"{out} was begun with other {name}: {before.get(name)}; choose another folder")
        _write_json(path, facts)
        return cls(out=out, prompts=prompts, span=span, engine=engine, settings=settings)

    def complete(self, say: Callable[[str], None] | None = None) -> list[Continued]:
        """All prompts continued, those that were not yet; `say` is told of each, and how long the rest will take."""
        other_n = others(len(self.prompts), seed=self.settings.seed)
        missing = [i for i, prompt in enumerate(self.prompts) if not self._file(prompt, "json").exists()]
        began = time.perf_counter()
        for done, i in enumerate(missing, start=1):
            record = self._continue(self.prompts[i], self.prompts[other_n[i]])
            _write_json(self._file(self.prompts[i], "json"), record)
            if say is not None:
                left = (time.perf_counter() - began) / done * (len(missing) - done)
                notes = len(record["music"]["pitch"])
                say(f"{done} of {len(missing)}: {self.prompts[i].path.name}, {notes} notes; {left / 60:.0f} min left")
        return [_read(self._file(prompt, "json")) for prompt in self.prompts]

    def _continue(self, prompt: Prompt, other: Prompt) -> dict[str, Any]:
        (made,) = self.engine.continue_(prompt.given, settings=self.settings, from_seconds=self.span.prompt)
        made.performance.write_midi(self._file(prompt, "mid"))
        own, unrelated = (self._nats(before.given, prompt) for before in (prompt, other))
        return {
            "prompt": prompt.path.name,
            "music": _columns(made.generated),
            "retries": made.retries,
            "tokens_per_s": made.timings.tokens_per_s,
            "notes": own[1],
            "nats": own[0],
            "nats_unrelated": unrelated[0],
        }

    def _nats(self, given: Performance, prompt: Prompt) -> tuple[float, int]:
        """Nats of what follows a prompt behind what is given, and its notes; of either as much as fills half a context.

        Which notes these are does not depend on what is given, so that two can be compared.
        """
        v, context, pedal = self.engine.vocabulary, self.engine.context, self.engine.abilities.pedal_tokens
        truth = prompt.music.slice_time(self.span.prompt, self.span.end).shift(self.span.prompt)
        heard, whole = (begin(v, music, context=context, pedal=pedal) for music in (given, given.merge(truth)))
        lead, origin = latest(v, heard.prefix, heard.events, context - context // 2)
        most = max(1, (context // 2 - 1 - int(self.span.end * 1000) // SEGMENT_MS) // MOST_IDS)
        follow = [replace(event, ms=event.ms - origin) for event in whole.events[len(heard.events) :][:most]]
        ids = spell(v, heard.prefix, [*split(v, lead)[1], *follow], origin=0)
        cache = self.engine.backend.cache(batch=1, capacity=len(ids))
        logits_RV = self.engine.read([ids[:-1]], cache, last=len(ids) - len(lead))[0].astype(np.float64)
        highest_R = logits_RV.max(axis=1)
        mass_R = np.exp(logits_RV - highest_R[:, None]).sum(axis=1)
        nats_R = highest_R + np.log(mass_R) - logits_RV[np.arange(len(logits_RV)), ids[len(lead) :]]
        return float(nats_R.sum()), int((v.kind_of[ids[len(lead) :]] == Kind.DURATION).sum())

    def _file(self, prompt: Prompt, suffix: str) -> Path:
        return self.out / f"{prompt.path.stem[:80]}-{prompt.sha256[: HASH_LENGTH // 2]}.{suffix}"


def _columns(music: Performance) -> dict[str, Any]:
    """Generated music exactly: its times are whole milliseconds."""
    notes = {name: getattr(music, name).tolist() for name in ("pitch", "velocity")}
    times = {f"{name}_ms": (getattr(music, name) // _NS_PER_MS).tolist() for name in ("onset", "duration")}
    pedal = np.stack([music.pedal_down, music.pedal_up], axis=1) // _NS_PER_MS
    return {**notes, **times, "pedal_ms": pedal.tolist()}


def _read(path: Path) -> Continued:
    record = json.loads(path.read_text(encoding="utf-8"))
    music = record["music"]
    return Continued(
        music=Performance.from_notes(
            pitch=music["pitch"],
            velocity=music["velocity"],
            onset=np.array(music["onset_ms"]) / 1000,
            duration=np.array(music["duration_ms"]) / 1000,
            pedal=[(down / 1000, up / 1000) for down, up in music["pedal_ms"]],
        ),
        notes=record["notes"],
        nats=record["nats"],
        nats_unrelated=record["nats_unrelated"],
    )


def _write_json(path: Path, record: dict[str, Any]) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(record) + "\n", encoding="utf-8")
