"""Votes of simulated listeners through the log to the report, whose figures are known or worked out another way."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from partimento.cli import main
from partimento.evaluate.continuation.prompts import Prompt, Span
from partimento.evaluate.listening.assignment import next_trial
from partimento.evaluate.listening.jury import ALL, agreement, jury_scores
from partimento.evaluate.listening.report import CANNOT_TELL, FEWEST, UNKNOWN, findings, planned, verdict
from partimento.evaluate.listening.statistics import holm
from partimento.evaluate.listening.votes import VOTES, Trial, VoteLog, apply
from partimento.midi.performance import Performance
from tests.evaluate.listening.world import piece, silent_manifest, sounding_study

TABLE_1 = {"AM Transformer": (38, 0, 6), "Suno 3.5": (18, 9, 21), "MusicGen": (49, 1, 0), "pianists": (15, 9, 17)}


def voted_study(folder, answers):
    """A study of "ours" with these answers, (listener, other system, "a": ours); and two who do not listen."""
    made = sounding_study(folder, seconds=0.1)
    names = dict.fromkeys(other for _, other, _ in answers)
    systems = tuple({"name": name, "kind": "midi"} for name in ("ours", *names))
    trials = replace(made.study.trials, each=1)
    manifest = replace(made, study=replace(made.study, systems=systems, trials=trials))
    manifest.write(folder)
    listeners = {name for name, _, _ in answers}
    numbers = dict.fromkeys([*sorted(listeners), "deaf 1", "deaf 2"], 0)
    with VoteLog(folder / VOTES, digest=manifest.digest) as log:

        def vote(listener, second, choice, **more):
            number = numbers[listener]
            numbers[listener] += 1
            told = {"listener": listener, "time": 1, "number": number}
            sides = {"a": f"{second} a {number}", "b": f"{second} b {number}", "first_is_a": True}
            asked = {"prompt": f"prompt {number % 2}", "first": "ours", "second": second, **sides}
            log.append({"event": "asked", **told, **asked, **more})
            log.append({"event": "voted", **told, "choice": choice, "reason": "", "heard": [20, 20]})

        for name in numbers:
            log.append({"event": "joined", "listener": name, "time": 0})
            for check in range(2):
                vote(name, "nonsense", "a" if name in listeners else "b", attention=check)
        for name, other, said in answers:
            vote(name, other, said)
        for name in ("deaf 1", "deaf 2"):
            vote(name, next(iter(names)), "b")
    return folder


@pytest.fixture(scope="module")
def table_1(tmp_path_factory):
    """The paper's pairs and, of 12 listeners in turn, the paper's votes."""
    said = [
        (name, answer)
        for name, (wins, ties, losses) in TABLE_1.items()
        for answer in ["a"] * wins + ["none"] * ties + ["b"] * losses
    ]
    answers = [(f"x{k % 12:02}", name, answer) for k, (name, answer) in enumerate(said)]
    return voted_study(tmp_path_factory.mktemp("table1"), answers)


def test_the_report_of_the_papers_votes_is_table_1(table_1):
    report = findings(table_1)
    printed = ["9.43e-07", "7.49e-01", "3.55e-15", "8.60e-01"]
    for row, (name, votes), p in zip(report["pairs"], TABLE_1.items(), printed, strict=True):
        assert (row["second"], (row["wins"], row["ties"], row["losses"]), f"{row['p']:.2e}") == (name, votes, p)
    verdicts = {row["second"]: row["verdict"] for row in report["pairs"]}
    assert verdicts == {
        "AM Transformer": "ours is preferred",
        "Suno 3.5": CANNOT_TELL,
        "MusicGen": "ours is preferred",
        "pianists": CANNOT_TELL,  # a large p is no evidence of "as good as"
    }
    assert report["listeners"]["not attentive"] == 2 and report["listeners"]["counted"] == 12
    strengths = report["strengths"]["systems"]
    assert strengths["ours"] == {"strength": 0.0, "interval": (0.0, 0.0)} and report["strengths"]["bounded"]
    assert strengths["MusicGen"]["strength"] < strengths["AM Transformer"]["strength"] < -1
    low, high = strengths["pianists"]["interval"]
    assert low < 0 < high
    assert report["jury"] == UNKNOWN  # its clips are tones


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (lambda k: k % 12, "ours is preferred"),  # 60 of 80 votes, and most of everybody's
        (lambda k: k // 15 if k < 60 else 4 + k % 3, CANNOT_TELL),  # of seven listeners four, who say nothing else
        (lambda k: k % (FEWEST - 1), CANNOT_TELL),  # of five people nobody could tell what others prefer
    ],
)
def test_votes_of_the_same_number_show_more_or_less_as_listeners_agree(tmp_path, by, said):
    votes = ["a"] * 60 + ["b"] * 20
    (row,) = findings(voted_study(tmp_path, [(f"x{by(k):02}", "they", vote) for k, vote in enumerate(votes)]))["pairs"]
    assert (row["wins"], row["losses"], row["verdict"]) == (60, 20, said)
    assert row["p_holm"] == pytest.approx(stats.binomtest(60, 80).pvalue)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "ours is preferred"),
        ({"wilson": (0.2, 0.4), "resampled": (0.1, 0.45)}, "theirs is preferred"),
        ({"p_holm": 0.06}, CANNOT_TELL),
        ({"wilson": (0.49, 0.8)}, CANNOT_TELL),
        ({"resampled": (0.5, 0.8)}, CANNOT_TELL),
        ({"resampled": None}, CANNOT_TELL),
        ({"listeners": FEWEST - 1}, CANNOT_TELL),
        ({"equivalence_p_holm": 0.01, "resampled": (0.51, 0.58)}, "ours is preferred, by less than ±10%"),
        ({"p_holm": 1, "equivalence_p_holm": 0.01, "resampled": (0.45, 0.58)}, "as good as each other within ±10%"),
        ({"p_holm": 1, "equivalence_p_holm": 0.01, "resampled": (0.45, 0.61)}, CANNOT_TELL),
        ({"p_holm": 1, "equivalence_p_holm": 0.05, "resampled": (0.45, 0.58)}, CANNOT_TELL),
    ],
)
def test_a_verdict_needs_its_test_and_both_intervals(changed, said):
    row = {"first": "ours", "second": "theirs", "listeners": 40, "p_holm": 0.01, "equivalence_p_holm": 1.0}
    assert verdict(row | {"wilson": (0.51, 0.8), "resampled": (0.52, 0.8)} | changed, margin=0.1) == said
    assert 2 * 0.5**FEWEST <= 0.05 < 2 * 0.5 ** (FEWEST - 1)


def test_the_command_writes_table_figure_and_json(table_1, capsys):
    assert main(["listen", "report", str(table_1)]) == 0
    said = capsys.readouterr().out
    assert (
        "| ours – MusicGen | 49 | 1 | 0 | 3.55e-15 |" in said
        and said.splitlines()[0] in (table_1 / "report.md").read_text()
    )
    assert (table_1 / "report.png").read_bytes().startswith(b"\x89PNG")
    with (table_1 / "report.csv").open(newline="") as file:
        assert [row["wins"] for row in csv.DictReader(file)] == ["38", "18", "49", "15"]
    assert main(["listen", "report", str(table_1), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"][0]["ties"] == 0


def test_a_report_without_votes_knows_nothing_and_says_so(tmp_path, capsys):
    sounding_study(tmp_path / "study", seconds=0.1)
    assert main(["listen", "report", str(tmp_path / "study")]) == 0
    said = capsys.readouterr().out
    assert "Strengths: unknown" in said and "say what listeners say: unknown" in said
    assert {row["verdict"] for row in findings(tmp_path / "study")["pairs"]} == {CANNOT_TELL}


def test_simulated_listeners_of_known_taste_are_recovered(tmp_path):
    """From assignment to report: 40 listeners with Davidson's probabilities."""
    strength = {"ours": 0.9, "pianists": 0.7, "system 0": -0.6}
    manifest = sounding_study(tmp_path / "study", seconds=0.1)
    rng, listeners = np.random.default_rng(4), {}
    with VoteLog(tmp_path / "study" / VOTES, digest=manifest.digest) as log:

        def record(event):
            log.append(event)
            apply(event, listeners)

        for k in range(60):
            name = f"x{k}"
            record({"event": "joined", "listener": name, "time": k})
            while (event := next_trial(listeners[name], listeners, manifest, now=k)) is not None:
                record(event)
                if "attention" in event:
                    first = True
                else:
                    a, b = np.exp(strength[event["first"]]), np.exp(strength[event["second"]])
                    weights = np.array([a, 0.5 * np.sqrt(a * b), b])
                    first = (True, None, False)[rng.choice(3, p=weights / weights.sum())]
                choice = "none" if first is None else "a" if first == event["first_is_a"] else "b"
                record(
                    {"event": "voted", "listener": name, "time": k, "number": event["number"], "choice": choice}
                    | {"reason": "", "heard": [20, 20]}
                )
    report = findings(tmp_path / "study")
    assert sum(row["wins"] + row["ties"] + row["losses"] for row in report["pairs"]) == 60 * 3
    for name, one in report["strengths"]["systems"].items():
        low, high = one["interval"]
        assert low <= strength[name] - strength["ours"] <= high
    assert report["pairs"][1]["verdict"] == "ours is preferred"


