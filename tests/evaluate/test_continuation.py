"""Continuations beside the pianists' own: what truth, unrelated music and a transposition score; runs that go on."""

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.audio.files import write_sound
from partimento.cli import main
from partimento.corpus.survey.labels import Labels
from partimento.errors import UserError
from partimento.evaluate.continuation.prompts import Prompt, Span, choose, others
from partimento.evaluate.continuation.report import AskedSystem, judged, markdown
from partimento.evaluate.continuation.run import Continued, OurModel, Run
from partimento.evaluate.continuation.scores import (
    MODEL,
    PIANISTS,
    PITCH_CLASSES,
    PROMPT,
    UNRELATED,
    Finding,
    findings,
    measured,
    median,
    nats_a_note,
)
from partimento.evaluate.folders import AudioFolder
from partimento.generate.decode.sampling import Sampling
from partimento.generate.engine import Engine
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

torch.set_num_threads(1)
SHORT = Span(prompt=3.0, seconds=6.0)


def piece(seed: int, seconds: float = 62.0) -> Performance:
    """Music with a key, a pulse, a density and a loudness of its own, which wander."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(4, 12)
    onset = np.cumsum(rng.gamma(4, 1 / (4 * rate), int(rate * seconds * 1.5)))
    onset = onset[onset < seconds] - onset[0]
    scale = (np.array([0, 2, 4, 5, 7, 9, 11]) + seed) % 12
    wander = np.clip(np.cumsum(rng.normal(0, 0.5, len(onset))), -9, 9)
    return Performance.from_notes(
        pitch=48 + rng.choice(scale, len(onset)) + 12 * rng.integers(0, 3, len(onset)),
        velocity=(rng.integers(40, 90) + wander).astype(int),
        onset=onset.round(2),
        duration=rng.uniform(0.1, 2.0 / rate * 4, len(onset)).round(2),
    )


def prompts_of(music: list[Performance], span: Span) -> list[Prompt]:
    return [
        Prompt(
            sha256=f"{i:016x}",
            path=Path(f"{i}.mid"),
            collection="made",
            music=one,
            given=one.slice_time(0, span.prompt),
        )
        for i, one in enumerate(music)
    ]


def after(music: Performance, span: Span) -> Continued:
    """Music of which the part behind the prompt is what a model made."""
    return Continued(music=music.slice_time(span.prompt, 1e6).shift(span.prompt), notes=1, nats=1.0, nats_unrelated=2.0)


SPAN = Span()
PIECES = prompts_of([piece(seed) for seed in range(6)], SPAN)
SURE = {"notes/s", "duration, s", "velocity", "pitch classes", "key"}
"""What these pieces keep, so that unrelated ones are told from them."""


def whole(continued: list[Continued], prompts: list[Prompt] = PIECES) -> dict[str, Finding]:
    found = [finding for one in measured(prompts, continued, SPAN, seed=0) for finding in findings(one)]
    return {finding.descriptor.name: finding for finding in found if finding.whole}


def test_what_the_pianist_played_scores_1_in_everything():
    for one in measured(PIECES, [after(prompt.music, SPAN) for prompt in PIECES], SPAN, seed=0):
        for finding in findings(one):
            score, (low, high) = finding.scores[MODEL]
            assert np.isnan(score) or score == low == high == 1, finding.descriptor.name
            assert finding.medians[MODEL] == finding.medians[PIANISTS]
            assert finding.difference == (0, (0, 0))
    found = whole([after(prompt.music, SPAN) for prompt in PIECES])
    assert {name for name, finding in found.items() if finding.scores[MODEL][0] == 1} >= SURE


def test_unrelated_music_scores_0_in_everything():
    """With every other piece in its turn: each prompt is compared with all of them."""
    steps = [others(len(PIECES), seed=0, step=step) for step in range(1, len(PIECES))]
    scores = [whole([after(PIECES[i].music, SPAN) for i in other]) for other in steps]
    for name in SURE:
        assert np.mean([each[name].scores[MODEL][0] for each in scores]) == pytest.approx(0, abs=1e-9), name


def test_of_two_prompts_the_other_ones_music_scores_exactly_0():
    two = [PIECES[0], PIECES[1]]
    (one,) = (
        m
        for m in measured(two, [after(PIECES[1].music, SPAN), after(PIECES[0].music, SPAN)], SPAN, seed=0)
        if m.descriptor == PITCH_CLASSES
    )
    for finding in findings(one):
        assert finding.distances[MODEL] == finding.distances[UNRELATED]
        assert finding.scores[MODEL][0] == 0


def test_a_transposition_costs_pitch_classes_and_key_alone():
    found = whole([after(prompt.music.transpose(1), SPAN) for prompt in PIECES])
    for name in SURE:
        if name in ("pitch classes", "key"):
            assert found[name].scores[MODEL][0] < 0.9
        else:
            assert found[name].scores[MODEL][0] == 1
    for name in found.keys() - {"pitch classes", "key"}:
        assert found[name].difference == (0, (0, 0))


def test_an_eighth_of_the_speed_costs_density_and_nothing_is_cut_off():
    found = whole([after(prompt.music.stretch(8.0), SPAN) for prompt in PIECES])
    assert found["notes/s"].scores[MODEL][0] < -1
    assert found["pitch classes"].scores[MODEL][0] > 0.5
    move, (low, high) = found["notes/s"].moves[MODEL]
    assert low < move < high < np.log(0.5)


def test_the_prompt_again_and_again_scores_above_1_like_no_change_at_all():
    again = []
    for prompt in PIECES:
        copies = [prompt.given.shift(SPAN.prompt * k) for k in (1, 2, 3)]
        again.append(after(copies[0].merge(copies[1]).merge(copies[2]), SPAN))
    for name, finding in whole(again).items():
        model, still = finding.scores[MODEL][0], finding.scores[PROMPT][0]
        assert model == pytest.approx(still, nan_ok=True) and (name not in SURE or model > 1), name


def test_silence_is_said_to_be_silence():
    nothing = Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[])
    found = whole([after(nothing, SPAN)] * len(PIECES))
    assert found["silence"].medians[MODEL] == (1.0, (1.0, 1.0))
    assert found["notes/s"].scores[MODEL][0] < 0 and found["pitch classes"].scores[MODEL][0] < 0
    assert np.isnan(found["duration, s"].scores[MODEL][0]) and np.isnan(found["duration, s"].medians[MODEL][0])


def test_the_score_is_the_ratio_of_means_of_plain_loops():
    made = [after(piece(100 + i), SPAN) for i in range(len(PIECES))]
    found = whole(made)["notes/s"]

    def per_second(music: Performance, start: float) -> float:
        return sum(start <= onset < start + 15 for onset in music.onset_seconds) / 15

    def mean_distance(pairs: list[tuple[Performance, Performance]]) -> float:
        off = [
            abs(math.log((per_second(music, start) + 0.2) / (per_second(prompt, 0.0) + 0.2)))
            for prompt, music in pairs
            for start in (15.0, 30.0, 45.0)
        ]
        return sum(off) / len(off)

    music = [prompt.music for prompt in PIECES]
    model = mean_distance([(a, b.music) for a, b in zip(music, made, strict=True)])
    pianists = mean_distance([(a, a) for a in music])
    unrelated = mean_distance([(a, b) for a in music for b in music if a is not b])
    assert found.distances[UNRELATED][0] == pytest.approx(unrelated)
    assert found.scores[MODEL][0] == pytest.approx((unrelated - model) / (unrelated - pianists))


def test_intervals_hold_what_they_promise():
    """Of 100 samples of a known mean, the share whose interval of the mean holds it is near 95 %."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(100):
        nats = rng.gamma(4, 1, 40)
        _, (low, high) = nats_a_note(
            [Continued(music=PIECES[0].music, notes=1, nats=x, nats_unrelated=0) for x in nats]
        )
        held += low <= 4 <= high
    assert 85 <= held <= 99


