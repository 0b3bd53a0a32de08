"""`partimento finetune continuation CORPUS`: a model that continues better, or in the manner of one's own music."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from partimento.commands.common.flags import fitting, parse
from partimento.commands.common.options import Base, Resume, Track, VerbOptions
from partimento.commands.common.outputs import folder_to_write
from partimento.errors import UserError
from partimento.train.recipes.continuation import ContinuationRecipe, recipe_for

if TYPE_CHECKING:
    from partimento.train.stages.continuation import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Train a model further to continue performances, on a note store or on a few dozen MIDI files.

    A note store is learned from once, as in the paper; of a folder some pieces are held out, and training stops when
    the loss on them rises. A run that was interrupted goes on where it was.
    """

    corpus: Annotated[Path, tyro.conf.Positional]
    """Folder of MIDI files, or a note store made by 'partimento store'."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder of the run: recipe, log, checkpoints, models (unless given, the corpus's name and -finetuned)."""
    base: Base = "bundled"
    conditioned: bool = False
    """Also learn to go by a vector of other music: a model for 'partimento continue --like' (needs --embedder)."""
    embedder: str | None = None
    """The embedding model that makes the vectors; what the trained model goes by is known to it alone."""
    resume: Resume = "auto"
    track: Track = ()
    settings: Annotated[ContinuationRecipe, tyro.conf.arg(name="")]
    """The recipe's own fields."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = _options(argv)
    out = options.out or Path(f"{options.corpus.resolve().name}-finetuned")
    folder_to_write(out)
    from partimento.train.distributed import main_process
    from partimento.train.stages.continuation import finetune_continuation

    found = finetune_continuation(
        options.settings,
        options.corpus,
        out,
        base=options.base,
        embedder=_embedder(options),
        resume=options.resume,
        track=options.track,
        quiet=options.quiet,
        say=options.say,
    )
    if main_process():
        _report(options, found)
    return 0


def _options(argv: list[str]) -> Options:
    """The options, with what is not given as it suits the corpus and the adapters that are."""

    def read(recipe: ContinuationRecipe) -> Options:
        default = Options(corpus=tyro.MISSING, settings=fitting(argv, recipe))
        return parse(Options, argv, verb="finetune continuation", default=default)

    first = read(recipe_for(Path(), lora=False))
    suited = recipe_for(first.corpus, lora=first.settings.lora_rank is not None)
    options = read(suited)
    settings = options.settings.changed_from(suited)
    if settings.loop.eval_every != suited.loop.eval_every and settings.measurements == suited.measurements:
        settings = dataclasses.replace(settings, measurements=None)
    return dataclasses.replace(options, settings=settings)


def _embedder(options: Options) -> str | None:
    if not options.conditioned and options.embedder is None:
        return None
    if not options.conditioned or options.embedder is None:
        given, missing = (
            ("--conditioned", "--embedder MODEL") if options.conditioned else ("--embedder", "--conditioned")
        )
        raise UserError(f"{given} goes with {missing}; give both, or neither")
    return options.embedder


def _report(options: Options, found: Outcome) -> None:
    from partimento.model.hub import BEST_FILE
    from partimento.train.objectives.continuation import overfitting
    from partimento.train.stages.continuation import OVERFITTING

    name = "nats_per_token"
    facts = dataclasses.asdict(found)
    if found.best_step == 0:
        options.report(
            facts,
            f"nothing gained: held-out loss was {found.before[name]:.3f} nats a token before and never lower; "
            f"try a lower --loop.peak-lr, or more files",
        )
        return
    gap = overfitting(found.best, found.before)
    lines = [
        f"held-out loss: {found.before[name]:.3f} nats a token before, {found.best[name]:.3f} after "
        f"(step {found.best_step} of {found.last_step}); a note {found.before['nats_per_note']:.2f} -> "
        f"{found.best['nats_per_note']:.2f}",
        f"overfitting: the gap between training and validation grew by {gap:.3f} nats a token "
        f"({'more than' if gap > OVERFITTING else 'within'} the limit of {OVERFITTING})",
    ]
    without = found.best.get("unconditioned_nats_per_token")
    if without is not None:
        lines.append(
            f"held-out loss without vectors: {without:.3f} nats a token, {without - found.best[name]:.3f} more"
        )
    lines += [
        f"model in {found.folder / BEST_FILE}",
        f"next: partimento continue FILE.mid --model {found.folder}",
    ]
    options.report(facts | {"overfitting": gap}, *lines)
