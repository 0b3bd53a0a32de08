"""The `partimento` command: which verbs there are, and what happens when one fails.

Knows the verbs by name and one line of help each; a verb's module is imported when the verb is called, so that
`partimento --help` answers at once. Refuses to know any verb's options: those are a dataclass in
`partimento/commands/<verb>.py`, whose `main(argv)` translates them into calls of the package.

A new verb is one line in `VERBS` and one module:

    Verb(name="studio", help="hear, see and steer it in the browser", target="partimento.commands.studio:main"),
    Verb(name="duet", help="play in turns with it on a MIDI instrument", target="partimento.commands.duet:main"),
    Verb(name="tokens", help="show a MIDI file as tokens", target="partimento.commands.tokens:main"),

(`continue` is a word of Python's own, so its module is `continue_.py`.)

Exit status: 0 done; 2 something the user can mend, said in one line on stderr; 130 interrupted; 141 the reader of our
output went away. Anything else that is raised is a defect and shows its traceback.
"""

import io
import os
import sys
from collections.abc import Sequence

from partimento import __version__
from partimento.commands.common.verbs import Verb, call
from partimento.errors import UserError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE

_ABOUT = "Continues, embeds and classifies piano performances. (partimento --version: which one this is.)"

VERBS: tuple[Verb, ...] = (
    Verb(name="continue", help="go on where a performance leaves off", target="partimento.commands.continue_:main"),
    Verb(name="render", help="the sound of a MIDI file", target="partimento.commands.render:main"),
    Verb(name="studio", help="hear, see and steer it in the browser", target="partimento.commands.studio:main"),
    Verb(name="duet", help="play in turns with it on a MIDI instrument", target="partimento.commands.duet:main"),
    Verb(name="tokens", help="show a MIDI file as tokens, or back", target="partimento.commands.tokens:main"),
    Verb(name="survey", help="what every MIDI file of a collection is", target="partimento.commands.survey:main"),
    Verb(name="select", help="survey and recipe -> which files to train on", target="partimento.commands.select:main"),
    Verb(name="store", help="MIDI files or a selection -> a note store", target="partimento.commands.store:main"),
    Verb(name="verify", help="check that a note store is what was written", target="partimento.commands.verify:main"),
    Verb(name="publish", help="a note store -> Parquet files", target="partimento.commands.publish:main"),
    Verb(name="overlap", help="what two collections have in common", target="partimento.commands.overlap:main"),
    Verb(name="originality", help="is it a copy, and of what", target="partimento.commands.originality:main"),
    Verb(name="pretrain", help="train a model on a note store", target="partimento.commands.pretrain:main"),
    Verb(name="finetune", help="train a model further, on your music too", target="partimento.commands.finetune:main"),
    Verb(name="recipe", help="what a training recipe says and costs", target="partimento.commands.recipe:main"),
    Verb(name="plot", help="loss curves of training runs", target="partimento.commands.plot:main"),
    Verb(name="embed", help="MIDI files -> a table of vectors", target="partimento.commands.embed:main"),
    Verb(name="library", help="a collection that can be asked", target="partimento.commands.library:main"),
    Verb(name="atlas", help="a library as a map that one can walk on", target="partimento.commands.atlas:main"),
    Verb(name="classify", help="what a classifier takes files for", target="partimento.commands.classify:main"),
    Verb(name="probe", help="what a linear classifier reads from vectors", target="partimento.commands.probe:main"),
    Verb(name="evaluate", help="tasks and tables of measurements", target="partimento.commands.evaluate:main"),
    Verb(name="listen", help="a listening test, from clips to tables", target="partimento.commands.listen:main"),
    Verb(name="info", help="what a model or a file is", target="partimento.commands.info:main"),
    Verb(name="export", help="a model for other engines", target="partimento.commands.export:main"),
    Verb(name="completion", help="a script: your shell completes", target="partimento.commands.completion:main"),
)


def main(argv: Sequence[str] | None = None, verbs: Sequence[Verb] = VERBS) -> int:
    """Run one command line (default: the process's own) and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may hold what a terminal or a file cannot be told
        sys.stdout.reconfigure(errors="backslashreplace")
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
    except UnicodeEncodeError as error:
        if "surrogates" not in error.reason:
            raise
        return _complain(f"{error.object!a} is not UTF-8, which tables and models cannot be called; name it otherwise")
    except OSError as error:
        reason = error.strerror or str(error)
        return _complain(f"{reason}: {error.filename}" if error.filename is not None else reason)
    except KeyboardInterrupt:
        return _complain("interrupted", EXIT_INTERRUPTED)


def _dispatch(arguments: list[str], verbs: Sequence[Verb]) -> int:
    if arguments and arguments[0] in ("-V", "--version"):
        print(f"partimento {__version__}")
        return 0
    return call(arguments, verbs, program="partimento", about=_ABOUT)


def _complain(message: str, status: int = EXIT_USER_ERROR) -> int:
    print("partimento: " + " ".join(message.splitlines()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
