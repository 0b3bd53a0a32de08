"""A STUDY.toml -> a folder with all clips, frozen. Killed at any time, the same call goes on.

Knows what has to be made, and that a clip that was made of the same things is not made again. Refuses to know what a
system does (`systems.py`) and how a clip sounds (`clips.py`).

    manifest = make(Path("STUDY.toml"), Path("study"), say=print)

First come the prompts, as files that other systems can continue; then every clip, under a name that tells nothing; then
the checks; and last manifest.json, without which nothing is served.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from partimento.audio.loudness import loudness
from partimento.audio.sampler import Sound, render
from partimento.corpus.survey.labels import Labels
from partimento.errors import UserError
from partimento.evaluate.continuation.prompts import Prompt, Span, choose
from partimento.evaluate.folders import Played
from partimento.evaluate.listening.checks import headphone_question, nonsense
from partimento.evaluate.listening.clips import clip, levelled, music, write_clip
from partimento.evaluate.listening.manifest import (
    CLIPS,
    AttentionCheck,
    Clip,
    HeadphoneQuestion,
    Manifest,
    hash_of,
    sound_file,
)
from partimento.evaluate.listening.study import Study, read_study
from partimento.evaluate.listening.votes import VOTES
from partimento.evaluate.systems import System, systems_of
from partimento.files import replacing
from partimento.midi.performance import Performance

PROMPTS: Final = "prompts"
"""What other systems are given."""
PIANISTS: Final = "pianists"
"""How the pianists went on, for the report."""
GOOD, BAD = "attention, good", "attention, bad"
_RENDERER: Final = "1"
"""Goes up when clips are made in another way, so that old ones are not taken for new."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A clip to be made: whose, and everything that decides how it sounds."""

    system: str
    prompt: Prompt
    sample: int
    identity: str
    played: Callable[[], Played]


def make(
    path: Path,
    out: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda _done, _total: None,
) -> Manifest:
    """Makes the study of a STUDY.toml in the folder `out`, or what of it is missing.

    `progress` is told how many more clips are there, and of how many. Raises `UserError` for a study that cannot be,
    for files that are missing, and where votes were given on something else.
    """
    study = read_study(path)
    if (out / VOTES).exists():
        manifest = Manifest.read(out)
        if manifest.study != study:
            raise UserError(f"{out} has votes already, on another study than {path} now says; choose another folder")
        say(f"{out} has votes already and stays as it is")
        return manifest
    prompts, for_attention = _prompts(study, path.parent, say)
    systems = systems_of(study.systems, path.parent)
    (out / CLIPS).mkdir(parents=True, exist_ok=True)
    for prompt in prompts:
        _write_prompt(out, prompt, study.span)
    say(f"prompts to continue: {out / PROMPTS}")
    tasks = list(_tasks(study, systems, prompts))
    clips = []
    for task in tasks:
        clips.append(_made(study, out, task))
        progress(1, len(tasks))
    attention = tuple(_attention(study, out, prompt) for prompt in for_attention)
    manifest = Manifest(
        study=study,
        prompts=tuple(prompt.path.stem for prompt in prompts),
        clips=tuple(clips),
        attention=attention,
        headphones=tuple(_headphones(study, out)),
    )
    manifest.write(out)
    _remove_others(out, manifest)
    return manifest


def _prompts(study: Study, base: Path, say: Callable[[str], None]) -> tuple[list[Prompt], list[Prompt]]:
    """Those that are compared on, and those of the attention checks, which are the last ones."""
    asked, extra = study.prompts, study.checks.attention
    chosen = choose(
        base / asked.folder,
        study.span,
        labels=Labels.load(csv=None if asked.labels is None else base / asked.labels),
        split=asked.split,
        files=None if asked.count is None else asked.count + extra,
        say=say,
    )
    wanted = len(chosen) - extra if asked.count is None else asked.count
    if len(chosen) < wanted + extra or wanted < 1:
        raise UserError(
            f"prompts.folder holds {len(chosen)} pieces of {study.span.start + study.span.end:g} s or more; it takes "
            f"{max(wanted, 1)} to compare on and {extra} more for the attention checks"
        )
    names = [prompt.path.stem for prompt in chosen]
    if len(set(names)) < len(names):
        raise UserError(f"prompts.folder has two files called {max(names, key=names.count)!r}; rename one")
    return chosen[:wanted], chosen[wanted:]


