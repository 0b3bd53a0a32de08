"""Every benchmark can be asked what it does, and the quick forms of some, of one of each kind, run."""

import importlib

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.common import NOT_QUICK, table

PROGRAMS = benchmarks.programs()
# A few seconds together: made-up MIDI, a survey, a store, a page with tables, none that runs a model.
QUICK = ("corpus.duplicates", "corpus.selection", "tokens.throughput", "train.carry")


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_benchmark_says_what_it_does(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"benchmarks.{name}").main(["--help"])
    said = capsys.readouterr().out
    assert said.startswith(f"usage: python -m benchmarks.{name} ")
    assert benchmarks.about(PROGRAMS[name]) in said and "--quick" in said


@pytest.mark.parametrize("name", QUICK)
def test_quick_forms_run_on_made_up_music(name, capsys):
    importlib.import_module(f"benchmarks.{name}").main(["--quick"])
    assert capsys.readouterr().out


def test_what_needs_the_data_of_others_says_so(capsys):
    with pytest.raises(SystemExit, match=str(NOT_QUICK)):
        importlib.import_module("benchmarks.tokens.golden").main(["--quick"])
    assert capsys.readouterr().out.startswith("no quick form: ")


def test_one_command_lists_them_by_topic_and_refuses_strange_names(capsys):
    assert benchmarks.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(PROGRAMS) > 30
    assert benchmarks.main(["--list", "tokens", "embed.halves"]) == 0
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert named == ["embed.halves", *(name for name in PROGRAMS if name.startswith("tokens."))]
    with pytest.raises(SystemExit, match="2"):
        benchmarks.main(["--quick", "opera"])


def test_tables_are_markdown():
    assert table(["a", "b"], [(1, "x")]) == "| a | b |\n|---|---|\n| 1 | x |"
