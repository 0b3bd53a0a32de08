"""`partimento evaluate WHAT ...`: what can be measured, a line in `KINDS` for each."""

from partimento.commands.common.verbs import Verb, call

KINDS: tuple[Verb, ...] = (
    Verb(
        name="tasks",
        help="the classification tasks, and which of their files are here",
        target="partimento.commands.evaluate.tasks:main",
    ),
    Verb(
        name="table2",
        help="the paper's table of classifiers, with the models at hand",
        target="partimento.commands.evaluate.table2:main",
    ),
    Verb(
        name="retrieval",
        help="another performance of the same piece among the nearest vectors",
        target="partimento.commands.evaluate.retrieval:main",
    ),
    Verb(
        name="continuation",
        help="continuations of held-out prompts beside the pianists' own",
        target="partimento.commands.evaluate.continuation:main",
    ),
)


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    return call(argv, KINDS, program="partimento evaluate", about="Measure how good models are.")