@settings(max_examples=30)
@given(st.lists(st.floats(-5, 5) | st.just(float("nan")), min_size=1, max_size=12), st.integers(0, 3))
def test_the_median_is_numpys(values, seed):
    middle, (low, high) = median(np.array(values), seed=seed)
    if np.isnan(values).all():
        assert np.isnan(middle)
    else:
        assert middle == pytest.approx(np.nanmedian(values)) and low <= high


@given(st.integers(2, 50), st.integers(0, 5))
def test_no_prompt_is_compared_with_itself_and_each_is_used_once(prompts, seed):
    circles = np.array([others(prompts, seed=seed, step=step) for step in range(1, prompts)])
    for other in circles:
        assert sorted(other.tolist()) == list(range(prompts))
        assert all(other != np.arange(prompts))
    for of_one in circles.T:
        assert len(set(of_one.tolist())) == prompts - 1
    assert np.array_equal(circles[0], others(prompts, seed=seed))


# -- choosing ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three collections: of jazz many, two recordings of a sonata, a short one, one that is too short, one broken."""
    for i in range(12):
        (tmp_path / "midi" / "jazz").mkdir(parents=True, exist_ok=True)
        piece(i, 12.0).write_midi(tmp_path / "midi" / "jazz" / f"tune {'abcdefghijkl'[i]}.mid")
    for collection, name, seed, seconds in (
        ("sonatas", "moonlight 1", 20, 12.0),
        ("sonatas", "moonlight 2", 21, 12.0),
        ("sonatas", "tempest", 22, 12.0),
        ("short", "fragment", 23, 5.0),
    ):
        (tmp_path / "midi" / collection).mkdir(exist_ok=True)
        piece(seed, seconds).write_midi(tmp_path / "midi" / collection / f"{name}.mid")
    (tmp_path / "midi" / "jazz" / "broken.mid").write_bytes(b"MThd")
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "title", "split", "dataset"])
        for path in sorted((tmp_path / "midi").rglob("*.mid")):
            title = {"moonlight 1": "Moonlight - Live in Bonn", "moonlight 2": "Moonlight"}.get(path.stem, path.stem)
            split = "validation" if path.stem != "tempest" else "train"
            rows.writerow([path.relative_to(tmp_path / "midi").as_posix(), title, split, f"the {path.parent.name}"])
    return tmp_path / "midi"


