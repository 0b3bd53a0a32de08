"""What a model makes of held-out prompts, and what it thinks of how the pianists went on.

Knows that a run that was killed goes on. Refuses to know which files are prompts (`prompts.py`), and what makes a
continuation good (`scores.py`).

    prompts = choose(Path("midi"), Span(), labels=Labels.load(csv=Path("labels.csv")), split="validation", files=40)
    ours = OurModel.of(engine, Settings(seed=1), model="bundled")
    continued = Run.begin(Path("out"), prompts, Span(), ours, seed=1).complete(say=print)

Shape legend: R the last of some tokens, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from partimento.errors import UserError
from partimento.evaluate.continuation.prompts import Prompt, Span, others
from partimento.evaluate.tasks import HASH_LENGTH, content_key
from partimento.export.onnx_folder import GRAPH_FILE
from partimento.files import replacing
from partimento.generate.engine import Engine
from partimento.generate.prompt.events import latest, spell, split
from partimento.generate.prompt.start import begin
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance
from partimento.model.hub import locate
from partimento.tokens.vocabulary import SEGMENT_MS, Kind

MOST_TOKENS: Final = 3
"""Tokens of an event: head, onset, duration; the <T> between events come on top."""
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Continued:
    """What a model made of a prompt, on the prompt's clock, and nats of what the pianist played, by the same model.

    `nats_unrelated` are those of the same `notes` notes behind the prompt of the other piece; None where a system does
    not say.
    """

    music: Performance
    notes: int
    nats: float | None
    nats_unrelated: float | None


class Player(Protocol):
    """Whoever goes on where a prompt ends."""

    @property
    def made_of(self) -> Mapping[str, Any]:
        """What decides its continuations, as JSON has it: a run goes on with the same only."""

    def music(self, prompt: Prompt, span: Span) -> Performance:
        """New notes on the prompt's clock, from `span.prompt` on."""

    def nats(self, given: Performance, prompt: Prompt, span: Span) -> tuple[float, int] | None:
        """Nats of what follows a prompt behind what is given, and its notes; None from those that cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OurModel:
    """A model of ours, and how it is sampled."""

    engine: Engine
    settings: Settings
    model: str

    @classmethod
    def of(cls, engine: Engine, settings: Settings, *, model: str) -> OurModel:
        """`settings` with the model's own sampling where they name none, and the length of each span."""
        sampling = settings.sampling or engine.abilities.sampling
        return cls(engine=engine, model=model, settings=replace(settings, notes=None, variations=1, sampling=sampling))

    @property
    def made_of(self) -> Mapping[str, Any]:
        """The model's content, what computes, the settings."""
        settings = dataclasses.asdict(replace(self.settings, seconds=None))
        return {"model": model_key(self.model), "engine": self.engine.backend.description, "settings": settings}

    def music(self, prompt: Prompt, span: Span) -> Performance:
        """Continued by the engine."""
        settings = replace(self.settings, seconds=span.seconds)
        (made,) = self.engine.continue_(prompt.given, settings=settings, from_seconds=span.prompt)
        return made.generated

    def nats(self, given: Performance, prompt: Prompt, span: Span) -> tuple[float, int]:
        """Nats of what follows a prompt behind what is given, and its notes; of either as much as fills half a context.

        Which notes these are does not depend on what is given, so that two can be compared.
        """
        v, context, pedal = self.engine.vocabulary, self.engine.context, self.engine.abilities.pedal_tokens
        truth = prompt.music.slice_time(span.prompt, span.end).shift(span.prompt)
        heard, whole = (begin(v, music, context=context, pedal=pedal) for music in (given, given.merge(truth)))
        lead, origin = latest(v, heard.prefix, heard.events, context - context // 2)
        most = max(1, (context // 2 - 1 - int(span.end * 1000) // SEGMENT_MS) // MOST_TOKENS)
        follow = [replace(event, ms=event.ms - origin) for event in whole.events[len(heard.events) :][:most]]
        tokens = spell(v, heard.prefix, [*split(v, lead)[1], *follow], origin=0)
        cache = self.engine.backend.cache(batch=1, capacity=len(tokens))
        logits_RV = self.engine.read([tokens[:-1]], cache, last=len(tokens) - len(lead))[0].astype(np.float64)
        highest_R = logits_RV.max(axis=1)
        mass_R = np.exp(logits_RV - highest_R[:, None]).sum(axis=1)
        nats_R = highest_R + np.log(mass_R) - logits_RV[np.arange(len(logits_RV)), tokens[len(lead) :]]
        return float(nats_R.sum()), int((v.kind_of[tokens[len(lead) :]] == Kind.DURATION).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A folder that fills with continuations: NAME.mid to listen to, NAME.json to measure, run.json of how.

    `seed` says beside which other piece's prompt each is looked at.
    """

    out: Path
    prompts: Sequence[Prompt]
    span: Span
    player: Player
    seed: int

    @classmethod
    def begin(cls, out: Path, prompts: Sequence[Prompt], span: Span, player: Player, *, seed: int) -> Run:
        """Begins, or goes on where another has stopped. `UserError` if that was about anything else."""
        facts = {
            "prompts": [prompt.sha256 for prompt in prompts],
            "span": dataclasses.asdict(span),
            "seed": seed,
            **json.loads(json.dumps(player.made_of)),
        }
        out.mkdir(parents=True, exist_ok=True)
        path = out / "run.json"
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            for name, value in facts.items():
                if before.get(name) != value:
                    raise UserError(f"{out} was begun with other {name}: {before.get(name)}; choose another folder")
        _write_json(path, facts)
        return cls(out=out, prompts=prompts, span=span, player=player, seed=seed)

    def complete(self, say: Callable[[str], None] | None = None) -> list[Continued]:
        """All prompts continued, those that were not yet; `say` is told of each, and how long the rest will take."""
        other_n = others(len(self.prompts), seed=self.seed)
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
        music = self.player.music(prompt, self.span)
        prompt.given.merge(music).write_midi(self._file(prompt, "mid"))
        own, unrelated = (self.player.nats(before.given, prompt, self.span) for before in (prompt, other))
        return {
            "prompt": prompt.path.name,
            "music": _columns(music),
            "notes": own[1] if own else 0,
            "nats": own[0] if own else None,
            "nats_unrelated": unrelated[0] if unrelated else None,
        }

    def _file(self, prompt: Prompt, suffix: str) -> Path:
        return self.out / f"{prompt.path.stem[:80]}-{prompt.sha256[: HASH_LENGTH // 2]}.{suffix}"


def model_key(model: str) -> str:
    """What a model is known by: its content, whatever it is called."""
    graph = Path(model) / GRAPH_FILE
    return content_key(graph if graph.is_file() else locate(model))


def _columns(music: Performance) -> dict[str, Any]:
    """Generated music exactly, since its times are whole milliseconds; other music to the millisecond."""
    notes = {name: getattr(music, name).tolist() for name in ("pitch", "velocity")}
    onset, duration = music.onset // _NS_PER_MS, np.maximum(music.duration // _NS_PER_MS, 1)
    pedal = np.stack([music.pedal_down, music.pedal_up], axis=1) // _NS_PER_MS
    return {**notes, "onset_ms": onset.tolist(), "duration_ms": duration.tolist(), "pedal_ms": pedal.tolist()}


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
