"""The page that a hub of data sets shows beside published notes, which also says which files are which split.

It knows YAML as the hub and `datasets` read it, and what the columns mean; it refuses to know how they are written
(`parquet.py`), and the music's licence, which is for whoever publishes it to say.

    print(card(NoteStore("STORE"), "my-recordings"))
"""

from __future__ import annotations

import numpy as np

from partimento.corpus.selection.splits import SPLITS
from partimento.corpus.store.note_store import NoteStore


def part_name(number: int | str, split: str) -> str:
    """The file of one shard's files of a split; "*" for that of every shard."""
    shard = number if isinstance(number, str) else f"{number:05}"
    return f"part-{shard}-{split}.parquet"


def card(store: NoteStore, title: str) -> str:
    """A README.md: front matter for the hub and `datasets`, what is in it, how to use it."""
    numbers = np.bincount(store.split_of, minlength=len(SPLITS)).tolist()
    counts = {split: count for split, count in zip(SPLITS, numbers, strict=True) if count}
    files = "\n".join(f"  - split: {split}\n    path: {part_name('*', split)}" for split in counts)
    splits = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    labels = "".join(f"| `{name}` | text, null where unknown |\n" for name in store.labels)
    return f"""---
tags: [music, midi, piano]
size_categories: [{_size(len(store))}]
configs:
- config_name: default
  data_files:
{files}
---

# {title}

{len(store):,} piano performances with {int(store.counts.sum()):,} notes: {splits}. Written by partimento.

```python
from datasets import load_dataset

performances = load_dataset("path or name of this folder")
```

`partimento store FOLDER -o STORE` makes the note store of it again, to the same bytes.

| column | meaning |
|---|---|
| `name`, `sha256` | of the MIDI file |
| `split` | the same as the data set's splits |
| `piece`, `performance` | files of one number play the same piece, or are copies of one performance |
{labels}| `onset_ms` | when each note begins, from the first one |
| `keyed_ms`, `sounding_ms` | how long its key is held; how long it sounds with the sustain pedal |
| `pitch`, `velocity` | as in MIDI |
| `pedal_ms`, `pedal_down` | moves of the sustain pedal: when, and 1 for down |

## Licence and sources

Not stated yet. Say here, and as `license:` above, where the music comes from and what others may do with it.
"""


def _size(count: int) -> str:
    """The hub's class of sizes."""
    steps = ((1000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for most, name in steps if count < most), "n>1M")
