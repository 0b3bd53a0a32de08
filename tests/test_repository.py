"""What the repository says of itself is true: its commands, its links, its tree, its pins, its public names."""

import ast
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import partimento
from partimento.cli import VERBS, main
from partimento.commands.common.flags import parse
from partimento.commands.common.verbs import every

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run_python(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def shell_lines() -> list[str]:
    lines = [
        line.partition("#")[0].split()
        for path in DOCUMENTS
        for text in blocks(path, "sh")
        for line in text.splitlines()
    ]
    return [words for words in lines if words]


# -- the package ------------------------------------------------------------------------------------------------------


def test_importing_the_package_loads_nothing_heavy():
    run_python(
        "import sys, partimento\n"
        "heavy = {'torch', 'numpy', 'numba', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )


def test_reading_and_writing_midi_loads_no_torch_and_no_matplotlib():
    run_python(
        "import sys, partimento\n"
        "performance = partimento.Performance.from_midi('examples/nocturne.mid')\n"
        "partimento.Performance.from_midi(performance.to_midi())\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )


def test_public_names_are_the_same_for_readers_type_checkers_and_python():
    tree = ast.parse((ROOT / "partimento" / "__init__.py").read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in checked.body for alias in node.names}
    assert typed == partimento._HOME
    assert set(partimento.__all__) == {"__version__", *typed}
    assert set(partimento.__all__) <= set(dir(partimento))
    for name in partimento.__all__:
        assert getattr(partimento, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        partimento.no_such_name  # noqa: B018


def test_the_architecture_lists_the_package_as_it_is():
    block = (ROOT / "docs" / "architecture.md").read_text().partition("## What exists")[2].partition("```\n")[2]
    listed, folders = set(), []
    for line in block.partition("```")[0].splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders[depth:] = [name.rstrip("/")] if name.endswith("/") else []
        if not name.endswith("/"):
            listed.add("/".join([*folders, name]))
    present = {str(path.relative_to(ROOT)) for path in (ROOT / "partimento").rglob("*.py")}
    introductions = {path for path in present if path.endswith("__init__.py") and path != "partimento/__init__.py"}
    verbs = {verb.target.partition(":")[0].replace(".", "/") + ".py" for _, verb in every(VERBS)}  # --help lists them
    assert listed == present - introductions - verbs


def test_every_folder_of_the_package_has_its_place_in_the_order_of_imports():
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = {layer.strip("()").removeprefix("partimento.") for layer in layers}
    folders = {path.parent.name for path in (ROOT / "partimento").glob("*/__init__.py")}
    assert folders <= placed


# -- what a newcomer types --------------------------------------------------------------------------------------------


@pytest.mark.posix
def test_make_lists_every_target():
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert set(re.findall(r"^  make ([a-z]+)", done.stdout, re.MULTILINE)) == make_targets()
    default = subprocess.run(["make", "--no-print-directory"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert default.stdout == done.stdout


@pytest.mark.posix
def test_the_demo_continues_a_prompt_that_exists():
    plan = subprocess.run(["make", "--dry-run", "demo"], capture_output=True, text=True, check=True, cwd=ROOT)
    command = re.search(r"bin/partimento (\w+) (\S+\.mid)", plan.stdout)
    assert command is not None
    assert command[1] in {verb.name for verb in VERBS}
    assert (ROOT / command[2]).is_file()


@pytest.mark.posix
def test_continuous_integration_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().rstrip().endswith("make test")


class ParsedError(Exception):
    """Instead of doing what a command asks for."""


@pytest.mark.parametrize("words", shell_lines(), ids=" ".join)
def test_documented_commands_are_understood(words, monkeypatch):
    program, *arguments = words
    if program == "make":
        assert arguments[0] in make_targets()
        return
    assert Path(program).name == "partimento"
    for path in [word for word in arguments if word.startswith("examples/")]:
        assert (ROOT / path).is_file()

    def parse_only(options, argv, **named):
        raise ParsedError(parse(options, argv, **named))

    if arguments != ["--help"]:
        named = [(name, verb) for name, verb in every(VERBS) if arguments[: len(name.split())] == name.split()]
        _, verb = max(named, key=lambda found: len(found[0]))
        monkeypatch.setattr(verb.target.partition(":")[0] + ".parse", parse_only)
        with pytest.raises(ParsedError):
            main(arguments)  # a command that is not understood ends with status 2 instead


@pytest.mark.parametrize("text", blocks(ROOT / "README.md", "python"))
def test_the_readmes_python_runs(text, tmp_path, monkeypatch):
    (tmp_path / "snippet.py").write_text(text)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(tmp_path / "snippet.py"))


CARDS_AND_RESULTS = [
    path
    for folder in ("partimento", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.md"))
    if "node_modules" not in path.parts
]


@pytest.mark.parametrize("document", [*DOCUMENTS, *CARDS_AND_RESULTS], ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


OLD_WORDS = {
    "rows_at_once": "micro_batch_size",
    "final_fraction": "min_lr_ratio",
    "Contrasting": "ContrastiveRecipe",
    "Finetuning": "ContinuationRecipe",
    "carry_out": "run_stage",
    "own_checkpoint": "latest_checkpoint",
    "outlook": "next_token_probabilities",
    "fate": "decision",
    "takers": "filters_applied",
    "lanes": "streams",
    "learning by heart": "overfitting",
    "memorised": "overfitting",
    "longest gradient": "maximum gradient norm",
}
"""Words that only this project used, and what the field calls the same (docs/glossary.md)."""


def test_the_fields_words_have_replaced_our_own():
    old = re.compile(rf"\b({'|'.join(OLD_WORDS)})\b")
    found = {
        f"{path.relative_to(ROOT)}: {word}, for {OLD_WORDS[word]}"
        for path in [*(ROOT / "partimento").rglob("*.py"), *DOCUMENTS]
        for word in old.findall(path.read_text(encoding="utf-8"))
    }
    assert found == set()


# -- what pip installs ------------------------------------------------------------------------------------------------


def test_sections_that_are_cited_exist():
    """The paper numbers 3.1 MIDI Tokenization, 3.2 Model, 3.3 Contrastive ..., 4.1 Setup and 4.2 Results, no others."""
    cited = {
        (path.name, number)
        for path in [*(ROOT / "partimento").rglob("*.py"), *DOCUMENTS]
        for number in re.findall(r"[Ss]ections? (\d\.\d)", path.read_text(encoding="utf-8"))
    }
    assert len(cited) > 20
    assert {(name, number) for name, number in cited if number not in ("3.1", "3.2", "3.3", "4.1", "4.2")} == set()
    # Results, of which only the test of the listening study is repeated here.
    assert {name for name, number in cited if number == "4.2"} == {"statistics.py"}


def test_everything_we_depend_on_is_pinned_exactly_and_within_its_bounds():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {}
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        versions[canonicalize_name(pin.name)] = specifier.version
    assert len(versions) == len(pins)
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"], *PROJECT["build-system"]["requires"]]
    others = [requirement for requirement in map(Requirement, wanted) if requirement.name != project["name"]]
    for requirement in others:
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_no_module_imports_another_that_imports_it() -> None:
    """Neither at once nor over others, neither at the top nor in functions nor for type checkers."""
    graph = grimp.build_graph("partimento", cache_dir=None)
    package = {"partimento"}  # it names the public classes of every layer, on first use only
    imports = {name: graph.find_modules_directly_imported_by(name) - package for name in graph.modules - package}
    assert len(list(TopologicalSorter(imports).static_order())) == len(imports)  # raises CycleError
