"""`partimento select`: a surveyed folder goes in; decisions, splits and a report come out."""

import re
from pathlib import Path

import duckdb
import pytest

from partimento.cli import main
from partimento.corpus.selection.quality import FILTERS
from partimento.corpus.selection.recipes import selection_recipe
from partimento.corpus.selection.select import Selection
from partimento.corpus.survey import manifest
from tests.corpus.manifests import REFUSED, table

GUIDE = (Path(__file__).parents[3] / "docs" / "corpus.md").read_text()


def block(language):
    return re.search(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)[1]


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    rows = [{"seconds": 360.0, "path": f"good {i}.mid"} for i in range(40)]
    rows += [{"seconds": 18.0, "path": f"short {i}.mid"} for i in range(3)]
    rows += [{"grid_share": 1.0, "seconds": 3600.0, "path": "grid.mid"}, {**REFUSED, "path": "bad.mid"}]
    with manifest.open_for_writing(folder) as writer:
        writer.parts.add(table(*rows))
    return folder


def run(capsys, *arguments):
    assert main(["select", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def counts(out):
    lines = (re.fullmatch(r"\s*(\S+)\s+([\d,]+)\s+([\d,.]+)", line) for line in out.splitlines())
    return {match[1]: (int(match[2]), float(match[3])) for match in lines if match}


def test_it_prints_what_each_filter_removed_and_what_is_kept(corpus, capsys):
    counted = counts(run(capsys, corpus))
    assert counted["refused"] == (1, 0.0)
    assert counted["too-short"] == (3, 0.0)  # a minute in hours
    assert counted["kept"] == (41, 5.0)
    splits = [counted[name] for name in ("train", "validation", "test")]
    assert sum(files for files, _ in splits) == 41
    assert sum(files for name, (files, _) in counted.items() if name not in ("train", "validation", "test")) == 45
    filters = [name for name in FILTERS if name in selection_recipe("pretrain").filters]
    asked = ["refused", "exact-copy", *filters, "unidentified", "same-performance", "per-piece"]
    assert list(counted) == [*asked, "kept", "train", "validation", "test"]


def test_recipes_stand_beside_each_other(corpus, capsys):
    run(capsys, corpus, "--recipe", "pretrain")
    assert counts(run(capsys, corpus, "--recipe", "finetune"))["synthesised"] == (1, 1.0)
    assert {path.stem for path in (corpus / "selections").iterdir()} == {"pretrain", "finetune"}
    files = sorted(path.name for path in corpus.iterdir())
    assert files == ["manifest", "relations.parquet", "report.html", "selections"]
    decisions = Selection.open(corpus, "finetune").table.column("decision").to_pylist()
    assert decisions.count("kept") == 40


def test_a_recipe_of_ones_own_begins_with_what_show_prints(corpus, capsys, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(run(capsys, corpus, "--show").replace("too-short = 30.0", "too-short = 10.0"))
    assert not (corpus / "selections").exists()
    counted = counts(run(capsys, corpus, "--recipe", mine, "--name", "shorter"))
    assert counted["too-short"] == (0, 0.0) and counted["kept"][0] == 44
    assert Selection.open(corpus, "shorter").recipe.filters["too-short"] == 10.0


def test_what_the_guide_shows_works(corpus, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(block("toml"), encoding="utf-8")
    run(capsys, "corpus", "--recipe", "mine.toml")
    assert Selection.open(corpus, "mine").recipe.filters == {"too-short": 60.0, "silence": 8.0}
    run(capsys, "corpus")
    exec(block("python"), names := {})  # noqa: S102
    assert names["selection"].recipe == selection_recipe("pretrain")
    query = block("sql").replace("WHERE composer = 'chopin'", "")
    counted = {decision: (files, hours) for decision, files, hours in duckdb.sql(query).fetchall()}
    assert counted == {"kept": (41, 5.0), "too-short": (3, 0.0), "refused": (1, None)}


@pytest.mark.parametrize("problem", ["no corpus", "no recipe", "wrong recipe", "wrong name"])
def test_it_refuses_in_one_line(problem, corpus, capsys, tmp_path):
    arguments = {
        "no corpus": [tmp_path / "nowhere"],
        "no recipe": [corpus, "--recipe", "finetuning"],
        "wrong recipe": [corpus, "--recipe", tmp_path / "mine.toml"],
        "wrong name": [corpus, "--name", "a/b"],
    }[problem]
    (tmp_path / "mine.toml").write_text('name = "mine"\n')
    assert main(["select", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("partimento: ") and err.count("\n") == 1


def test_a_split_without_files_is_said_and_so_is_the_next_step(corpus, capsys, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(run(capsys, corpus, "--show").replace("validation = 0.02", "validation = 0.0"))
    assert main(["select", str(corpus), "--recipe", str(mine), "--name", "none"]) == 0
    said = capsys.readouterr()
    assert "warning: no file in the validation split" in said.err
    assert said.out.endswith(f"next: partimento store {corpus} --selection none -o STORE\n")
