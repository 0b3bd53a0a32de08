"""Keys and pedal of continuations beside those of the pianists who played the prompts.

    python -m benchmarks.audio.pedalling FOLDER LABELS WORK [--files 10] [-o benchmarks/audio/pedalling.md]

Prompts are files of the labels' validation split, chosen as by coherence.py (second half), that have a pedal: at least
20 intervals. Each is continued by 30 s from its first 15 s by the bundled model; the pianist's own 15 to 45 s stand
beside it. Continuations are kept in WORK as MIDI files of plain durations, so that a second call makes none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Program, percent, publish, table
from partimento import Engine, Performance, Settings
from partimento.corpus.survey.labels import Labels
from partimento.evaluate.continuation.prompts import Span, choose
from partimento.midi.columns import NS_PER_S, unite_pedals
from partimento.midi.pedalling import pedalled

PROMPT, LENGTH = 15.0, 30.0
MEASURES: dict[str, Callable[[float], str]] = {
    "median key, ms": "{:.0f}".format,
    "median sounding duration, ms": "{:.0f}".format,
    "most keys held at once": "{:.0f}".format,
    "time with more than ten keys held": percent,
    "time under the pedal": percent,
    "notes let go of under the pedal": percent,
    "pedal intervals in 10 s": "{:.1f}".format,
}


def main(words: Sequence[str] | None = None) -> None:
    """Continue, give keys and pedal, write the table."""
    program = Program(__file__, __doc__, quick="{midi} {labels} {work} --files 1 --split train --least-pedal 0")
    program.add_argument("folder", type=Path)
    program.add_argument("labels", type=Path)
    program.add_argument("work", type=Path)
    program.add_argument("--files", type=int, default=10)
    program.add_argument("--split", default="validation")
    program.add_argument("--least-pedal", type=int, default=20, help="intervals that a prompt's music must have")
    arguments = program.parse_args(words)
    torch.set_num_threads(1)
    labels = Labels.load(csv=arguments.labels)
    found = choose(
        arguments.folder, Span(), labels=labels, split=arguments.split, half="second", files=3 * arguments.files
    )
    paths = [prompt.path for prompt in found if len(prompt.music.pedal_down) >= arguments.least_pedal][
        : arguments.files
    ]
    arguments.work.mkdir(parents=True, exist_ok=True)
    engine = None
    rows, wrong, notes = [], 0, 0
    for path in paths:
        whole = Performance.from_midi(path)
        prompt = whole.slice_time(0, PROMPT)
        kept = arguments.work / f"{whole.source.sha256[:16]}.mid"
        if not kept.exists():
            engine = engine or Engine.load("bundled")
            [made] = engine.continue_(
                prompt, settings=Settings(seconds=LENGTH), from_seconds=min(PROMPT, prompt.seconds)
            )
            made.generated.write_midi(kept)
        plain = Performance.from_midi(kept)
        played = pedalled(plain, beside=prompt)
        back = Performance.from_midi(prompt.merge(played).to_midi())
        wrong += int((np.abs(heard(back) - heard(prompt.merge(plain))) > 10_000_000).sum())
        notes += len(plain)
        rows.append([measured(music) for music in (plain, played, whole.slice_time(PROMPT, PROMPT + LENGTH))])
        print(path.name, rows[-1], flush=True)
    publish(
        arguments,
        "Keys and pedal of continuations, and of pianists",
        f"{len(rows)} held-out prompts that have a pedal, continued by {LENGTH:.0f} s by the bundled model, beside "
        "what the "
        'pianist played there. "Plain" is what the model writes and `--no-pedal` keeps. Medians over files, least and '
        "most in brackets.",
        compared(np.array(rows)),
        f"Of {notes} new notes {wrong} end more than 10 ms from where they did, once written and read back. The pedal "
        "is down for less of the time than a pianist's, because no note may end wrong for it; pianists also press it "
        "where no note needs it.",
    )


def heard(music: Performance) -> np.ndarray:
    """When each note falls silent (ns): at its end, or when its key is struck again; in order of onset and pitch."""
    ends = music.onset + music.sounding_duration()
    order = np.lexsort((music.onset, music.pitch))
    same = np.append(music.pitch[order][1:] == music.pitch[order][:-1], False)
    ends[order] = np.where(same, np.minimum(ends[order], np.append(music.onset[order][1:], 0)), ends[order])
    return ends[np.lexsort((music.pitch, music.onset))]


def measured(music: Performance) -> tuple[float, ...]:
    """Median key (ms), median sounding duration (ms), most keys at once, share of time with more than ten keys held,
    share of time and of notes under the pedal, pedal intervals in ten seconds.
    """
    release = music.onset + music.duration
    times = np.concatenate([music.onset, release])
    order = np.lexsort((np.repeat([1, 0], len(music)), times))
    held = np.cumsum(np.repeat([1, -1], len(music))[order])
    lasting = np.append(np.diff(times[order]), 0)
    down, up, _ = unite_pedals(music.pedal_down, music.pedal_up, np.zeros(len(music.pedal_down), np.uint8))
    span = int(music.onset[-1] - music.onset[0])
    under = np.searchsorted(down, release, side="left") != np.searchsorted(up, release, side="right")
    return (
        float(np.median(music.duration)) / 1e6,
        float(np.median(music.sounding_duration())) / 1e6,
        float(held.max()),
        float(lasting[held > 10].sum() / span),
        float(np.clip(np.minimum(up, music.onset[-1]) - np.maximum(down, music.onset[0]), 0, None).sum() / span),
        float(under.mean()),
        len(down) / (span / NS_PER_S) * 10,
    )


def compared(rows: np.ndarray) -> str:
    """The table; `rows` are [files, (plain, played, pianist), measures]."""
    lines = []
    for m, (name, shown) in enumerate(MEASURES.items()):
        middle, low, high = (q(rows[:, :, m], axis=0) for q in (np.median, np.min, np.max))
        cells = (f"{shown(a)} ({shown(b)} to {shown(c)})" for a, b, c in zip(middle, low, high, strict=True))
        lines.append((name, *cells))
    return table(["", "plain", "with pedal", "pianist"], lines)


if __name__ == "__main__":
    main()
