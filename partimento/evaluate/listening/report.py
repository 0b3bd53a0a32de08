"""What a listening test found: tables for people, JSON for programs, a figure; and before it begins, what it can find.

Knows whose votes count and how findings are laid out. Refuses to know the tests (`statistics.py`, `strengths.py`,
`jury.py`).

    report = findings(Path("study"))        # a dict of plain values, which --json prints
    write(report, Path("study"))            # report.md, report.csv, report.png
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from partimento.evaluate import tables
from partimento.evaluate.continuation.prompts import Prompt
from partimento.evaluate.listening.jury import agreement, jury_scores
from partimento.evaluate.listening.make import PIANISTS, PROMPTS
from partimento.evaluate.listening.manifest import CLIPS, Manifest
from partimento.evaluate.listening.statistics import (
    ALPHA,
    Tally,
    binomial_test,
    equivalence_power,
    equivalence_test,
    holm,
    power,
    votes_for_equivalence,
    votes_needed,
    wilson,
)
from partimento.evaluate.listening.strengths import (
    LOST,
    TIED,
    WON,
    Floats,
    bounded,
    fit,
    resamples,
    tallied,
)
from partimento.evaluate.listening.study import Study
from partimento.evaluate.listening.votes import VOTES, Listener, Trial, listeners_of, read_events
from partimento.evaluate.metrics import interval
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME: Final = "report"
UNKNOWN: Final = "unknown"
CANNOT_TELL: Final = "cannot tell"
FEWEST: Final = 6
"""Listeners. Of five unanimous ones, each counted once, p is 2 / 2^5 = 0.063; of six it is 0.031."""
_HOW: Final = """\
p: exact two-sided binomial test on the untied votes; Holm: the same for all pairs together. Wins: share of the untied
votes, first with Wilson's interval, which counts votes as independent, then with one from resampled listeners and
prompts. Power: how likely so many untied votes are to find {share:.0%} wins, if that is the truth. As good as: the
p-value of two one-sided tests that the share of wins lies within 50% ± {margin:.0%}, with Holm's correction; a large p
of the first test is no evidence of that. So: a system is preferred where its corrected p is at most {alpha} and both
intervals of wins lie on its side of 50%; two are as good as each other where that p-value is below {alpha} and the
resampled interval lies within the margin; both only with {fewest} listeners or more, since of fewer not even unanimous
ones could show anything about others. Of all else the votes cannot tell."""


def planned(manifest: Manifest) -> str:
    """Clips, comparisons, and the power of the tests; as if no vote were a tie, so that the truth is rather less."""
    study, pairs = manifest.study, manifest.study.pairs()
    votes = study.plan.listeners * study.trials.each // len(pairs)
    share, margin = study.plan.share, study.plan.margin
    return (
        f"{len(manifest.clips)} clips of {study.span.end:g} s at {study.clips.loudness:g} LUFS: {len(study.names)} "
        f"systems, {len(manifest.prompts)} prompts, {len(pairs)} pairs of systems. {study.plan.listeners} listeners of "
        f"{study.trials.each} comparisons are {votes} votes on each pair. Without ties their power is "
        f"{power(votes, share):.0%} against {share:.0%} wins ({votes_needed(share)} votes: 80%), and "
        f"{equivalence_power(votes, margin):.0%} to show equivalence within 50% ± {margin:.0%} where it is true "
        f"({votes_for_equivalence(margin)} votes: 80%)."
    )


def findings(folder: Path) -> dict[str, Any]:
    """All that the votes of a study show, as plain values; raises `UserError` where its clips or rules were changed."""
    manifest = Manifest.read(folder)
    study = manifest.study
    everybody = list(listeners_of(read_events(folder / VOTES, digest=manifest.digest)).values())
    counted = [one for one in everybody if one.attentive(study) and one.votes]
    votes = [vote for one in counted for vote in one.votes]
    listener_n = np.array([one.number for one in counted for _ in one.votes], np.int64)
    prompt_n = np.array([manifest.prompts.index(vote.prompt) for vote in votes], np.int64)
    weight_Rn = resamples(listener_n, prompt_n, seed=study.seed) if votes else np.zeros((1, 0))
    pairs = study.pairs()
    pair_n = np.array([pairs.index((vote.first, vote.second)) for vote in votes], np.int64)
    listeners_C = [len(np.unique(listener_n[pair_n == c])) for c in range(len(pairs))]
    said_n = np.array([TIED if vote.tied else WON if vote.won else LOST for vote in votes], np.int64)
    counts_RC3 = tallied(pair_n, said_n, pairs=len(pairs), weight_Rn=weight_Rn)
    return {
        "study": study.name,
        "digest": manifest.digest,
        "question": study.question,
        "rule": f"at least {study.checks.attention_right} of {study.checks.attention} attention checks right",
        "listeners": _people(everybody, study),
        "share": study.plan.share,
        "margin": study.plan.margin,
        "pairs": _pairs(pairs, counts_RC3, listeners_C, study),
        "strengths": _strengths(pairs, counts_RC3, study) if votes else UNKNOWN,
        "jury": _jury(folder, manifest, votes, weight_Rn),
    }


def _people(everybody: Sequence[Listener], study: Study) -> dict[str, int]:
    return {
        "came": len(everybody),
        "passed the headphone test": sum(one.passed_headphones(study) for one in everybody),
        "answered everything": sum(len(one.votes) >= study.trials.each for one in everybody),
        "not attentive": sum(bool(one.votes) and not one.attentive(study) for one in everybody),
        "counted": sum(bool(one.votes) and one.attentive(study) for one in everybody),
    }


def _pairs(
    pairs: Sequence[tuple[str, str]], counts_RC3: Floats, listeners_C: Sequence[int], study: Study
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for c, (first, second) in enumerate(pairs):
        wins, ties, losses = (int(count) for count in counts_RC3[0, c])
        tally = Tally(wins=wins, ties=ties, losses=losses)
        untied_R = counts_RC3[1:, c, WON] + counts_RC3[1:, c, LOST]
        shares = counts_RC3[1:, c, WON][untied_R > 0] / untied_R[untied_R > 0]
        rows.append(
            {
                "first": first,
                "second": second,
                "wins": wins,
                "ties": ties,
                "losses": losses,
                "listeners": listeners_C[c],
                "p": binomial_test(wins, losses),
                "wins_share": wins / tally.untied if tally.untied else None,
                "wilson": wilson(wins, losses),
                "resampled": interval(shares) if len(shares) else None,
                "power": power(tally.untied, study.plan.share),
                "equivalence_p": equivalence_test(wins, losses, margin=study.plan.margin),
            }
        )
    for name in ("p", "equivalence_p"):
        for row, corrected in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[f"{name}_holm"] = corrected
    for row in rows:
        row["verdict"] = verdict(row, margin=study.plan.margin)
    return rows


def verdict(row: Mapping[str, Any], *, margin: float) -> str:
    """What the votes on a pair show, in words; no more than its tests and intervals together do."""
    if row["listeners"] < FEWEST or row["resampled"] is None:
        return CANNOT_TELL
    low, high = (of(row["wilson"][end], row["resampled"][end]) for end, of in enumerate((min, max)))
    alike = (
        row["equivalence_p_holm"] < ALPHA and 0.5 - margin < row["resampled"][0] <= row["resampled"][1] < 0.5 + margin
    )
    if row["p_holm"] <= ALPHA and not low <= 0.5 <= high:
        better = row["first"] if low > 0.5 else row["second"]
        return f"{better} is preferred" + (f", by less than ±{margin:.0%}" if alike else "")
    return f"as good as each other within ±{margin:.0%}" if alike else CANNOT_TELL


def _strengths(pairs: Sequence[tuple[str, str]], counts_RC3: Floats, study: Study) -> dict[str, Any]:
    """Relative to the reference, or to the mean of all."""
    names = study.names
    pairs_C2 = np.array([[names.index(first), names.index(second)] for first, second in pairs])
    strength_RK, tie_R = fit(pairs_C2, counts_RC3, systems=len(names))
    if study.reference is not None:
        strength_RK = strength_RK - strength_RK[:, [names.index(study.reference)]]
    return {
        "systems": {
            name: {"strength": float(strength_RK[0, k]), "interval": interval(strength_RK[1:, k])}
            for k, name in enumerate(names)
        },
        "relative_to": study.reference or "the mean",
        "ties": float(tie_R[0]),
        "bounded": bounded(pairs_C2, counts_RC3[0], systems=len(names)),
    }


def _jury(folder: Path, manifest: Manifest, votes: Sequence[Trial], weight_Rn: Floats) -> list[dict[str, Any]] | str:
    """The numbers of 'evaluate continuation' beside the votes, or that nothing is known."""
    span = manifest.study.span
    if not votes or len(manifest.prompts) < 2 or not any(clip.notes for clip in manifest.clips):
        return UNKNOWN
    prompts = [_prompt(folder, name) for name in manifest.prompts]
    scores: dict[str, dict[str, float]] = {}
    for system in manifest.study.names:
        of_prompts = [manifest.of(system, name) for name in manifest.prompts]
        for clips in zip(*of_prompts, strict=True):
            if not all(clip.notes for clip in clips):
                continue
            music = [Performance.from_midi(folder / CLIPS / f"{clip.id}.mid") for clip in clips]
            for descriptor, near_n in jury_scores(prompts, music, span).items():
                of_clips = scores.setdefault(descriptor, {})
                of_clips.update({clip.id: near for clip, near in zip(clips, near_n.tolist(), strict=True)})
    found = agreement(votes, scores, weight_Rn)
    if found is None:
        return UNKNOWN
    return [
        {
            "descriptor": one.descriptor,
            "clips": one.clips,
            "spearman": one.spearman,
            "kendall": one.kendall,
            "followed": one.followed,
        }
        for one in found
    ]


def _prompt(folder: Path, name: str) -> Prompt:
    """A prompt as the study keeps it."""
    path = folder / PIANISTS / f"{name}.mid"
    given = Performance.from_midi(folder / PROMPTS / f"{name}.mid")
    return Prompt(sha256="", path=path, collection="", music=Performance.from_midi(path), given=given)


def write(report: Mapping[str, Any], folder: Path) -> None:
    """report.md, report.csv and report.png."""
    rows = []
    for row in report["pairs"]:
        plain = {name: value for name, value in row.items() if name not in ("wilson", "resampled")}
        for name in ("wilson", "resampled"):
            low, high = row[name] or (None, None)
            plain |= {f"{name}_low": low, f"{name}_high": high}
        rows.append(plain)
    tables.write(folder, NAME, markdown=markdown(report), rows=rows, draw=partial(_draw, report))


def markdown(report: Mapping[str, Any]) -> str:
    """Everything as one page."""
    people = ", ".join(f"{count} {what}" for what, count in report["listeners"].items())
    how = _HOW.format(share=report["share"], margin=report["margin"], alpha=ALPHA, fewest=FEWEST)
    header = ["", "wins", "ties", "losses", "p", "Holm", "wins (Wilson)", "(resampled)", "power", "as good as", "so"]
    rows = [
        (
            f"{row['first']} – {row['second']}",
            row["wins"],
            row["ties"],
            row["losses"],
            f"{row['p']:.2e}",
            f"{row['p_holm']:.2e}",
            "–" if row["wins_share"] is None else f"{row['wins_share']:.0%} {_ends(row['wilson'])}",
            _ends(row["resampled"]),
            f"{row['power']:.0%}",
            f"{row['equivalence_p_holm']:.3f}",
            row["verdict"],
        )
        for row in report["pairs"]
    ]
    blocks = [f"# {report['study']}", f"{report['question']} Listeners: {people}. Votes count with {report['rule']}."]
    blocks += [tables.table(header, rows), how, *_strengths_block(report["strengths"]), *_jury_block(report["jury"])]
    return "\n\n".join(blocks) + "\n"


def _ends(ends: Sequence[float] | None) -> str:
    return "–" if ends is None else f"[{ends[0]:.0%}, {ends[1]:.0%}]"


def _strengths_block(strengths: Mapping[str, Any] | str) -> list[str]:
    if isinstance(strengths, str):
        return [f"Strengths: {strengths}, there are no votes."]
    rows = [
        (name, f"{one['strength']:+.2f}", f"[{one['interval'][0]:+.2f}, {one['interval'][1]:+.2f}]")
        for name, one in sorted(strengths["systems"].items(), key=lambda item: -item[1]["strength"])
    ]
    text = [
        tables.table([f"strength, relative to {strengths['relative_to']}", "", "95 %"], rows),
        "Strengths are those of Bradley and Terry with ties (Davidson): e to the difference of two is the odds of a "
        "win. Listeners and prompts are resampled.",
    ]
    if not strengths["bounded"]:
        text.append("A system won, or lost, all its comparisons: how far it is from the others has no bound.")
    return text


def _jury_block(jury: Sequence[Mapping[str, Any]] | str) -> list[str]:
    if isinstance(jury, str):
        return [f"Whether the numbers of 'evaluate continuation' say what listeners say: {jury}."]
    rows = [
        (one["descriptor"], one["clips"], *(_shown(one[name]) for name in ("spearman", "kendall", "followed")))
        for one in jury
    ]
    return [
        "Whether the numbers of 'evaluate continuation' say what listeners say: how near to 1 a clip's score is, "
        "beside the share of votes that it won. Followed: how often an untied vote went to the clip nearer to 1.",
        tables.table(["descriptor", "clips", "Spearman", "Kendall", "followed"], rows),
    ]


def _shown(estimate: tuple[float, tuple[float, float]]) -> str:
    value, (low, high) = estimate
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" + ("" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]")


def _draw(report: Mapping[str, Any], figure: Figure) -> None:
    """Shares of answers for each pair; strengths beside them."""
    figure.set_size_inches(10, 1.6 + 0.5 * max(len(report["pairs"]), 3))
    votes, strengths = figure.subplots(1, 2, width_ratios=[3, 2])
    rows = report["pairs"][::-1]
    left = np.zeros(len(rows))
    for name, colour in (("wins", "#0072b2"), ("ties", "#bbbbbb"), ("losses", "#d55e00")):
        total = np.array([max(1, row["wins"] + row["ties"] + row["losses"]) for row in rows])
        width = np.array([row[name] for row in rows]) / total
        votes.barh([f"{row['first']} – {row['second']}" for row in rows], width, left=left, color=colour, label=name)
        left += width
    votes.axvline(0.5, color="black", linewidth=0.8)
    votes.set(xlim=(0, 1), xlabel="share of the votes, of the first one")
    votes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    if isinstance(report["strengths"], str):
        strengths.set_axis_off()
        return
    names = sorted(report["strengths"]["systems"].items(), key=lambda item: item[1]["strength"])
    at = np.arange(len(names))
    strengths.hlines(at, *zip(*(one["interval"] for _, one in names), strict=True), color="#0072b2", alpha=0.5)
    strengths.plot([one["strength"] for _, one in names], at, "o", color="#0072b2")
    strengths.set_yticks(at, [name for name, _ in names])
    strengths.axvline(0, color="black", linewidth=0.8)
    strengths.set_xlabel(f"strength, relative to {report['strengths']['relative_to']}")
