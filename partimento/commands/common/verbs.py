"""A table of verbs, each in a module of its own that is imported when the verb is called.

Knows how a verb is found, and the help of a table. Refuses to know any verb. `partimento` itself has such a table, and
so has a verb that has verbs of its own, such as `finetune`.

    KINDS = (Verb(name="continuation", help="...", target="partimento.commands.finetune.continuation:main"),)
    call(["continuation", "store"], KINDS, program="partimento finetune", about="Train a model further.")
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One subcommand: its name, its line in the help, and `module:function` taking the arguments after the name."""

    name: str
    help: str
    target: str

    def load(self) -> Callable[[list[str]], int | None]:
        """Import the verb's module and return its function; the function may return an exit status."""
        module, _, function = self.target.partition(":")
        return cast(Callable[[list[str]], int | None], getattr(importlib.import_module(module), function))

    def options(self) -> type | None:
        """The dataclass of its options: `Options`, or `Add` of a function `add`; None if it is a table of verbs."""
        module, _, function = self.target.partition(":")
        name = "Options" if function == "main" else function.capitalize()
        return getattr(importlib.import_module(module), name, None)

    def verbs(self) -> Sequence[Verb]:
        """Those of its own table, if it has one."""
        return getattr(importlib.import_module(self.target.partition(":")[0]), "KINDS", ())


def every(verbs: Sequence[Verb], above: str = "") -> Iterator[tuple[str, Verb]]:
    """Each verb with its name, such as "finetune continuation", and those of the tables below."""
    for verb in verbs:
        name = above + verb.name
        yield name, verb
        yield from every(verb.verbs(), name + " ")


def call(arguments: Sequence[str], verbs: Sequence[Verb], *, program: str, about: str) -> int:
    """Run the verb that the first argument names, with the others; no argument or --help prints what there is."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(verbs, program, about))
        return 0
    name, *rest = arguments
    for verb in verbs:
        if verb.name == name:
            return verb.load()(rest) or 0
    known = ", ".join(verb.name for verb in verbs)
    meant = suggestion(name, [verb.name for verb in verbs])
    raise UserError(f"unknown verb {name!r}{meant}; the verbs are: {known} (see {program} --help)")


def suggestion(word: str, known: Sequence[str]) -> str:
    """`; perhaps you meant ...`, or nothing where no known word is like it."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; perhaps you meant {near[0]}" if near else ""


def _help(verbs: Sequence[Verb], program: str, about: str) -> str:
    width = max((len(verb.name) for verb in verbs), default=0)
    lines = [f"  {verb.name:<{width}}  {verb.help}" for verb in verbs]
    usage = [f"usage: {program} VERB [arguments]", "", about, "", "verbs:", *lines, ""]
    return "\n".join([*usage, f"{program} VERB --help    the arguments of one verb"])
