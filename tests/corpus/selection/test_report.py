"""The report shows every file once, needs nothing but itself, and says what the selections say."""

from html.parser import HTMLParser

import numpy as np
import pytest

from partimento.corpus.duplicates.relations import Relations
from partimento.corpus.selection import report
from partimento.corpus.selection.recipes import selection_recipe
from partimento.corpus.selection.select import select
from partimento.corpus.survey import manifest
from tests.corpus.manifests import REFUSED, alone, table


class Page(HTMLParser):
    """Tables as rows of texts, whatever is loaded, and whether all that opens is closed."""

    ONCE = frozenset({"meta", "br", "rect", "line"})

    def __init__(self, text):
        super().__init__()
        self.rows, self.loaded, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.loaded += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.ONCE:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag not in self.ONCE:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def surveyed(folder, *rows):
    with manifest.open_for_writing(folder) as writer:
        writer.parts.add(table(*rows))
    return manifest.read_manifest(folder)


def selected(folder, rows, name):
    chosen = select(
        rows, Relations(performance_group=alone(len(rows)), piece_group=alone(len(rows))), selection_recipe(name)
    )
    chosen.save(folder)
    return chosen


@pytest.fixture
def corpus(tmp_path):
    rows = surveyed(
        tmp_path,
        *({"seconds": 360.0 * (1 + i % 3), "composer": ("bach", "liszt", None)[i % 3]} for i in range(30)),
        {"grid_share": 0.9, "seconds": 360.0},
        {"seconds": 4.0, "path": "<short> & sweet.mid", "collection": "tests"},
        {**REFUSED, "path": "bad.mid"},
    )
    for name in ("pretrain", "finetune"):
        selected(tmp_path, rows, name)
    return tmp_path


def test_the_page_is_whole_and_needs_nothing_else(corpus):
    text = report.write(corpus).read_text()
    page = Page(text)
    assert page.open == [] and page.loaded == []
    assert "http" not in text and "@import" not in text and "url(" not in text
    assert sorted(path.name for path in corpus.iterdir()) == ["manifest", "report.html", "selections"]


def test_it_counts_as_the_selections_do(corpus):
    rows = {row[0]: row for row in Page(report.write(corpus).read_text()).rows}
    short = next(row for name, row in rows.items() if name.startswith("too-short"))
    assert short[1] == "1 files, 0.0 h≥\xa030\xa0s" and short[2] == "1 files, 0.0 h≥\xa045\xa0s"
    synthesised = next(row for name, row in rows.items() if name.startswith("synthesised"))
    assert synthesised[1] == "not used" and "1 files, 0.1 h" in synthesised[2]
    assert rows["kept"][1:] == ["31 files, 6.1 h", "30 files, 6.0 h"]
    assert rows["bach"][1] == "1.0" and rows["liszt"][1] == "2.0"
    assert rows["not-midi"] == ["not-midi", "1", "bad.mid", REFUSED["detail"]]


def test_it_says_how_large_the_groups_are_that_go_together(tmp_path):
    rows = surveyed(tmp_path, *({"title": title} for title in ("Air", "Air", "air!", "Waltz", None)))
    selected(tmp_path, rows, "pretrain")
    assert "Of 3 groups that go together the largest has 3 files." in report.write(tmp_path).read_text()


def test_names_from_files_are_shown_not_obeyed(corpus):
    text = report.write(corpus).read_text()
    assert "<short>" not in text and "&lt;short&gt; &amp; sweet.mid" in text


def test_a_selection_from_before_the_survey_changed_is_named_and_not_counted(corpus):
    surveyed(corpus, {"path": "new.mid"})
    text = report.write(corpus).read_text()
    assert "finetune, pretrain" in text and "kept by" not in text
    selected(corpus, manifest.read_manifest(corpus), "pretrain")
    (corpus / "selections" / "broken.parquet").write_bytes(b"of a program to come")
    assert (
        "Not shown, since survey or program have changed after them: broken, finetune."
        in report.write(corpus).read_text()
    )


@pytest.mark.parametrize("rows", [[REFUSED], [{}]], ids=["nothing readable", "one file"])
def test_the_smallest_corpora_have_a_page_too(rows, tmp_path):
    selected(tmp_path, surveyed(tmp_path, *rows), "pretrain")
    assert Page(report.write(tmp_path).read_text()).open == []


@pytest.mark.parametrize("logarithmic", [False, True])
def test_bars_grow_with_what_they_count_and_marks_stand_between_them(logarithmic):
    values = np.repeat([1.0, 2.0, 4.0, 8.0], [10, 20, 40, 5])
    drawn = report.histogram(values, {3.0: 1}, logarithmic=logarithmic)
    places, _, heights = (np.array(column) for column in zip(*drawn.bars, strict=True))
    np.testing.assert_allclose(heights, np.sqrt([0.25, 0.5, 1.0, 0.125]), atol=1e-12)
    ((value, mark, colour),) = drawn.marks
    assert (value, colour) == (3.0, 1) and places[1] < mark < places[2]
    expected = np.log([1, 2, 4, 8]) if logarithmic else np.array([1, 2, 4, 8])
    share = (places - places[0]) / (places[-1] - places[0])
    np.testing.assert_allclose(share, (expected - expected[0]) / (expected[-1] - expected[0]), atol=0.03)


def test_values_that_are_all_the_same_or_all_unknown_are_drawn_as_what_they_are(tmp_path):
    assert len(report.histogram(np.full(5, 7.0), {}).bars) == 1
    assert report.histogram(np.full(5, np.nan), {1.0: 0}) is None
    selected(tmp_path, surveyed(tmp_path, REFUSED), "pretrain")
    assert "not measured in any file" in report.write(tmp_path).read_text()
