"""Token by token against the published models' own tokeniser.

GOLDEN is a folder with what the authors' program gave: `tokenizer.json` (its quantiser's tables and small synthetic
files as event lists) and `files.json` (for real MIDI files under MIDI: md5, number of tokens, their sha256, prefixes).
Cases whose name begins with BUG are those where that program misreads the tempo map; there we are meant to differ.

    python -m benchmarks.tokens.golden --golden GOLDEN --midi MIDI
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Program
from partimento.midi.performance import Performance
from partimento.tokens.tokenizer import DURATION_INDEX, ONSET_INDEX, VELOCITY_INDEX, Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from tests.tokens.token_cases import midi

VOCABULARY = Vocabulary.aria()
TOKENIZER = Tokenizer(VOCABULARY)


def prefixes_agree(performance: Performance, wanted: list) -> bool:
    return sorted(VOCABULARY.text_of(id) for id in TOKENIZER.prefixes(performance)) == sorted(
        " ".join(p) for p in wanted
    )


def tables(golden: dict) -> int:
    """Number of quantised values that differ."""
    ours = {
        "duration": ([int(DURATION_INDEX[min(i, 5000)]) * 10 for i in range(5011)], golden["quantise_dur_0_5010"]),
        "onset": ((ONSET_INDEX * 10).tolist(), golden["quantise_onset_0_4999"]),
        "velocity": ((VELOCITY_INDEX * 10).tolist(), golden["quantise_velocity_0_127"]),
    }
    differing = 0
    for name, (mine, theirs) in ours.items():
        wrong = sum(a != b for a, b in zip(mine, theirs, strict=True))
        print(f"quantised {name}: {len(mine) - wrong} of {len(mine)} agree")
        differing += wrong
    return differing


def cases(golden: dict) -> int:
    """Number of synthetic files that differ and are not meant to."""
    differing, meant = [], []
    for case in golden["tokenise_cases"]:
        performance = Performance.from_midi(midi(case["tracks"], case["ticks_per_beat"]))
        tokens = TOKENIZER.encode(performance, prefix=False, remove_silence=case["remove_preceding_silence"]).tolist()
        if tokens != case["ids"] or not prefixes_agree(performance, case["prefix_set"]):
            (meant if case["name"].startswith("BUG") else differing).append(case["name"])
    total = len(golden["tokenise_cases"])
    print(f"synthetic files: {total - len(differing) - len(meant)} of {total} agree, {len(meant)} differ as meant")
    for name in differing:
        print(f"  differs: {name}")
    return len(differing)


def files(golden: dict, folder: Path) -> int:
    """Number of real files that differ or are not the same file."""
    differing, tokens_in_all = [], 0
    for name, wanted in golden.items():
        content = (folder / name).read_bytes()
        performance = Performance.from_midi(content)
        tokens = TOKENIZER.encode(performance, prefix=False)
        tokens_in_all += len(tokens)
        same = (
            hashlib.md5(content).hexdigest() == wanted["md5"]
            and hashlib.sha256(",".join(map(str, tokens.tolist())).encode()).hexdigest() == wanted["sha256"]
            and prefixes_agree(performance, wanted["prefix"])
        )
        if not same:
            differing.append(name)
    print(f"real files: {len(golden) - len(differing)} of {len(golden)} agree, {tokens_in_all:,} tokens")
    for name in differing:
        print(f"  differs: {name}")
    return len(differing)


def main(words: Sequence[str] | None = None) -> int:
    parser = Program(__file__, __doc__, needs="what the authors' program gave")
    parser.add_argument("--golden", type=Path, required=True)
    parser.add_argument("--midi", type=Path, help="folder of the real files; without it only the synthetic ones")
    options = parser.parse_args(words)
    golden = json.loads((options.golden / "tokenizer.json").read_text())
    differing = tables(golden) + cases(golden)
    if options.midi:
        differing += files(json.loads((options.golden / "files.json").read_text()), options.midi)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
