"""Command-line arguments -> a frozen dataclass, by tyro.

Knows how every verb's flags look (`--lower-case`, one way to spell each switch, help from the fields' docstrings) and
turns tyro's boxed complaints into the one line of a `UserError`. Refuses to know any particular option.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Options:
        '''Show a MIDI file as tokens.'''

        file: tyro.conf.Positional[Path]
        '''The MIDI file.'''
        json: bool = False
        '''Print JSON instead of a table.'''

    def main(argv: list[str]) -> None:
        options = parse(Options, argv, verb="tokens")
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import tyro

from partimento.commands.common.verbs import suggestion
from partimento.errors import UserError

if TYPE_CHECKING:
    from partimento.train.settings import AnyRecipe

Options = TypeVar("Options")

_RULE = re.compile(r"[─-]{8,}")  # the latter where the encoding has no lines
_FRAME = re.compile(rf"[╭╮╰╯│]|{_RULE.pattern}")
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_NO_NUMBER = re.compile(
    r"no type matching \{None\}\|(?P<union>INT|FLOAT) could be instantiated from \['(?P<a>.*)'\]"
    r"|invalid literal for int\(\) with base 10: '(?P<b>.*)'|could not convert string to float: '(?P<c>.*)'"
)
"""How tyro and Python say that a word is no number."""
_USUAL = {"--output": "--out", "--output-dir": "--out", "--overwrite": "--force", "--length": "--seconds"}
"""What other programs call an option."""


def parse(options: type[Options], argv: Sequence[str], *, verb: str, default: Options | None = None) -> Options:
    """Read `argv` (what follows the verb) into an instance of the dataclass `options`.

    `default` holds the values of flags that are not given; `tyro.MISSING` stands for those that must be.

    `--help` prints the help and exits with status 0, as tyro does. Raises UserError, in one line, for arguments that do
    not fit; a `UserError` raised by the dataclass's own `__post_init__` passes through.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            config = (tyro.conf.FlagCreatePairsOff,)
            read = partial(tyro.cli, options, prog=f"partimento {verb}", args=list(argv), config=config)
            return read() if default is None else read(default=default)
    except SystemExit as exit_:
        if exit_.code in (0, None):
            raise
        said = _one_line(complaint.getvalue())
        raise UserError(f"{said}{_suggestion(said, options)} (see partimento {verb} --help)") from None


def recipe_name(argv: Sequence[str], default: str) -> str:
    """The name given with --recipe: it decides the defaults of the other flags, so it is read before them."""
    given = _given(argv, "--recipe")
    return default if given is None else given


def fitting(argv: Sequence[str], recipe: AnyRecipe) -> AnyRecipe:
    """The recipe with a warm-up that fits the steps given with --loop.steps, if --loop.warmup-steps is not given."""
    steps = _given(argv, "--loop.steps") or ""
    if not steps.isdecimal() or int(steps) < 1 or _given(argv, "--loop.warmup-steps") is not None:
        return recipe
    return recipe.with_steps(int(steps))


def _given(argv: Sequence[str], flag: str) -> str | None:
    for word, following in zip(argv, [*argv, ""][1:], strict=True):
        name, is_set, value = word.partition("=")
        if name.replace("_", "-") == flag:
            return value if is_set else following
    return None


def named_models(given: Sequence[str], *, flag: str) -> dict[str, str]:
    """NAME=MODEL words as a mapping; raises `UserError`, naming the flag, for anything else."""
    models = {}
    for word in given:
        name, _, model = word.partition("=")
        if not (name and model):
            raise UserError(f"{flag} {word}: give NAME=MODEL, such as emb=runs/contrastive")
        models[name] = model
    return models


def _one_line(box: str) -> str:
    """Tyro's framed complaint without its frame, its title, the pointer to the help and the option's help text."""
    sections: list[list[str]] = [[]]
    for raw in _ESCAPE.sub("", box).splitlines()[1:]:
        line = _FRAME.sub("", raw).strip()
        if line:
            sections[-1].append(line)
        elif _RULE.search(raw):
            sections.append([])
    parts = []
    for section in sections:
        text = " ".join(section).partition(" Got errors:")[0]  # what each member of a union said, all the same
        if text.startswith("Perhaps you meant"):
            parts.append("perhaps you meant " + " or ".join(dict.fromkeys(re.findall(r"--[\w-]+", text))))
        elif text and not text.startswith(("For full helptext", "Argument helptext")):
            parts.append(text.removesuffix(".").removeprefix("Error parsing Options: "))  # said by __post_init__
    return "; ".join(_plainly(part) for part in parts)


def _plainly(text: str) -> str:
    """A complaint about a number that says what is wanted in words instead of Python's types."""

    def words(found: re.Match[str]) -> str:
        whole = found["union"] == "INT" or found["b"] is not None
        return f"{found['a'] or found['b'] or found['c']!r} is no {'whole ' * whole}number"

    return _NO_NUMBER.sub(words, text)


def _suggestion(complaint: str, options: type) -> str:
    """For options that tyro finds nothing like: the nearest of those there are, or what is meant by a usual name."""
    unknown = re.match(r"Unrecognized options: (--[\w.-]+)", complaint)
    if unknown is None or "perhaps you meant" in complaint:
        return ""
    flags = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(options) if field.name != "settings"]
    usual = _USUAL.get(unknown[1])
    return f"; perhaps you meant {usual}" if usual in flags else suggestion(unknown[1], flags)