def test_holms_correction_by_its_definition():
    p = [0.04, 0.01, 0.03, 0.5]
    assert holm(p) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([]) == [] and holm([0.7, 0.9]) == [1.0, 1.0]


def test_the_plan_says_what_a_study_can_show():
    said = planned(silent_manifest())
    assert "46 listeners of 8 comparisons are 92 votes on each pair" in said and "199 votes: 80%" in said


# -- the jury ---------------------------------------------------------------------------------------------------------

SPAN = Span(prompt=2.0, seconds=4.0)
PROMPTS = [
    Prompt(sha256=str(k), path=None, collection="", music=music, given=music.slice_time(0, 2))
    for k, music in enumerate(piece(k, 6.0).transpose(3 * k) for k in range(6))
]


def after(music: Performance) -> Performance:
    return music.slice_time(2.0, 6.0).shift(2.0)


def test_the_jury_holds_the_pianists_own_music_nearer_than_other_pieces_and_noise():
    own = jury_scores(PROMPTS, [after(prompt.music) for prompt in PROMPTS], SPAN)
    fast = jury_scores(PROMPTS, [after(prompt.music).stretch(0.25).shift(2.0) for prompt in PROMPTS], SPAN)
    assert own[ALL].mean() > fast[ALL].mean()
    for name, near in own.items():
        assert near.shape == (6,) and (near[np.isfinite(near)] <= 0).all(), name


