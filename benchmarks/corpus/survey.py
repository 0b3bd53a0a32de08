"""What a survey of many files costs and survives. The result stands in survey.md.

    python -m benchmarks.corpus.survey copies MIDI [MIDI...] --out COPIES --count 100000
    python -m benchmarks.corpus.survey speed PART PART ... beside plain multiprocessing, interleaved
    python -m benchmarks.corpus.survey interrupted COPIES --out CORPUS   memory over time; kill -9 in the middle
    python -m benchmarks.corpus.survey odd GOOD ODD                      odd files among good ones
    python -m benchmarks.corpus.survey names CORPUS                      rules for names beside the labels of a CSV

Copies are transposed and shifted, every one differently, in folders that say how, so that duplicates are known.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.common import Program, again, midi_files
from partimento.corpus.archives import Entry
from partimento.corpus.sources import Folder, open_source
from partimento.corpus.survey.manifest import read_manifest
from partimento.corpus.survey.metadata import of_names
from partimento.corpus.survey.run import survey, survey_files
from partimento.midi.instruments import DRUM
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError

SEMITONES = (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5)
CHUNK = 25
WORKERS = 2


# -- a hundred thousand files ------------------------------------------------------------------------------------------


def copies(folders: list[Path], out: Path, count: int) -> None:
    """Copy k of a file is moved by SEMITONES[k % 11] and begins k + 1 half seconds later."""
    originals = sorted((folder, path) for folder in folders for path in midi_files(folder))
    tasks = ((folder, path, out, k) for k in range(-(-count // len(originals)) + 1) for folder, path in originals)
    made = 0
    with multiprocessing.Pool(WORKERS) as pool:
        for written in pool.imap_unordered(copy, tasks, chunksize=50):
            made += written
            if made == count:
                break
        pool.terminate()
    print(f"{made:,} copies of {len(originals):,} files in {out}")


def copy(task: tuple[Path, Path, Path, int]) -> bool:
    """Whether the copy could be made: not of what cannot be read or would leave the keyboard."""
    folder, path, out, k = task
    semitones = SEMITONES[k % len(SEMITONES)]
    try:
        performance = Performance.from_midi(path)
        melodic = performance.pitch[performance.instrument != DRUM].astype(int) + semitones
        if not len(melodic) or melodic.min() < 0 or melodic.max() > 127:
            return False
        moved = performance.transpose(semitones).shift((k + 1) / 2)
    except MidiError:
        return False
    target = out / f"copy{k:02d}_transposed{semitones:+d}" / folder.name / path.relative_to(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(moved.to_midi())
    return True


# -- speed -------------------------------------------------------------------------------------------------------------


def speed(folders: list[Path]) -> None:
    """Survey and plain pool take turns on each folder; a time is from nothing, processes too, to the last row."""
    print("| files | plain pool, files/s | survey, files/s | plain / survey |\n|---|---|---|---|")
    totals = Counter[str]()
    for part in folders:
        files = len(list(open_source(part).entries()))
        seconds = {}
        for name in ("plain", "survey"):
            begin = time.perf_counter()
            with tempfile.TemporaryDirectory() as corpus:
                rows = plain(part) if name == "plain" else drive_to_the_end(part, Path(corpus))
                seconds[name] = time.perf_counter() - begin
            assert rows == files
        totals.update(files=files, **{name: round(1e6 * s) for name, s in seconds.items()})
        row(files, seconds["plain"], seconds["survey"])
    row(totals["files"], totals["plain"] / 1e6, totals["survey"] / 1e6)


def row(files: int, plain_s: float, survey_s: float) -> None:
    print(f"| {files:,} | {files / plain_s:,.0f} | {files / survey_s:,.0f} | {survey_s / plain_s:.2f} |", flush=True)


def plain(folder: Path) -> int:
    """The same function over the same files by the standard library's pool; rows come back and are dropped."""
    entries = list(open_source(folder).entries())
    chunks = [(str(folder), entries[i : i + CHUNK]) for i in range(0, len(entries), CHUNK)]
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        return sum(len(rows) for rows in pool.imap_unordered(measure_chunk, chunks))


def measure_chunk(chunk: tuple[str, list[Entry]]) -> list[dict]:
    return survey_files(Folder(chunk[0]), chunk[1])


# -- memory and kill -9 ------------------------------------------------------------------------------------------------


