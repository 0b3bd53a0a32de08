"""`partimento finetune KIND ...`: the kinds of fine-tuning, a module and a line in `KINDS` for each."""

from partimento.commands.common.verbs import Verb, call

KINDS: tuple[Verb, ...] = (
    Verb(
        name="continuation",
        help="better continuations, in the manner of your music",
        target="partimento.commands.finetune.continuation:main",
    ),
    Verb(
        name="contrastive",
        help="vectors that are alike for music that is",
        target="partimento.commands.finetune.contrastive:main",
    ),
    Verb(
        name="classifier",
        help="probabilities of labels",
        target="partimento.commands.finetune.classifier:main",
    ),
)


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    return call(argv, KINDS, program="partimento finetune", about="Train a model further, for one purpose.")