def voted(rng, share_of_a, pairs=300):
    """Votes between clips c0 to c19, A preferred as often as said."""
    plain = Trial(number=0, prompt="p", first="f", second="s", a="c0", b="c1", first_is_a=True)
    votes = []
    for _ in range(pairs):
        a, b = rng.choice(20, 2, replace=False)
        chance = share_of_a(a, b)
        choice = ("a", "b", "none")[rng.choice(3, p=[chance * 0.9, (1 - chance) * 0.9, 0.1])]
        votes.append(replace(plain, a=f"c{a}", b=f"c{b}", choice=choice))
    return votes


def test_a_jury_that_knows_taste_agrees_and_one_that_does_not_does_not():
    rng = np.random.default_rng(0)
    votes = voted(rng, lambda a, b: 1 / (1 + np.exp((b - a) / 4)))
    weights = np.concatenate([np.ones((1, 300)), rng.poisson(1.0, (60, 300))])
    scores = {
        "knows": {f"c{k}": float(k) for k in range(20)},
        "guesses": {f"c{k}": float(v) for k, v in enumerate(rng.permutation(20))},
        "few": {f"c{k}": float(k) for k in range(5)},
    }
    knows, guesses = agreement(votes, scores, weights)
    assert 0.5 < knows.spearman[1][0] < knows.spearman[0] < 1 and knows.clips == 20 and knows.followed[0] > 0.65
    assert guesses.spearman[1][0] < 0.45 and 0.3 < guesses.followed[0] < 0.7
    shares = {}
    for vote in votes:
        for side, clip in (("a", vote.a), ("b", vote.b)):
            shares.setdefault(clip, []).append(0.5 if vote.tied else float(vote.choice == side))
    ranks = [(scores["knows"][clip], np.mean(won)) for clip, won in shares.items()]
    x, y = zip(*ranks, strict=True)
    assert knows.spearman[0] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert knows.kendall[0] == pytest.approx(stats.kendalltau(x, y).statistic)


def test_a_jury_without_votes_or_clips_is_unknown():
    assert agreement([], {"any": {"c": 1.0}}, np.ones((1, 0))) is None
