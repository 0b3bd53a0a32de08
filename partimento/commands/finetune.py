"""`partimento finetune KIND ...`: the kinds of fine-tuning, a module and a line in `KINDS` for each."""

from partimento.commands.verbs import Verb, call

KINDS: tuple[Verb, ...] = (
    Verb(
        name="continuation",
        help="better continuations, in the manner of your music",
        target="partimento.commands.finetune_continuation:main",
    ),
)


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    return call(argv, KINDS, program="partimento finetune", about="Train a model further, for one purpose.")