def interrupted(folder: Path, corpus: Path) -> None:
    """One survey killed at half way, and what goes on from there; memory of all its processes, ten times a run."""
    shutil.rmtree(corpus / "manifest", ignore_errors=True)
    total = len(list(open_source(folder).entries()))
    print("| | files done | seconds | memory of all processes, MB |\n|---|---|---|---|")
    done = drive(folder, corpus, total, stop_at=total // 2)
    kept = read_manifest(corpus, columns=["path"]).num_rows
    print(f"killed with {done:,} files done; {kept:,} rows kept; cost: {done - kept} files", flush=True)
    begin = time.perf_counter()
    rest = drive(folder, corpus, total - kept)
    assert kept + rest == total == read_manifest(corpus, columns=["path"]).num_rows
    print(f"the rest: {rest:,} files, {rest / (time.perf_counter() - begin):,.0f} files/s")
    size = sum(part.stat().st_size for part in (corpus / "manifest").iterdir())
    whole = read_manifest(corpus, columns=["size", "notes", "sha256", "fingerprint"])
    prints = sum(len(p.as_py() or b"") for p in whole["fingerprint"])
    print(f"distinct contents: {len(set(whole['sha256'].to_pylist())):,} of {total:,}")
    print(f"bytes a file: MIDI {sum(whole['size'].to_pylist()) / total:,.0f}, manifest {size / total:,.0f},")
    notes = sum(n or 0 for n in whole["notes"].to_pylist())
    print(f"of it fingerprints {prints / total:,.0f}; notes a file {notes / total:,.0f}")


def drive(folder: Path, corpus: Path, total: int, stop_at: int | None = None) -> int:
    """Survey in a process of its own; returns how many files were done when it ended or was killed."""
    program = again(__file__, "drive", folder, "--out", corpus)
    begin, done, next_report = time.perf_counter(), 0, 0.0
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        for line in victim.stdout:
            done += int(line)
            if done >= next_report:
                next_report = done + total / 10
                memory = sum(resident(process) for process in family(victim.pid)) / 2**20
                which = "first" if stop_at else "second"
                print(f"| {which} | {done:,} | {time.perf_counter() - begin:,.0f} | {memory:,.0f} |", flush=True)
            if stop_at is not None and done >= stop_at:
                os.kill(victim.pid, signal.SIGKILL)
                break
    return done


def drive_to_the_end(folder: Path, corpus: Path) -> int:
    subprocess.run(again(__file__, "drive", folder, "--out", corpus), check=True, stdout=-3)
    return read_manifest(corpus, columns=["path"]).num_rows


def family(pid: int) -> Iterator[int]:
    """The process and all that descend from it."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (OSError, ProcessLookupError):
            continue
        parents[int(status.parent.name)] = int(fields[1])
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += [child for child, parent in parents.items() if parent == one]


def resident(pid: int) -> int:
    """Bytes; pages that several processes share are divided among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except (OSError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


# -- odd files, names --------------------------------------------------------------------------------------------------


def odd(good: Path, strange: Path) -> None:
    """The rows of good files with odd ones among them, beside their rows alone."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(good, folder / "mixed" / "good")
        shutil.copytree(strange, folder / "mixed" / "odd")
        survey([open_source(good)], folder / "alone", workers=WORKERS)
        summary = survey([open_source(folder / "mixed")], folder / "together", workers=WORKERS)
        alone = {row["path"]: comparable(row) for row in read_manifest(folder / "alone").to_pylist()}
        together = {row["path"]: comparable(row) for row in read_manifest(folder / "together").to_pylist()}
    among = {path.removeprefix("good/"): row for path, row in together.items() if path.startswith("good/")}
    differing = sum(row != alone[path] for path, row in among.items())
    strangers = [row for path, row in together.items() if path.startswith("odd/")]
    print(f"{len(among):,} good files among {len(strangers):,} odd ones: {differing} rows differ from those alone")
    print(f"odd files: {sum(row['verdict'] == 'readable' for row in strangers):,} readable; refused: ", end="")
    print(", ".join(f"{reason} {count}" for reason, count in summary.refused.most_common()))


def comparable(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in ("source", "path", "modified_ns", "collection")}


def names(corpus: Path) -> None:
    """What the rules read from paths alone, beside the CSV's values of a corpus that was surveyed with labels."""
    print("| value | agree | differ | rules alone know | CSV alone knows | of the paths that name a composer: agree |")
    print("|---|---|---|---|---|---|")
    table = read_manifest(corpus).to_pylist()
    for name in ("composer", "form", "period", "genre"):
        outcome, named = Counter[str](), Counter[bool]()
        for one in table:
            found = of_names(one["path"], texts=())
            ours = found.get(name, ("", ""))[0]
            theirs = one[name] if one[f"{name}_from"] == "csv" else ""
            outcome["neither" if not ours and not theirs else kind(ours, theirs)] += 1
            if "composer" in found and theirs:
                named[ours == theirs] += 1
        share = f"{named[True]:,} of {named.total():,}"
        print(f"| {name} | {' | '.join(f'{outcome[k]:,}' for k in ('agree', 'differ', 'rules', 'csv'))} | {share} |")


def kind(ours: str, theirs: str) -> str:
    if ours and theirs:
        return "agree" if ours == theirs else "differ"
    return "rules" if ours else "csv"


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="speed {midi}")
    parser.add_argument("what", choices=["copies", "speed", "interrupted", "odd", "names", "drive"])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.set_defaults(out=Path("corpus"))
    parser.add_argument("--count", type=int, default=100_000)
    given = parser.parse_args(words)
    first, *rest = given.folders
    match given.what:
        case "copies":
            copies(given.folders, given.out, given.count)
        case "speed":
            speed(given.folders)
        case "interrupted":
            interrupted(first, given.out)
        case "odd":
            odd(first, rest[0])
        case "names":
            names(first)
        case "drive":
            survey(
                [open_source(first)],
                given.out,
                workers=WORKERS,
                progress=lambda done, _: print(done, flush=True),
            )


if __name__ == "__main__":
    main()