def _write_prompt(out: Path, prompt: Prompt, span: Span) -> None:
    for folder, notes in ((PROMPTS, prompt.given), (PIANISTS, prompt.music.slice_time(0, span.end))):
        (out / folder).mkdir(parents=True, exist_ok=True)
        notes.write_midi(out / folder / f"{prompt.path.stem}.mid")
    sound = out / PROMPTS / f"{prompt.path.stem}.flac"
    if not sound.exists():
        write_clip(sound, render(prompt.given))


def _tasks(study: Study, systems: list[System], prompts: list[Prompt]) -> Iterator[_Task]:
    """All continuations; whatever is missing is said before the first is made."""
    for system in systems:
        table = next(dict(each) for each in study.systems if each["name"] == system.name)
        for prompt in prompts:
            for sample in range(system.samples(study.clips.samples)):
                identity = json.dumps([table, system.identity(prompt, sample=sample)], sort_keys=True)

                def played(system: System = system, prompt: Prompt = prompt, sample: int = sample) -> Played:
                    return system.continuation(prompt, study.span, sample=sample, seed=study.seed)

                yield _Task(system=system.name, prompt=prompt, sample=sample, identity=identity, played=played)


def _made(study: Study, out: Path, task: _Task) -> Clip:
    """The clip of a task; its record is written last, so a clip that has one is whole."""
    facts = [_RENDERER, study.seed, asdict(study.span), study.clips.loudness, task.system, task.sample]
    id_ = _id(*facts, task.prompt.path.stem, task.prompt.sha256, task.identity)
    record = out / CLIPS / f"{id_}.json"
    if not record.exists():
        played = task.played()
        sound = clip(task.prompt, played, study.span, loudness=study.clips.loudness)
        write_clip(sound_file(out, id_), sound)
        if isinstance(played, Performance):
            music(task.prompt, played, study.span).write_midi(out / CLIPS / f"{id_}.mid")
        _write_json(record, _record(out, id_, task, sound, notes=isinstance(played, Performance)))
    return Clip(**json.loads(record.read_text(encoding="utf-8")))


def _record(out: Path, id_: str, task: _Task, sound: Sound, *, notes: bool) -> dict[str, Any]:
    return {
        "id": id_,
        "system": task.system,
        "prompt": task.prompt.path.stem,
        "sample": task.sample,
        "sha256": hash_of(sound_file(out, id_)),
        "loudness": round(loudness(sound), 3),
        "notes": notes,
    }


def _attention(study: Study, out: Path, prompt: Prompt) -> AttentionCheck:
    def good() -> Played:
        return prompt.music.slice_time(study.span.prompt, study.span.end).shift(study.span.prompt)

    def bad() -> Played:
        return nonsense(prompt, study.span, np.random.default_rng([study.seed, int(prompt.sha256, 16)]))

    made = [
        _made(study, out, _Task(system=system, prompt=prompt, sample=0, identity="", played=played))
        for system, played in ((GOOD, good), (BAD, bad))
    ]
    return AttentionCheck(good=made[0], bad=made[1])


def _headphones(study: Study, out: Path) -> Iterator[HeadphoneQuestion]:
    for k in range(study.checks.headphones * study.checks.attempts):
        sound, answer = headphone_question(np.random.default_rng([study.seed, k]))
        id_ = _id(_RENDERER, study.seed, study.clips.loudness, "headphones", k)
        path = sound_file(out, id_)
        if not path.exists():
            write_clip(path, levelled(sound, study.clips.loudness))
        yield HeadphoneQuestion(id=id_, sha256=hash_of(path), answer=answer)


def _remove_others(out: Path, manifest: Manifest) -> None:
    """What an earlier STUDY.toml made in this folder and this one does not use."""
    for path in (out / CLIPS).iterdir():
        if path.stem not in manifest.files:
            path.unlink()


def _id(*facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(value) + "\n", encoding="utf-8")
