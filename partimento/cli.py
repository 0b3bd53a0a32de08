"""The `partimento` command: which verbs there are, and what happens when one fails.

Knows the verbs by name and one line of help each; a verb's module is imported when the verb is called, so that
`partimento --help` answers at once. Refuses to know any verb's options: those are a dataclass in
`partimento/commands/<verb>.py`, whose `main(argv)` translates them into calls of the package.

A new verb is one line in `VERBS` and one module:

    Verb(name="tokens", help="show a MIDI file as tokens", target="partimento.commands.tokens:main"),

(`continue` is a word of Python's own, so its module is `continue_.py`.)

Exit status: 0 done; 2 something the user can mend, said in one line on stderr; 130 interrupted; 141 the reader of our
output went away. Anything else that is raised is a defect and shows its traceback.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from partimento import __version__
from partimento.errors import UserError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE


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


VERBS: tuple[Verb, ...] = (
    Verb(name="continue", help="go on where a performance leaves off", target="partimento.commands.continue_:main"),
    Verb(name="tokens", help="show a MIDI file as tokens, or back", target="partimento.commands.tokens:main"),
    Verb(name="survey", help="what every MIDI file of a collection is", target="partimento.commands.survey:main"),
    Verb(name="select", help="survey and recipe -> which files to train on", target="partimento.commands.select:main"),
    Verb(name="store", help="MIDI files or a selection -> a note store", target="partimento.commands.store:main"),
    Verb(name="verify", help="check that a note store is what was written", target="partimento.commands.verify:main"),
    Verb(name="publish", help="a note store -> Parquet files", target="partimento.commands.publish:main"),
    Verb(name="overlap", help="what two collections have in common", target="partimento.commands.overlap:main"),
    Verb(name="pretrain", help="train a model on a note store", target="partimento.commands.pretrain:main"),
    Verb(name="recipe", help="what a training recipe says and costs", target="partimento.commands.recipe:main"),
    Verb(name="plot", help="loss curves of training runs", target="partimento.commands.plot:main"),
    Verb(name="info", help="what a model is", target="partimento.commands.info:main"),
    Verb(name="export", help="a model for other engines", target="partimento.commands.export:main"),
)


def main(argv: Sequence[str] | None = None, verbs: Sequence[Verb] = VERBS) -> int:
    """Run one command line (default: the process's own) and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(arguments, verbs)
        sys.stdout.flush()
        return status
    except UserError as error:
        return _complain(str(error))
    except BrokenPipeError:
        # Python flushes stdout once more on exit; without this it would complain about the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        reason = error.strerror or str(error)
        return _complain(f"{reason}: {error.filename}" if error.filename is not None else reason)
    except KeyboardInterrupt:
        return _complain("interrupted", EXIT_INTERRUPTED)


def _dispatch(arguments: list[str], verbs: Sequence[Verb]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(verbs))
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"partimento {__version__}")
        return 0
    name, *rest = arguments
    for verb in verbs:
        if verb.name == name:
            return verb.load()(rest) or 0
    known = ", ".join(verb.name for verb in verbs)
    raise UserError(f"unknown verb {name!r}; the verbs are: {known} (see partimento --help)")


def _help(verbs: Sequence[Verb]) -> str:
    width = max((len(verb.name) for verb in verbs), default=0)
    lines = [f"  {verb.name:<{width}}  {verb.help}" for verb in verbs]
    return "\n".join(
        [
            "usage: partimento VERB [arguments]",
            "",
            "Continues, embeds and classifies piano performances.",
            "",
            "verbs:",
            *lines,
            "",
            "partimento VERB --help    the arguments of one verb",
            "partimento --version      the version",
        ]
    )


def _complain(message: str, status: int = EXIT_USER_ERROR) -> int:
    print("partimento: " + " ".join(message.splitlines()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