def test_one_file_of_a_piece_collections_by_turns_and_the_split(folder: Path):
    labels, said = Labels.load(csv=folder.parent / "labels.csv"), []
    chosen = choose(folder, SHORT, labels=labels, split="validation", say=said.append)
    assert [prompt.collection for prompt in chosen[:3]] == ["the jazz", "the sonatas", "the jazz"]
    assert sum(prompt.path.stem.startswith("moonlight") for prompt in chosen) == 1
    assert len(chosen) == 13 and not any(prompt.path.stem in ("tempest", "fragment") for prompt in chosen)
    assert len(said) == 1 and "broken.mid" in said[0]
    for prompt in chosen:
        assert prompt.given.onset[0] == prompt.music.onset[0] == 0
        assert prompt.given.onset_seconds[-1] < SHORT.prompt
    fewer = choose(folder, SHORT, labels=labels, split="validation", files=5)
    assert [prompt.sha256 for prompt in fewer] == [prompt.sha256 for prompt in chosen[:5]]
    assert len(choose(folder, SHORT)) == 15  # nothing is known of titles, so the sonata is two pieces


def test_the_halves_share_no_file_and_are_all(folder: Path):
    halves = [choose(folder, SHORT, half=half) for half in ("first", "second")]
    names = [{prompt.sha256 for prompt in chosen} for chosen in halves]
    assert not names[0] & names[1]
    assert names[0] | names[1] == {prompt.sha256 for prompt in choose(folder, SHORT)}


def test_prompts_may_begin_later(folder: Path):
    later = {p.sha256: p for p in choose(folder, Span(start=2.0, prompt=3.0, seconds=6.0))}
    for prompt in choose(folder, SHORT):
        if prompt.sha256 in later:
            onset = prompt.music.onset
            assert np.array_equal(later[prompt.sha256].music.onset, onset[onset >= 2e9] - onset[onset >= 2e9][0])


