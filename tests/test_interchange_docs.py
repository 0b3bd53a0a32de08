"""docs/interchange.md: its code runs, block after block, and its table names the methods that there are."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import datasets

from partimento.cli import main
from partimento.midi.interchange.methods import Interchange
from tests.test_repository import blocks

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "interchange.md"


def test_its_code_runs(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    assert main(["store", "examples", "-o", "STORE", "--quiet"]) == 0
    assert main(["publish", "STORE", "-o", "PUBLISHED", "--quiet"]) == 0
    (tmp_path / "page.py").write_text("\n".join(blocks(DOCUMENT, "python")))
    runpy.run_path(str(tmp_path / "page.py"))


def test_its_table_names_every_way():
    named = re.findall(r"`((?:from|to)_\w+)`", DOCUMENT.read_text())
    assert sorted({name for name in vars(Interchange) if name.startswith(("from_", "to_"))} - set(named)) == []
