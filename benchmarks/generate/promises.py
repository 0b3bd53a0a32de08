"""Continuations of real performances keep their promises: no token is lost, the length is right, variations differ.

    python benchmarks/generate/promises.py FOLDER [--files 10] [--model bundled] [-o benchmarks/generate/promises.md]

Files are drawn with seed 0 from a folder of MIDI files; each is continued by 30 s in two variations from
its first 15 s.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
from pathlib import Path

import numpy as np

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
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    engine = Engine.load(arguments.model)
    tokenizer = Tokenizer(engine.vocabulary)
    settings = Settings(seconds=SECONDS, variations=2)
    rows = []
    for path in random.Random(0).sample(paths, arguments.files):
        prompt = Performance.from_midi(path).slice_time(0, PROMPT_SECONDS)
        both = engine.continue_(prompt, settings=settings, from_seconds=PROMPT_SECONDS)
        complete, lengths = True, []
        for one in both:
            ids = np.array(one.ids)
            spoken = int((engine.vocabulary.kind_of[ids] == Kind.DURATION).sum())
            complete &= len(tokenizer.decode(ids)) == spoken == len(prompt) + len(one.generated)
            lengths.append(float(one.generated.onset_seconds.max()) - PROMPT_SECONDS)
        differ = both[0].ids != both[1].ids
        timings = both[0].timings
        rows.append((path.name, len(prompt), complete, lengths, differ, timings.prefill_s, timings.tokens_per_s))
    table = "\n".join(
        f"| {name} | {notes} | {'yes' if complete else 'NO'} | {', '.join(f'{s:.1f}' for s in lengths)} | "
        f"{'yes' if differ else 'NO'} | {prefill * 1000:.0f} | {rate:.0f} |"
        for name, notes, complete, lengths, differ, prefill, rate in rows
    )
    text = f"""# Promises of `partimento continue`

{arguments.files} real performances, {SECONDS:.0f} s asked for, two variations;
{os.cpu_count()} cores, {datetime.date.today()}.
A length is the last new onset, in seconds after the {PROMPT_SECONDS:.0f} s prompt: it must be below {SECONDS:.0f}.

| file | prompt notes | every token decodes | last onsets (s) | variations differ | prefill (ms) | tokens/s, both |
|---|---|---|---|---|---|---|
{table}
"""
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
