"""`partimento store SOURCE -o STORE`: MIDI files, a selection of a corpus, or published notes -> a note store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Force, Labels, VerbOptions, Workers, warn
from partimento.commands.common.outputs import folder_to_write
from partimento.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Read every MIDI file once and keep its piano notes, 8 bytes each.

    SOURCE is a folder or archive of MIDI files, or, with --selection, a surveyed corpus, or a folder of Parquet files
    written by 'partimento publish'. With --labels, files without a row (or whose row says no split of train, validation
    or test) are left out, and other columns become labels; without, some files, chosen by their content, are the
    validation split. An interrupted build goes on where it was when called again.
    """

    source: Annotated[str, tyro.conf.Positional]
    """Folder or archive of MIDI files; surveyed corpus; published notes."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the store."""
    force: Force = False
    selection: str | None = None
    """Name of the selection of the corpus SOURCE to store, made by 'partimento select'."""
    labels: Labels = None
    validation_share: float | None = None
    """How much of a folder without labels that is (0.05 unless given; one file at least, 0 for none)."""
    workers: Workers = None

    def __post_init__(self) -> None:
        if self.selection is not None and self.labels is not None:
            raise UserError("give --selection (a surveyed corpus) or --labels (a folder of MIDI files), not both")
        if self.validation_share is not None:
            if self.selection is not None or self.labels is not None:
                raise UserError("--validation-share is for a folder without splits; leave it out with them")
            if not 0 <= self.validation_share < 1:
                raise UserError(f"--validation-share is {self.validation_share}; give a share from 0 to below 1")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers is {self.workers}; give at least 1")


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="store")
    folder_to_write(options.out, force=options.force)
    from partimento.corpus.rows import processors
    from partimento.corpus.store.build import build
    from partimento.corpus.store.parquet import is_published, restore

    planned, refused = 0, list[tuple[str, str]]()
    if is_published(options.source):
        if any(given is not None for given in (options.selection, options.labels, options.validation_share)):
            raise UserError(f"{options.source}: published notes are taken as they are; leave the other options away")
        with options.counted("restoring") as advance:
            restore(options.source, options.out, replace=options.force, progress=advance)
    else:
        plan, refused = _plan(options)
        planned, workers = len(plan), options.workers or processors()
        with options.counted("reading", total=planned) as advance:
            refused += build(plan, options.out, workers=workers, replace=options.force, progress=advance)
        for _, why in refused:
            warn(f"passed over: {why}")
        options.say(f"planned: {planned} files; passed over: {len(refused)}")
    _summary(options, planned, refused)
    return 0


def _plan(options: Options) -> tuple[pa.Table, list[tuple[str, str]]]:
    from partimento.corpus.store.plans import VALIDATION_SHARE, plan_corpus, plan_folder, read_labels

    if options.selection is not None:
        return plan_corpus(options.source, options.selection), []
    if Path(options.source, "selections").is_dir():
        raise UserError(f"{options.source}: a surveyed corpus; name one of its selections with --selection")
    labels = read_labels(options.labels) if options.labels is not None else None
    share = VALIDATION_SHARE if options.validation_share is None else options.validation_share
    return plan_folder(options.source, labels, validation_share=share)


def _summary(options: Options, planned: int, refused: list[tuple[str, str]]) -> None:
    from partimento.corpus.selection.splits import SPLITS
    from partimento.corpus.store.note_store import MEND, NoteStore

    path = options.out
    store = NoteStore(path)
    counts = {split: store.counts[store.split_of == number] for number, split in enumerate(SPLITS)}
    lines = [f"{split}: {len(notes)} files, {notes.sum():,} notes" for split, notes in counts.items()]
    lines.append(f"store in {path}")
    if len(counts["validation"]):
        lines.append(f"next: partimento pretrain {path} -o RUN, or partimento finetune continuation {path}")
    else:
        warn(f"warning: no file is held out, and training wants some; {MEND}")
    splits = {split: {"files": len(notes), "notes": int(notes.sum())} for split, notes in counts.items()}
    options.report({"store": path, "planned": planned, "passed_over": dict(refused), "splits": splits}, *lines)