@pytest.mark.parametrize("wrong", [{"prompt": 0}, {"seconds": 20.0}, {"start": -1.0}, {"seconds": 0.0}])
def test_spans_that_cannot_be_are_refused(wrong):
    with pytest.raises(UserError, match="prompt"):
        Span(**wrong)


def test_too_few_files_are_refused(folder: Path):
    with pytest.raises(UserError, match="0 files are long enough"):
        choose(folder, SPAN)


# -- running ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    v = Vocabulary.piano()
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save(path, Transformer(ModelConfig.named("debug", vocab_size=len(v), context=512)), v)
    return str(path)


def begun(out: Path, model: str, **changes) -> Run:
    engine = Engine.load(model, engine="torch")
    prompts = prompts_of([piece(seed, 10.0) for seed in range(3)], SHORT)
    return Run.begin(out, prompts, SHORT, OurModel.of(engine, Settings(**{"seed": 1, **changes}), model=model), seed=1)


@pytest.fixture(scope="module")
def run(model: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that is complete."""
    run = begun(tmp_path_factory.mktemp("whole"), model)
    run.complete()
    return run


def test_a_run_that_was_killed_goes_on_to_the_same_table(run: Run, model: str, tmp_path: Path):
    class Killed(Exception):
        pass

    def kill_after_two(line: str) -> None:
        if line.startswith("2 of 3"):
            raise Killed

    with pytest.raises(Killed):
        begun(tmp_path, model).complete(kill_after_two)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*-*.json")}
    assert len(written) == 2
    said: list[str] = []
    again = begun(tmp_path, model)
    tables = [
        markdown([judged("random", one.prompts, one.complete(said.append), SHORT, seed=1)], "about")
        for one in (again, run)
    ]
    assert tables[0] == tables[1]
    assert len(said) == 1 and said[0].startswith("1 of 1")
    assert all(path.stat().st_mtime_ns == when for path, when in written.items())


def test_a_folder_of_other_settings_is_refused(run: Run, model: str):
    with pytest.raises(UserError, match="begun with other settings"):
        begun(run.out, model, sampling=Sampling(min_p=0.5))


def test_what_is_read_back_is_what_the_engine_made(run: Run):
    prompt, one = run.prompts[0], run.complete()[0]
    settings = dataclasses.replace(run.player.settings, seconds=SHORT.seconds)
    (made,) = run.player.engine.continue_(prompt.given, settings=settings, from_seconds=SHORT.prompt)
    for name in ("pitch", "velocity", "onset", "duration"):
        assert np.array_equal(getattr(one.music, name), getattr(made.generated, name)), name
    (heard,) = run.out.glob(f"0-{prompt.sha256[:8]}.mid")
    assert len(Performance.from_midi(heard)) == len(made.performance)


def test_nats_are_those_of_the_whole_sequence_read_at_once(run: Run):
    """From the tokenizer's ids of prompt and truth, by the transformer itself, without engine or cache."""
    network, v = run.player.engine.backend.model, run.player.engine.vocabulary
    for prompt, one in zip(run.prompts, run.complete(), strict=True):
        truth = prompt.music.slice_time(SHORT.prompt, SHORT.end).shift(SHORT.prompt)
        ids = Tokenizer(v).encode(prompt.given.merge(truth), end=False, remove_silence=False)
        first = len(Tokenizer(v).encode(prompt.given, end=False, remove_silence=False))
        assert len(ids) <= 512  # all of it is in the context
        with torch.inference_mode():
            logits = network(torch.tensor([ids[:-1].tolist()]))[0]
        nats = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:].tolist()), reduction="none").numpy()
        assert one.notes == len(truth)
        assert one.nats == pytest.approx(nats[first - 1 :].sum(), rel=1e-4)
        assert one.nats_unrelated != one.nats


