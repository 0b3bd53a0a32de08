"""Note stores -> a folder small enough to carry to a machine without network, and back to stores there.

    python -m benchmarks.train.carry pack BOX finetune=STORE contrastive=STORE ...
    python -m benchmarks.train.carry unpack BOX FOLDER                   # FOLDER/finetune, FOLDER/contrastive, ...

Each file's notes travel once, however many stores hold it, as planes of bytes under xz: what is alike stands together.
Only what tokens tell travels: velocities in the vocabulary's steps of ten, durations as they are heard, without keyed
durations and pedal moves. So the stores that come out train models that fold the pedal into durations, on the very same
tokens, and no others. Files, splits, pieces, labels and the manifest are those of the stores that went in, so that a
run knows its store again on either machine; `partimento verify` therefore finds notes and pedal changed.
"""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.common import Program
from partimento.corpus.store.note_store import MANIFEST, NoteStore, StoreManifest
from partimento.corpus.store.packing import NOTE, PEDAL
from partimento.tokens.tokenizer import VELOCITY_INDEX

PLANES = {
    "gap-low": ("gap_ms", 0),
    "gap-high": ("gap_ms", 8),
    "sounding-low": ("sounding_ms", 0),
    "sounding-high": ("sounding_ms", 8),
    "pitch": ("pitch", 0),
    "velocity": ("velocity", 0),
}
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]
INDEX = "index.npz"


def pack(box: Path, stores: dict[str, NoteStore]) -> None:
    """Writes `box`, which must not exist."""
    box.mkdir(parents=True)
    place: dict[str, int] = {}
    parts, counts, files = [], [], {}
    for name, store in stores.items():
        (box / name).mkdir()
        for file in (MANIFEST, *(shard.path(store.path, "files").name for shard in store.shards)):
            (box / name / file).write_bytes((store.path / file).read_bytes())
        known = [store.file(index).sha256 for index in range(len(store))]
        for index, sha256 in enumerate(known):
            if sha256 not in place:
                place[sha256] = len(parts)
                parts.append(store.packed(index).notes)
                counts.append(len(parts[-1]))
        files[name] = np.array([place[sha256] for sha256 in known], np.int32)
    notes = np.concatenate(parts)
    notes["velocity"] = 10 * VELOCITY_INDEX[notes["velocity"]]

    def write(plane: str) -> None:
        column, shift = PLANES[plane]
        raw = (notes[column] >> shift & 255).astype(np.uint8).tobytes()
        (box / f"{plane}.xz").write_bytes(lzma.compress(raw, lzma.FORMAT_XZ, filters=FILTERS))

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, PLANES))
    np.savez_compressed(
        box / INDEX, counts=np.array(counts, np.int32), **{f"of {name}": f for name, f in files.items()}
    )


def unpack(box: Path, folder: Path) -> list[Path]:
    """Writes a store into `folder` for each that was packed, and opens it to see that it is one."""

    def read(plane: str) -> np.ndarray:
        return np.frombuffer(lzma.decompress((box / f"{plane}.xz").read_bytes()), np.uint8)

    with ThreadPoolExecutor() as pool, np.load(box / INDEX, allow_pickle=False) as index:
        planes = dict(zip(PLANES, pool.map(read, PLANES), strict=True))
        counts = index["counts"].astype(np.int64)
        files = {key.removeprefix("of "): index[key] for key in index.files if key != "counts"}
    notes = np.zeros(int(counts.sum()), NOTE)
    for plane, (column, shift) in PLANES.items():
        notes[column] |= planes[plane].astype(notes[column].dtype) << shift
    notes["keyed_ms"] = notes["sounding_ms"]
    parts = np.split(notes, np.cumsum(counts)[:-1])
    return [_write(box / name, folder / name, [parts[i] for i in of_store]) for name, of_store in files.items()]


def _write(packed: Path, out: Path, parts: list[np.ndarray]) -> Path:
    out.mkdir(parents=True)
    for file in packed.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    first = 0
    for shard in StoreManifest.read(out).shards:
        np.concatenate(parts[first : first + shard.files]).tofile(shard.path(out, "notes"))
        np.zeros(shard.pedal, PEDAL).tofile(shard.path(out, "pedal"))
        first += shard.files
    NoteStore(out)
    return out


def main(words: Sequence[str] | None = None) -> None:
    """Pack or unpack."""
    program = Program(__file__, __doc__, quick="pack {work}/box one={store}")
    program.add_argument("verb", choices=["pack", "unpack"])
    program.add_argument("box", type=Path)
    program.add_argument("given", nargs="+", metavar="NAME=STORE | FOLDER")
    arguments = program.parse_args(words)
    if arguments.verb == "unpack" and len(arguments.given) == 1:
        print("\n".join(map(str, unpack(arguments.box, Path(*arguments.given)))))
    elif arguments.verb == "pack" and all("=" in word for word in arguments.given):
        stores = (word.partition("=") for word in arguments.given)
        pack(arguments.box, {name: NoteStore(path) for name, _, path in stores})
        print(f"{sum(file.stat().st_size for file in arguments.box.rglob('*')) / 2**20:.1f} MiB in {arguments.box}")
    else:
        program.error("give 'pack BOX NAME=STORE ...' or 'unpack BOX FOLDER'")


if __name__ == "__main__":
    main()
