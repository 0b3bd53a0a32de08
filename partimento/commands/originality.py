"""`partimento originality FILE`: which passages of some music stand in a library, or in what a model learned from?"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Check, Force, Model, PromptSeconds, Strict, VerbOptions, warn
from partimento.commands.common.outputs import file_to_write
from partimento.commands.common.progress import passing
from partimento.commands.common.reading import read_midi
from partimento.errors import UserError

if TYPE_CHECKING:
    from partimento.corpus.duplicates.index import PassageIndex
    from partimento.library.originality import Originality
    from partimento.midi.performance import Performance

EXIT_FLAGGED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Find the longest passages that a MIDI file shares with a library and with the training data of a model, and say
    how often people share as much by chance.

    Status: 0; with --check 1 if a passage is flagged as a copy; 2 if something cannot be read.
    """

    file: Annotated[Path | None, tyro.conf.Positional] = None
    """The music; without it, only --keep does something."""
    library: tuple[str, ...] = ()
    """What to compare it with: libraries, folders, archives or URLs of MIDI files, surveyed corpora, note stores,
    passage indices."""
    training: str | None = None
    """What the model learned from: any of these but a library; of a note store the training files (unless given, the
    index that was kept for the model)."""
    model: Model = "bundled"
    keep: bool = False
    """Keep the index of --training for --model; later calls, continue and the studio find it."""
    prompt_seconds: PromptSeconds = None
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Draw the longest passage and its source over each other (.png)."""
    check: Check = False
    strict: Strict = False
    force: Force = False


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="originality")
    _refuse(options)
    music = read_midi(options.file, strict=options.strict) if options.file else None
    from partimento.library.originality import originality
    from partimento.library.originality.report import said

    with tempfile.TemporaryDirectory() as scratch:
        indices = _indices(options, Path(scratch))
        if music is None:
            return 0
        found = {
            name: originality(music, against=index, prompt_seconds=options.prompt_seconds or 0.0)
            for name, index in indices.items()
        }
        if options.out:
            _draw(options.out, music, found, indices)
    if options.json:
        options.report({"file": options.file, "beside": {name: each.facts() for name, each in found.items()}})
    else:
        for name, each in found.items():
            print(f"{options.file}: {said(each, beside=name)}")
    return EXIT_FLAGGED if options.check and any(each.flagged for each in found.values()) else 0


def what_was_learned(model: str, options: VerbOptions) -> PassageIndex | None:
    """The index that other verbs compare takes with, if one is kept for the model; if not, that is said."""
    from partimento.library.originality.against import training_index

    index = training_index(model)
    if index is None:
        options.say(
            "originality: not looked into: no index of what the model learned from is here (docs/originality.md)"
        )
    return index


def _refuse(options: Options) -> None:
    if options.keep and options.training is None:
        raise UserError("--keep needs to know what the model learned from; name it with --training")
    if options.file is None and not options.keep:
        raise UserError("name a MIDI file")
    given = options.prompt_seconds or 0.0
    if not (math.isfinite(given) and given >= 0):
        raise UserError(f"--prompt-seconds must be 0 or more, not {given}")
    if options.out:
        file_to_write(options.out, ".png", force=options.force)


def _indices(options: Options, scratch: Path) -> dict[str, PassageIndex]:
    """What the music is compared with, by name."""
    from partimento.library.originality.against import HOW, index_of, keep_training_index, training_index

    def refused(name: str, error: UserError) -> None:
        warn(f"refused: {name}: {error}")

    counted = partial(passing, "indexing", shown=not options.quiet)
    data = f"the training data of {options.model}"
    indices = {}
    if options.keep and options.training:
        index = keep_training_index(options.model, options.training, refused, counted=counted, force=options.force)
        options.remark(f"kept: passages of {len(index)} files that {options.model} learned from")
        indices[data] = index
    elif options.training:
        indices[data] = index_of(options.training, scratch / "training", refused, counted=counted)
    elif kept := training_index(options.model):
        indices[data] = kept
    elif options.library:
        options.remark(f"not compared with {data}: there is no index of it here; {HOW} makes one")
    else:
        raise UserError(f"nothing to compare with: name a --library, or make an index of {data}: {HOW}")
    for number, location in enumerate(options.library):
        indices[location] = index_of(location, scratch / str(number), refused, counted=counted)
    return indices


def _draw(out: Path, music: Performance, found: dict[str, Originality], indices: dict[str, PassageIndex]) -> None:
    """The longest passage of all, a quotation if there is nothing else."""
    from partimento.library.originality.against import notes_of
    from partimento.library.originality.picture import draw_shared

    shown = [(each.longest or each.quotation, name) for name, each in found.items()]
    passages = [(passage, name) for passage, name in shown if passage]
    if not passages:
        warn(f"{out}: no passage to draw")
        return
    passage, name = max(passages, key=lambda pair: (pair[0].kind != "quotation", pair[0].copy.different))
    draw_shared(music, passage, notes_of(indices[name], passage.copy.file), out)