def test_a_context_that_is_too_short_holds_the_end_of_the_prompt_and_the_beginning_of_the_rest(model: str):
    """Half of it each, in whole notes, and the same ones behind whatever prompt."""
    engine = Engine.load(model, engine="torch", window=128)
    prompts = prompts_of([piece(seed, 62.0) for seed in range(2)], SPAN)
    ours = OurModel.of(engine, Settings(), model=model)
    for prompt in prompts:
        notes = {ours.nats(before.given, prompt, SPAN)[1] for before in prompts}
        assert notes == {(64 - 1 - 60_000 // 5_000) // 3}


def test_the_command_from_files_to_the_table(folder: Path, model: str, tmp_path: Path, capsys):
    out = tmp_path / "out"
    argv = ["evaluate", "continuation", "--data", str(folder), "--model", model, "--engine", "torch", "-o", str(out)]
    argv += ["--labels", str(folder.parent / "labels.csv"), "--split", "validation", "--prompts", "2"]
    argv += ["--prompt-seconds", "3", "--seconds", "3", "--temperature", "0.9", "--min-p", "0"]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert "2 prompts of 3 s and 3 s after each: 1 of the jazz, 1 of the sonatas." in printed
    assert "2 of 2" in printed
    table = (out / "continuation.md").read_text()
    assert "temperature=0.9" in table and "| pitch classes |" in table
    with (out / "continuation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["descriptor"] for row in rows} >= {"notes/s", "pulse", "key", "repetition"}
    assert {(row["from"], row["to"]) for row in rows if row["descriptor"] == "pulse"} == {
        ("3.0000", "6.0000"),
    }
    assert (out / "continuation.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "run.json").read_text())["settings"]["sampling"]["min_p"] == 0
    assert len(list(out.glob("*.mid"))) == 2
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main(argv) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first


def test_a_split_needs_labels(folder: Path, tmp_path: Path, capsys):
    argv = ["evaluate", "continuation", "--data", str(folder), "--split", "validation", "-o", str(tmp_path / "out")]
    assert main(argv) == 2
    assert "--labels" in capsys.readouterr().err


SYSTEMS = """
[[systems]]
name = "again"
kind = "again"

[[systems]]
name = "chain"
kind = "markov"
order = 1

[[systems]]
name = "truth"
kind = "pianists"
"""


def test_other_systems_are_judged_on_the_same_prompts_and_go_on_where_they_were(tmp_path: Path, capsys):
    (tmp_path / "midi").mkdir()
    for seed in range(3):
        piece(seed, 10.0).write_midi(tmp_path / "midi" / f"piece{seed}.mid")
    (tmp_path / "systems.toml").write_text(SYSTEMS)
    words = ["evaluate", "continuation", "--data", str(tmp_path / "midi"), "-o", str(tmp_path / "out")]
    words += ["--prompt-seconds", str(SHORT.prompt), "--seconds", str(SHORT.seconds)]
    words += ["--systems", str(tmp_path / "systems.toml")]
    assert main(words) == 0, capsys.readouterr().err
    with (tmp_path / "out" / "continuation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows} == {"again", "chain", "truth"}
    truth = [row for row in rows if row["model"] == "truth" and row["descriptor"] in ("notes/s", "velocity")]
    assert len(truth) > 3
    assert all(float(row["median_model"]) == pytest.approx(float(row["median_pianists"]), abs=0.01) for row in truth)
    table = (tmp_path / "out" / "continuation.md").read_text()
    assert "| the prompt | – | – | – |" in table
    capsys.readouterr()
    assert main(words) == 0
    assert "of 3:" not in capsys.readouterr().out  # nothing is made again
    assert main([*words, "--temperature", "0.5"]) == 2
    assert "--temperature" in capsys.readouterr().err


def test_a_system_that_answers_with_sound_is_refused(tmp_path: Path):
    prompts = prompts_of([piece(seed, 10.0) for seed in range(3)], SHORT)
    for prompt in prompts:
        write_sound(tmp_path / f"{prompt.path.stem}.wav", [np.zeros((48_000 * 10, 2), np.float32)])
    system = AudioFolder(name="band", kind="audio", folder=str(tmp_path))
    with pytest.raises(UserError, match="band answers with sound"):
        Run.begin(tmp_path / "out", prompts, SHORT, AskedSystem(system, prompts, 0), seed=0).complete()
