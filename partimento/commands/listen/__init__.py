"""`partimento listen VERB ...`: a listening test, from STUDY.toml to the report; a line in `KINDS` for each step."""

from partimento.commands.common.verbs import Verb, call

KINDS: tuple[Verb, ...] = (
    Verb(name="make", help="a STUDY.toml -> all clips, frozen", target="partimento.commands.listen.make:main"),
    Verb(name="serve", help="the page on which people compare", target="partimento.commands.listen.serve:main"),
    Verb(name="report", help="what the votes show", target="partimento.commands.listen.report:main"),
)


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    return call(argv, KINDS, program="partimento listen", about="Compare systems by ear: A, B, or no difference.")
