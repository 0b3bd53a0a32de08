"""Small collections of MIDI files, good and odd ones, in folders and in archives."""

import random
import tarfile
import zipfile
from pathlib import Path

from tests.corpus.playable import noise


def good_files(count: int, *, seed: int = 0) -> dict[str, bytes]:
    """Paths, some of which say who composed what, and the bytes of readable files."""
    folders = ("Chopin/Etudes_op_10", "jazz/Somebody", "loose")
    return {f"{folders[i % 3]}/{i:03} A Piece.mid": noise(seed + i, 40 + i % 7).to_midi() for i in range(count)}


def odd_files(count: int, *, seed: int = 0) -> dict[str, bytes]:
    """Files that are cut, flipped, empty, of another kind, or too large."""
    rng = random.Random(seed)
    odd = {"odd/empty.mid": b"", "odd/page.mid": b"<html></html>", "odd/large.mid": b"MThd" + bytes(17 * 2**20)}
    for i in range(count):
        data = bytearray(noise(1000 + i, 60).to_midi())
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        odd[f"odd/{i:03}.mid"] = bytes(data[: rng.randrange(1, len(data) + 1)])
    return odd


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def write_zip(file: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return file


def write_tar(file: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    folder = write_folder(file.with_name(file.name + "-members"), files)
    with tarfile.open(file, mode) as archive:
        for path in reversed(files):  # a tar file has no order of its own
            archive.add(folder / path, path)
    return file
