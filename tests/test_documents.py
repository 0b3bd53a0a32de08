"""The documents: a site without broken links, Python that the type checker takes, a tutorial and notebooks that run."""

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api

from partimento.cli import VERBS, main
from partimento.commands.common.verbs import every

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the examples in it, to be in."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def built(site: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", site, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_site_is_built_without_a_broken_link_and_has_every_verb(tmp_path):
    done = built(tmp_path)
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "reference" / "commands.html").read_text()
    for name, _ in every(VERBS):
        assert f">partimento {name}<" in commands, name
    assert (tmp_path / "repository/partimento/bundled/MODEL_CARD.html").is_file()  # a link that leaves docs/
    performances = (tmp_path / "reference" / "performances.html").read_text()
    assert 'id="partimento.midi.performance.Performance.from_midi"' in performances


def test_a_broken_link_fails_the_site(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[away](nowhere.md)")
    settings = (ROOT / "mkdocs.yml").read_text()
    settings = settings.replace("docs/hooks.py", str(ROOT / "docs" / "hooks.py")).partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(settings)
    done = built(tmp_path / "site", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr


def test_the_type_checker_takes_the_documents_python(tmp_path, monkeypatch):
    """What a document leaves open (`performance` is any) stays so (pyproject.toml); what it says of us is checked."""
    package = tmp_path / "documents"
    package.mkdir()
    (package / "__init__.py").touch()
    for document in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        code = re.findall(r"^```python\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
        for number, text in enumerate(code):
            (package / f"{document.stem.lower().replace('-', '_')}_{number}.py").write_text(text)
    monkeypatch.chdir(ROOT)
    said, _, status = api.run([str(package)])
    assert status == 0, said
    assert f"in {len(list(package.iterdir()))} source files" in said


def test_the_tutorial_is_walked_through(workplace, capsys):
    text = (ROOT / "docs" / "tutorial.md").read_text()
    commands = [
        shlex.split(line, comments=True)
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    for _, *words in commands:
        if words[0] != "studio":  # which stays
            assert main(words) == 0, capsys.readouterr().err
    [code] = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (workplace / "code.py").write_text(code)
    runpy.run_path("code.py")
    assert {path.suffix for path in Path("evening").glob("nocturne-1.*")} == {".mid", ".png", ".wav", ".json"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_is_committed_without_what_it_printed(path, workplace):
    names: dict[str, object] = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), path.name, "exec"), names)  # noqa: S102 (our own)
