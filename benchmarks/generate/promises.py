"""Continuations of real performances keep their promises: no token is lost, the length is right, nothing piles up.

    python -m benchmarks.generate.promises FOLDER [--files 10] [--model bundled] [-o benchmarks/generate/promises.md]

Files are drawn with seed 0 from a folder of MIDI files; each is continued by 30 s in two variations from its first
15 s, and once more in one variation, which is timed: until its first note, and how much faster it is made than it
sounds. The variations differ, and no 50 ms hold more notes than a pianist can press. Times are processor time of one
thread, which does not count what else the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Program, drawn, publish, table
from benchmarks.generate.filling import densest
from partimento import Engine, Performance, Settings, Tokenizer
from partimento.tokens.vocabulary import Kind

PROMPT_SECONDS = 15.0
HEAD = ("file", "notes", "decodes", "last onsets (s)", "differ", "most at once", "fallbacks", "first note (ms)",
        "tokens/s", "times")  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Continue, check, write the table."""
    parser = Program(__file__, __doc__, quick="{midi} --files 1 --seconds 3")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--model", default="bundled")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    engine = Engine.load(arguments.model)
    tokenizer = Tokenizer(engine.vocabulary)
    settings = Settings(seconds=arguments.seconds, variations=2)
    rows = []
    for path in drawn(arguments.folder, arguments.files):
        prompt = Performance.from_midi(path).slice_time(0, PROMPT_SECONDS)
        both = engine.continue_(prompt, settings=settings, from_seconds=PROMPT_SECONDS)
        complete, lengths, most, said = True, [], 0, []
        for one in both:
            ids = np.array(one.tokens)
            spoken = int((engine.vocabulary.kind_of[ids] == Kind.DURATION).sum())
            complete &= len(tokenizer.decode(ids)) == spoken == len(prompt) + len(one.generated)
            most = max(most, densest(one.performance, int(one.generated.onset[0]), int(one.generated.onset[-1]) + 1))
            said += [] if one.fallback is None else [one.fallback]
            lengths.append(float(one.generated.onset_seconds.max()) - PROMPT_SECONDS)
        differ = both[0].tokens != both[1].tokens
        rows.append(
            (
                path.name,
                len(prompt),
                complete,
                lengths,
                differ,
                most,
                len(said),
                *timed(engine, prompt, arguments.seconds),
            )
        )
    first_ms, faster = (float(np.median([row[column] for row in rows])) for column in (7, 9))
    cells = [
        (
            name,
            notes,
            "yes" if complete else "NO",
            ", ".join(f"{s:.1f}" for s in lengths),
            "yes" if differ else "NO",
            *(most, fallbacks, f"{first:.0f}", f"{rate:.0f}", f"{times:.1f}"),
        )
        for name, notes, complete, lengths, differ, most, fallbacks, first, rate, times in rows
    ]
    publish(
        arguments,
        "Promises of `partimento continue`",
        f"{len(rows)} real performances, {arguments.seconds:.0f} s asked for, two variations. A length is the last new "
        f"onset, in seconds after the {PROMPT_SECONDS:.0f} s prompt: it must be below {arguments.seconds:.0f}. Most at "
        "once: notes that begin within 50 ms, at least one of them new. Fallbacks: continuations that had to make do "
        "and say so. The last three columns are those of one variation alone, in processor time of one thread: its "
        f"first note comes after {first_ms:.0f} ms, and it is made {faster:.1f} times as fast as it sounds (medians).",
        table(HEAD, cells),
    )


def timed(engine: Engine, prompt: Performance, seconds: float) -> tuple[float, float, float]:
    """Milliseconds to the first note, tokens a second, seconds of music a second."""
    begun = time.process_time()
    heard: list[float] = []
    (alone,) = engine.continue_(
        prompt,
        settings=Settings(seconds=seconds),
        from_seconds=PROMPT_SECONDS,
        on_note=lambda _variation, _note: heard.append(time.process_time() - begun),
    )
    spent = time.process_time() - begun
    tokens = len(alone.tokens) - alone.prompt_tokens
    return 1000 * heard[0], tokens / spent, (float(alone.generated.onset_seconds.max()) - PROMPT_SECONDS) / spent


if __name__ == "__main__":
    main()
