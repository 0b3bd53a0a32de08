"""A selection of a surveyed corpus becomes a store: the files it kept, with its splits, groups and the metadata."""

import dataclasses
import hashlib

import pytest

from partimento.cli import main
from partimento.corpus.duplicates.relations import Relations
from partimento.corpus.selection.recipes import selection_recipe
from partimento.corpus.selection.select import select
from partimento.corpus.store.note_store import NoteStore
from partimento.corpus.store.plans import label_columns, plan_corpus
from partimento.corpus.survey.manifest import open_for_writing
from partimento.errors import UserError
from tests.corpus.manifests import REFUSED, alone, table
from tests.corpus.playable import noise, write


@pytest.fixture
def corpus(tmp_path):
    """Five surveyed files, of which the selection "finetune" leaves three: one is refused and one too short."""
    described = [
        {"composer": "bach", "title": "Aria", "declared_split": "train", "collection": "asap"},
        {"composer": "satie", "form": "nocturne", "declared_split": "test"},
        {"declared_split": "validation"},
        {"seconds": 2.0},
        REFUSED,
    ]
    rows = []
    for i, row in enumerate(described):
        path = write(tmp_path / "midi" / "deep" / f"{4 - i}.mid", noise(i, 20 + i))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append({"source": str(tmp_path / "midi"), "path": f"deep/{4 - i}.mid", "sha256": digest} | row)
    surveyed = table(*rows).sort_by("path")
    folder = tmp_path / "corpus"
    with open_for_writing(folder) as manifest:
        manifest.parts.add(surveyed)
    relations = Relations(performance_group=alone(5), piece_group=alone(5) // 2)
    select(surveyed, relations, dataclasses.replace(selection_recipe("finetune"), composition=None)).save(folder)
    return folder


def test_what_was_kept_is_stored_with_all_that_is_known(corpus, tmp_path, capsys):
    assert main(["store", str(corpus), "--selection", "finetune", "-o", str(tmp_path / "store")]) == 0
    store = NoteStore(tmp_path / "store")
    assert {file.name: (file.split, file.count) for file in store.files} == {
        "deep/4.mid": ("train", 20),
        "deep/3.mid": ("test", 21),
        "deep/2.mid": ("test", 22),  # declared otherwise, but of one piece with 3.mid
    }
    first = store.file(2)
    assert first.name == "deep/4.mid" and first.labels == {
        "composer": "bach", "title": "Aria", "collection": "asap"
    }  # fmt: skip
    assert store.pieces.tolist() == [1, 1, 2] and store.performances.tolist() == [2, 3, 4]
    assert "planned: 3 files; passed over: 0" in capsys.readouterr().out


def test_a_file_that_changed_since_the_survey_is_passed_over(corpus, tmp_path, capsys):
    write(tmp_path / "midi" / "deep" / "3.mid", noise(9, 30))
    (tmp_path / "midi" / "deep" / "2.mid").unlink()
    assert main(["store", str(corpus), "--selection", "finetune", "-o", str(tmp_path / "store")]) == 0
    assert [file.name for file in NoteStore(tmp_path / "store").files] == ["deep/4.mid"]
    err = capsys.readouterr().err
    assert "deep/3.mid: has changed since it was listed" in err and "deep/2.mid: no such file" in err


def test_labels_are_columns_of_the_plan(corpus):
    plan = plan_corpus(corpus, "finetune")
    assert {"composer", "form", "period", "genre", "title", "performer", "collection"} <= set(label_columns(plan))


def test_a_corpus_needs_a_selection_that_is_there(corpus, tmp_path, capsys):
    with pytest.raises(UserError, match="no selection 'pretrain', there are: finetune"):
        plan_corpus(corpus, "pretrain")
    assert main(["store", str(corpus), "-o", str(tmp_path / "store")]) == 2
    assert "name one of its selections with --selection" in capsys.readouterr().err
