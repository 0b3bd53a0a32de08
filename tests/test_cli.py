"""The command as a user meets it: a process with an exit status, an output and an error output."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import partimento
from partimento.cli import VERBS, main

ROOT = Path(__file__).parents[1]

VERB_MODULE = '''
import os, signal, sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from partimento.commands.common.flags import parse
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Do one thing to a file."""

    file: tyro.conf.Positional[Path]
    """What to do it to."""
    seconds: float | None = 45.0
    """For how long."""
    times: int = 1
    """How often."""
    bars: int | None = None
    """How many bars."""
    style: Literal["nocturne", "ballad"] = "nocturne"
    """In which manner."""
    end: bool = False
    """Bring it to a close."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path(".")
    """Where to put it."""


def options(argv):
    print(parse(Options, argv, verb="options"))


def fail(argv):
    raise UserError("line one\\nline two")


def missing(argv):
    Path("no-such-file.mid").read_bytes()


def interrupted(argv):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background processes ignore
    os.kill(os.getpid(), signal.SIGINT)


def defect(argv):
    raise ZeroDivisionError("a defect")


def status(argv):
    return int(argv[0])


def unspeakable(argv):
    print("n\\udce9.mid → a")


def unwritable(argv):
    "corpus/n\\udce9".encode()


def talk(argv):
    for line in range(100_000):
        print("line", line)
'''

RUN_VERB = """
import sys
from partimento.cli import Verb, main
names = "options fail missing interrupted defect status talk unspeakable unwritable".split()
sys.exit(main(verbs=[Verb(name=name, help=f"help of {name}", target=f"verb_module:{name}") for name in names]))
"""


def partimento_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "partimento", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.fixture
def run_verb(tmp_path):
    (tmp_path / "verb_module.py").write_text(VERB_MODULE)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
        command = [sys.executable, "-c", RUN_VERB, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    return run


def only_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text.rstrip("\n")


def test_help_names_every_verb_and_loads_nothing_heavy():
    script = (
        "import sys, partimento.cli as cli\n"
        "assert cli.main(['--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'numba', 'tyro', 'rich', 'matplotlib', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for verb in VERBS:
        assert f"  {verb.name} " in done.stdout
        assert verb.help in done.stdout


def test_no_arguments_mean_help():
    assert partimento_command().stdout == partimento_command("--help").stdout


def test_version():
    done = partimento_command("--version")
    assert (done.returncode, done.stdout) == (0, f"partimento {partimento.__version__}\n")


def test_names_that_are_not_text_are_shown_or_refused_in_one_line(run_verb, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1:strict")
    assert run_verb("unspeakable").stdout == "n\\udce9.mid \\u2192 a\n"
    done = run_verb("unwritable")
    assert (done.returncode, only_line(done.stderr)) == (
        2,
        "partimento: 'corpus/n\\udce9' is not UTF-8, which tables and models cannot be called; name it otherwise",
    )


def test_an_unknown_verb_is_refused_with_the_list_of_verbs():
    done = partimento_command("kontinue", "a.mid")
    line = only_line(done.stderr)
    assert done.returncode == 2
    assert line.startswith("partimento: unknown verb 'kontinue'")
    assert all(verb.name in line for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "said"), [(["continu", "a.mid"], "continue"), (["finetune", "clasifier"], "classifier")]
)
def test_a_misspelt_verb_gets_a_suggestion(capsys, arguments, said):
    assert main(arguments) == 2
    assert f"; perhaps you meant {said}; the verbs are" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_can_be_loaded_and_helps(verb):
    assert importlib.util.find_spec(verb.target.partition(":")[0]) is not None
    done = partimento_command(verb.name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"partimento {verb.name}" in done.stdout
    refused = partimento_command(verb.name, "--no-such-flag")
    assert refused.returncode == 2
    assert only_line(refused.stderr).endswith(f"(see partimento {verb.name} --help)")


def test_the_users_errors_are_one_line(run_verb):
    done = run_verb("fail")
    assert (done.returncode, only_line(done.stderr)) == (2, "partimento: line one line two")


def test_a_missing_file_is_the_users_error(run_verb):
    done = run_verb("missing")
    assert (done.returncode, only_line(done.stderr)) == (2, "partimento: No such file or directory: no-such-file.mid")


@pytest.mark.posix
def test_an_interrupt_is_one_line(run_verb):
    done = run_verb("interrupted")
    assert (done.returncode, only_line(done.stderr)) == (130, "partimento: interrupted")


def test_a_defect_shows_its_traceback(run_verb):
    done = run_verb("defect")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "a defect" in done.stderr


def test_a_verb_may_choose_its_status(run_verb):
    assert run_verb("status", "7").returncode == 7
    assert run_verb("options", "a.mid").returncode == 0


@pytest.mark.posix
def test_a_reader_that_stops_reading_is_no_error(tmp_path, run_verb):
    run_verb("status", "0")
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_VERB, "talk"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "line 0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_flags_become_the_options(run_verb):
    done = run_verb("options", "a.mid", "--seconds", "3", "-o", "out", "--end")
    assert "seconds=3.0" in done.stdout
    assert "out=PosixPath('out')" in done.stdout
    assert "end=True" in done.stdout
    assert "style='nocturne'" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing from partimento options: PATH"),
        (["a.mid", "b.mid"], "Unrecognized options: b.mid"),
        (["a.mid", "--second", "3"], "Unrecognized options: --second, 3; perhaps you meant --seconds"),
        (["a.mid", "--seconds", "soon"], "Error parsing --seconds: 'soon' is no number"),
        (["a.mid", "--times", "1.5"], "Error parsing --times: '1.5' is no whole number"),
        (["a.mid", "--bars", "x"], "Error parsing --bars: 'x' is no whole number"),
        (["a.mid", "--output-dir", "x"], "Unrecognized options: --output-dir, x; perhaps you meant --out"),
        (["a.mid", "--secnods", "3"], "perhaps you meant --seconds"),
        (["a.mid", "--style", "polka"], "Expected one of ('nocturne', 'ballad')"),
        (["a.mid", "--out"], "Missing value for argument"),
    ],
)
def test_flags_that_do_not_fit_are_one_line_that_names_them(run_verb, arguments, said):
    done = run_verb("options", *arguments)
    line = only_line(done.stderr)
    assert done.returncode == 2
    assert line.startswith("partimento: ")
    assert line.endswith("(see partimento options --help)")
    assert said in line
    assert "│" not in line
    assert "──" not in line


def test_what_a_verbs_options_refuse_themselves_is_said_plainly(capsys):
    assert main(["survey", "midi", "-o", "corpus", "--workers", "0"]) == 2
    said = "partimento: --workers must be at least 1, not 0 (see partimento survey --help)\n"
    assert capsys.readouterr().err == said


def test_a_verbs_help_comes_from_its_options(run_verb):
    done = run_verb("options", "--help")
    assert done.returncode == 0
    for words in ("Do one thing to a file.", "For how long.", "--no-end"):
        assert (words in done.stdout) == (words != "--no-end")
