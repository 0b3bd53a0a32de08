"""Continuations of real performances keep their promises: no token is lost, the length is right, nothing piles up.

    python benchmarks/generate/promises.py FOLDER [--files 10] [--model bundled] [-o benchmarks/generate/promises.md]

Files are drawn with seed 0 from a folder of MIDI files; each is continued by 30 s in two variations from its first
15 s, and once more in one variation, which is timed: until its first note, and how much faster it is made than it
sounds. The variations differ, and no 50 ms hold more notes than a pianist can press. Times are processor time of one
thread, which does not count what else the machine does.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import time
from pathlib import Path

import numpy as np
import torch
from filling import densest

from partimento import Engine, Performance, Settings, Tokenizer
from partimento.tokens.vocabulary import Kind

PROMPT_SECONDS = 15.0
SECONDS = 30.0


def main() -> None:
    """Continue, check, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    torch.set_num_threads(1)
    engine = Engine.load(arguments.model)
    tokenizer = Tokenizer(engine.vocabulary)
    settings = Settings(seconds=SECONDS, variations=2)
    rows = []
    for path in random.Random(0).sample(paths, arguments.files):
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
        rows.append((path.name, len(prompt), complete, lengths, differ, most, len(said), *timed(engine, prompt)))
    table = "\n".join(
        f"| {name} | {notes} | {'yes' if complete else 'NO'} | {', '.join(f'{s:.1f}' for s in lengths)} | "
        f"{'yes' if differ else 'NO'} | {most} | {fallbacks} | {first_ms:.0f} | {rate:.0f} | {faster:.1f} |"
        for name, notes, complete, lengths, differ, most, fallbacks, first_ms, rate, faster in rows
    )
    first_ms, faster = (float(np.median([row[column] for row in rows])) for column in (7, 9))
    text = f"""# Promises of `partimento continue`

{arguments.files} real performances, {SECONDS:.0f} s asked for, two variations;
{arguments.machine}, {datetime.date.today()}.
A length is the last new onset, in seconds after the {PROMPT_SECONDS:.0f} s prompt: it must be below {SECONDS:.0f}.
Most at once: notes that begin within 50 ms, at least one of them new. Fallbacks: continuations that had to make do and
say so.
The last three columns are those of one variation alone, in processor time of one thread: its first note comes after
{first_ms:.0f} ms, and it is made {faster:.1f} times as fast as it sounds (medians).

| file | notes | decodes | last onsets (s) | differ | most at once | fallbacks | first note (ms) | tokens/s | times |
|---|---|---|---|---|---|---|---|---|---|
{table}
"""
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def timed(engine: Engine, prompt: Performance) -> tuple[float, float, float]:
    """Milliseconds to the first note, tokens a second, seconds of music a second."""
    begun = time.process_time()
    heard: list[float] = []
    (alone,) = engine.continue_(
        prompt,
        settings=Settings(seconds=SECONDS),
        from_seconds=PROMPT_SECONDS,
        on_note=lambda _variation, _note: heard.append(time.process_time() - begun),
    )
    seconds = time.process_time() - begun
    tokens = len(alone.tokens) - alone.prompt_tokens
    return 1000 * heard[0], tokens / seconds, (float(alone.generated.onset_seconds.max()) - PROMPT_SECONDS) / seconds


if __name__ == "__main__":
    main()
