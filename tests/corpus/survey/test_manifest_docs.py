"""docs/manifest.md against the code: its columns are the columns, and its queries run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from partimento.corpus.archives import MIDI_SUFFIXES
from partimento.corpus.sources import open_source
from partimento.corpus.survey.manifest import SCHEMA, read_manifest
from partimento.corpus.survey.run import survey
from tests.corpus.collections_of_midi import good_files, odd_files, write_folder

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "manifest.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT, flags=re.DOTALL)
PROGRAMS = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which a corpus lies, as the document supposes."""
    here = tmp_path_factory.mktemp("documented")
    survey([open_source(write_folder(here / "midi", good_files(12) | odd_files(8)))], here / "corpus", workers=1)
    return here


def test_the_document_lists_the_columns_in_order_with_their_types():
    listed: dict[str, str] = {}
    for names, type_ in re.findall(r"^\| (`.+?) \| (.+?) \| .*\|$", DOCUMENT, flags=re.MULTILINE):
        previous = ""
        for name in re.findall(r"`(\w+)`", names):
            # "`peak_3s` `_5s`" is short for two columns.
            previous = re.sub(r"_\d+s$", name, previous) if re.fullmatch(r"_\d+s", name) else name
            listed[previous] = type_
    types = {"float": "float32", "list<item: string>": "list of string"}
    actual = {field.name: types.get(str(field.type), str(field.type)) for field in SCHEMA}
    assert {name: listed.get(name) for name in actual} == actual
    assert set(listed) == set(actual)
    assert " ".join(MIDI_SUFFIXES) in DOCUMENT


def test_three_queries_give_on_duckdb_what_plain_python_counts(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(QUERIES) == 3
    parquet = "corpus/manifest/part-*.parquet"
    with duckdb.connect() as duck:
        duck.sql(f"CREATE VIEW manifest AS SELECT * FROM read_parquet('{parquet}')")
        answers = [[tuple(row) for row in duck.sql(query).fetchall()] for query in QUERIES]
    rows = read_manifest("corpus").to_pylist()
    readable = [row for row in rows if row["verdict"] == "readable"]
    assert {name: files for name, files, *_ in answers[0]} == Counter(row["collection"] for row in readable)
    refused = Counter(row["reason"] for row in rows if row["verdict"] == "refused")
    assert {reason: files for reason, files, _ in answers[1]} == refused
    works = Counter((r["composer"], r["opus"], r["piece"]) for r in readable if r["composer"] and r["opus"])
    assert {tuple(work): files for *work, files, _ in answers[2]} == works


@pytest.mark.parametrize("program", PROGRAMS, ids=["duckdb"])
def test_the_program_runs(program, folder):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    assert str(read_manifest(folder / "corpus").num_rows) in done.stdout
