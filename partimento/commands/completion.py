"""`partimento completion bash|zsh|fish`: a script by which a shell completes verbs, options and their choices.

Knows: which words may stand where, from the table of verbs and their dataclasses. The script holds them all, so that
completing a word starts no Python. Refuses to know what an option means.

    source <(partimento completion bash)
    partimento completion fish > ~/.config/fish/completions/partimento.fish
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import VerbOptions
from partimento.commands.common.verbs import Verb

Words = tuple[str, ...]
_POSITIONAL = typing.get_args(tyro.conf.Positional[int])[1]
_MODELS = ("--model", "-m", "--from", "--encoder", "--embedder", "--draft", "--like-model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Print a script that teaches a shell to complete this program's verbs, options and choices.

    bash: source <(partimento completion bash), in ~/.bashrc for good. zsh: the same in ~/.zshrc, behind compinit. fish:
    partimento completion fish > ~/.config/fish/completions/partimento.fish
    """

    shell: Annotated[Literal["bash", "zsh", "fish"], tyro.conf.Positional]
    """The shell."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="completion")
    from partimento.cli import VERBS

    script = _fish(VERBS) if options.shell == "fish" else _bash(VERBS, zsh=options.shell == "zsh")
    if options.json:
        options.report({"shell": options.shell, "script": script})
    else:
        print(script)
    return 0


def places(verbs: Sequence[Verb], before: str = "") -> Iterator[tuple[str, Words | dict[str, Words]]]:
    """Each place of a command line: the verbs that may stand there, or the flags of a verb with their choices.

    `("", ("continue", ...))`, `("continue", {"--engine": ("auto", ...), "--seconds": (), ...})`.
    """
    yield before, tuple(verb.name for verb in verbs)
    for verb in verbs:
        name = f"{before} {verb.name}".strip()
        options = verb.options()
        if options is None:
            yield from places(verb.verbs(), name)
        else:
            yield name, flags(options)


def flags(options: type) -> dict[str, Words]:
    """The flags of a dataclass of options, as tyro spells them, each with the words that may follow it."""
    return {"--help": ()} | dict(_flags(options, ""))


def _flags(options: type, prefix: str) -> Iterator[tuple[str, Words]]:
    hints = typing.get_type_hints(options, include_extras=True)
    for field in dataclasses.fields(options):
        kind, said = _bare(hints[field.name])
        if _POSITIONAL in said:
            continue
        given = [one.name for one in said if getattr(one, "name", None) is not None]
        name = given[0] if given else field.name.replace("_", "-")
        if dataclasses.is_dataclass(kind):
            yield from _flags(kind, f"{prefix}{name}." if name else prefix)  # type: ignore[arg-type]
            continue
        aliases = [alias for one in said for alias in getattr(one, "aliases", None) or ()]
        spelt = [f"--{prefix}{name}"]
        if kind is bool and field.default is not False:
            spelt = [f"--{prefix}no-{name}"] + spelt * (field.default is not True)  # a recipe says which of them is
        for flag in [*spelt, *aliases]:
            yield flag, _bundled() if flag in _MODELS else _choices(kind)


def _bare(hint: Any) -> tuple[Any, list[Any]]:
    """A type without what is annotated, and that."""
    said: list[Any] = []
    while typing.get_origin(hint) is Annotated:
        hint, *more = typing.get_args(hint)
        said += more
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [_bare(one) for one in typing.get_args(hint) if one is not types.NoneType]
        if len(inner) == 1 and inner[0][0] is not bool:
            return inner[0][0], said + inner[0][1]
    return hint, said


def _choices(kind: Any) -> Words:
    """The words of a Literal, or of a switch that is neither on nor off unless it is said."""
    if typing.get_origin(kind) is Literal:
        return tuple(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return _choices(typing.get_args(kind)[0])
    return ("True", "False") if bool in typing.get_args(kind) else ()


def _bundled() -> Words:
    from partimento.model.hub import BUNDLED

    return tuple(BUNDLED)


def _bash(verbs: Sequence[Verb], *, zsh: bool) -> str:
    """A function for bash; zsh runs it through its own bashcompinit."""
    found = list(places(verbs))
    steps = [f"{place} {verb}" for place, words in found if isinstance(words, tuple) for verb in words]
    lines = ["autoload -U +X bashcompinit && bashcompinit"] if zsh else []
    lines += [
        "_partimento() {",
        '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" place="" words="" i',
        "  for ((i = 1; i < COMP_CWORD; i++)); do",
        '    case "$place ${COMP_WORDS[i]}" in',
        "      " + "|".join(f'"{step}"' for step in steps) + ') place="${place:+$place }${COMP_WORDS[i]}" ;;',
        "    esac",
        "  done",
        '  case "$place" in',
    ]
    for place, words in found:
        if isinstance(words, tuple):
            lines.append(f'  "{place}") words="{" ".join(words)}" ;;')
            continue
        lines.append(f'  "{place}")')
        lines.append(f'    case "$word" in -*) words="{" ".join(words)}" ;; esac')
        lines.append('    case "$before" in')
        for flag, choices in words.items():
            if choices:
                lines.append(f'      {flag}) words="{" ".join(choices)}" ;;')
        lines += ["    esac ;;"]
    lines += [
        "  esac",
        '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "}",
        "complete -o default -F _partimento partimento  # where no word fits: files",
    ]
    return "\n".join(lines)


def _fish(verbs: Sequence[Verb]) -> str:
    lines = []
    for place, words in places(verbs):
        seen = "; and ".join(f"__fish_seen_subcommand_from {verb}" for verb in place.split())
        if isinstance(words, tuple):
            others = f"not __fish_seen_subcommand_from {' '.join(words)}"
            when = f"{seen}; and {others}" if seen else "__fish_use_subcommand"
            lines.append(f"complete -c partimento -f -n '{when}' -a '{' '.join(words)}'")
            continue
        for flag, choices in words.items():
            name = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
            after = f" -r -a '{' '.join(choices)}'" if choices else ""
            lines.append(f"complete -c partimento -n '{seen}' {name}{after}")
    return "\n".join(lines)
