"""Every file has one decision, and it is the one that the rules give when followed file by file."""

import dataclasses
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.corpus.duplicates.relations import Relations
from partimento.corpus.selection.recipes import Composition, SelectionRecipe, Splits, selection_recipe
from partimento.corpus.selection.select import Selection, select
from partimento.errors import UserError
from tests.corpus.manifests import REFUSED, alone, sha256, table

SMALL = SelectionRecipe(
    name="small",
    one_per_performance=True,
    filters={"too-short": 30.0, "silence": 20.0},
    composition=Composition(crowded_above=3, per_piece=2, every_piece=False),
    splits=Splits(seed=1, validation=0.2, test=0.2, declared=True),
)
STRICT = dataclasses.replace(SMALL, composition=Composition(crowded_above=3, per_piece=1, every_piece=True))


def relations(n, performance=None, piece=None):
    return Relations(
        performance_group=alone(n) if performance is None else np.array(performance, np.int32),
        piece_group=alone(n) if piece is None else np.array(piece, np.int32),
    )


def decisions(rows, recipe_, **groups):
    return select(rows, relations(len(rows), **groups), recipe_).table.column("decision").to_pylist()


def test_the_papers_rule_at_its_edge():
    def works(composer, n):
        return [{"path": f"{composer}{i}", "composer": composer, "opus": "1", "piece": str(i % 20)} for i in range(n)]

    loose = [{"path": f"{name} loose", "composer": name} for name in ("bach", "czerny", "satie")]
    rows = table(*works("bach", 251), *works("czerny", 250), *loose, {"path": "nobody's"})
    broad = dataclasses.replace(SMALL, composition=Composition(crowded_above=250, per_piece=10, every_piece=False))
    got = dict(zip(rows.column("path").to_pylist(), decisions(rows, broad), strict=True))
    taken = Counter(decision for path, decision in got.items() if path.startswith("bach"))
    assert taken == {"kept": 200, "per-piece": 51, "unidentified": 1}
    assert {decision for path, decision in got.items() if not path.startswith("bach")} == {"kept"}
    strict = dataclasses.replace(SMALL, composition=Composition(crowded_above=250, per_piece=1, every_piece=False))
    assert Counter(decisions(rows, strict)) == {"kept": 20 + 250 + 2 + 1, "per-piece": 231, "unidentified": 1}


def test_who_is_crowded_does_not_depend_on_the_bounds_but_on_distinct_files():
    works = [{"composer": "bach", "opus": str(i), "seconds": 1.0 if i == 0 else 100.0} for i in range(4)]
    rows = table(*works, {"composer": "bach"})
    assert decisions(rows, SMALL) == ["too-short", "kept", "kept", "kept", "unidentified"]
    copied = table(*works[1:], {**works[1], "sha256": sha256("0000.mid")}, {"composer": "bach"})
    assert decisions(copied, SMALL) == ["kept", "kept", "kept", "exact-copy", "kept"]


def test_of_copies_the_identified_one_stays_else_the_first_by_path():
    same = {"sha256": sha256("one")}
    rows = table({"path": "b", **same}, {"path": "a", **same}, {"path": "c", **same})
    selection = select(rows, relations(3), SMALL).table
    assert selection.column("decision").to_pylist() == ["exact-copy", "kept", "exact-copy"]
    assert selection.column("value").to_pylist() == [1.0, None, 1.0]
    assert selection.column("threshold").null_count == 3
    named = table({"path": "b", **same}, {"path": "a", **same}, {"path": "c", "opus": "1", **same})
    assert decisions(named, SMALL) == ["exact-copy", "exact-copy", "kept"]


def test_of_a_performance_the_longest_file_that_is_good_stays():
    rows = table({"notes": 900}, {"notes": 1500, "longest_silence": 99.0}, {"notes": 1000}, {"notes": 1000})
    assert decisions(rows, SMALL, performance=[1, 1, 1, 1]) == [
        "same-performance",
        "silence",
        "kept",
        "same-performance",
    ]
    every = dataclasses.replace(SMALL, one_per_performance=False)
    assert decisions(rows, every, performance=[1, 1, 1, 1]) == ["kept", "silence", "kept", "kept"]


def test_a_copy_takes_no_place_of_a_piece():
    works = [{"composer": "bach", "opus": "1", "notes": 1000 - i} for i in range(4)]
    assert decisions(table(*works), SMALL, performance=[0, 0, 0, 3]) == ["kept", *["same-performance"] * 2, "kept"]


def test_the_best_recordings_of_a_piece_stay_and_the_row_says_the_place():
    scores = [0.5, None, 0.9, 0.7]
    rows = table(*({"composer": "bach", "piece": "7", "audio_score": score} for score in scores))
    selection = select(rows, relations(4), SMALL).table
    assert selection.column("decision").to_pylist() == ["per-piece", "per-piece", "kept", "kept"]
    assert selection.column("value").to_pylist() == [3.0, 4.0, None, None]
    assert selection.column("threshold").to_pylist() == [2.0, 2.0, None, None]


def test_finetuning_keeps_one_file_of_any_piece_by_sound_or_by_number_whoever_wrote_it():
    rows = table(
        *({"composer": "liszt"} for _ in range(3)),
        *({"composer": "grieg", "opus": "65", "piece": "6"} for _ in range(2)),
        *({"composer": "bach", "opus": "846"} for _ in range(2)),  # a prelude and its fugue
    )
    pieces = [0, 0, 0, 3, 4, 5, 6]
    expected = {"pretrain": 7, "contrastive": 7, "finetune": 4}
    got = {name: Counter(decisions(rows, selection_recipe(name), piece=pieces)) for name in expected}
    assert {name: count["kept"] for name, count in got.items()} == expected
    assert got["finetune"]["per-piece"] == 3
    kept = np.array(decisions(rows, selection_recipe("finetune"), piece=pieces)) == "kept"
    assert len(set(np.array(pieces)[kept])) == kept.sum()


def test_a_file_that_sounds_like_an_identified_one_is_identified():
    works = [{"composer": "bach", "opus": str(i), "piece": "1"} for i in range(4)]
    rows = table(*works, {"composer": "bach"}, {"composer": "bach"}, {})
    assert decisions(rows, SMALL) == ["kept"] * 4 + ["unidentified"] * 2 + ["kept"]
    assert decisions(rows, SMALL, piece=[0, 1, 2, 3, 0, 5, 6]) == ["kept"] * 5 + ["unidentified", "kept"]
    got = decisions(rows, SMALL, piece=[0, 1, 2, 3, 0, 0, 0])  # two of the four that sound like it may stay
    assert Counter(got) == {"kept": 5, "per-piece": 2}


def test_of_two_filters_the_first_in_the_catalogues_order_takes_a_file():
    rows = table({"longest_silence": 90.0, "seconds": 1.0}, {"longest_silence": 90.0})
    backwards = dataclasses.replace(SMALL, filters=dict(reversed(SMALL.filters.items())))
    for recipe_ in (SMALL, backwards):
        selection = select(rows, relations(2), recipe_).table
        assert selection.column("decision").to_pylist() == ["too-short", "silence"]
        assert selection.column("value").to_pylist() == [1.0, 90.0]
        assert selection.column("threshold").to_pylist() == [30.0, 20.0]


# -- every row by hand ------------------------------------------------------------------------------------------------


def completed(rows, piece):
    """The rule of `works.spread`, one file at a time."""
    rows = [dict(row) for row in rows]
    for place, name in enumerate(("composer", "opus", "piece")):
        before = ("composer", "opus", "piece")[:place]
        said = [row[name] for row in rows]
        for i, row in enumerate(rows):
            company = [
                said[j]
                for j, other in enumerate(rows)
                if piece[j] == piece[i] and said[j] and all(other[known] == row[known] for known in before)
            ]
            most = Counter(company).most_common(1)
            if not said[i] and most and most[0][1] > len(company) / 2:
                row[name] = most[0][0]
    return rows


def joined(keys):
    """Numbers of files that share any of their keys (None is none), over however many steps."""
    number = list(range(len(keys)))
    for _ in keys:
        for i, mine in enumerate(keys):
            for j, other in enumerate(keys):
                if any(a is not None and a == b for a, b in zip(mine, other, strict=True)):
                    number[i] = number[j] = min(number[i], number[j])
    return number


def by_hand(rows, performance, piece, recipe_):
    """The rules of the module's docstring, one file at a time."""
    works = completed(rows, piece)
    decision = ["kept"] * len(rows)

    def there(i):
        return decision[i] == "kept"

    def keep(groups, best, allowed, name):
        for members in groups.values():
            for i in sorted(members, key=best)[allowed:]:
                decision[i] = name

    def grouped(key):
        groups = defaultdict(list)
        for i in range(len(rows)):
            if there(i) and key(i) is not None:
                groups[key(i)].append(i)
        return groups

    identified = [row["opus"] is not None or row["piece"] is not None for row in rows]
    for i, row in enumerate(rows):
        if row["verdict"] == "refused":
            decision[i] = "refused"
    keep(grouped(lambda i: rows[i]["sha256"]), lambda i: (not identified[i], rows[i]["path"]), 1, "exact-copy")
    identified = [row["opus"] is not None or row["piece"] is not None for row in works]
    numbered = Counter(row["composer"] for i, row in enumerate(works) if there(i) and identified[i] and row["composer"])
    crowded = {composer for composer, n in numbered.items() if n > recipe_.composition.crowded_above}
    for i, row in enumerate(rows):
        if there(i) and row["seconds"] < recipe_.filters["too-short"]:
            decision[i] = "too-short"
        elif there(i) and row["longest_silence"] > recipe_.filters["silence"]:
            decision[i] = "silence"
        elif there(i) and works[i]["composer"] in crowded and not identified[i]:
            decision[i] = "unidentified"
    keep(grouped(lambda i: performance[i]), lambda i: (-rows[i]["notes"], rows[i]["path"]), 1, "same-performance")

    def pair(i, *, whole):
        row = works[i]
        counts = row["composer"] and row["opus"] and row["piece"] if whole else row["composer"] in crowded
        return (row["composer"], row["opus"], row["piece"]) if counts else None

    same = [(pair(i, whole=False), pair(i, whole=True), ("sound", piece[i])) for i in range(len(rows))]
    numbers = joined(same) if recipe_.composition.every_piece else [crowded_pair for crowded_pair, _, _ in same]

    def quality(i):
        score = rows[i]["audio_score"]
        return (-score if score is not None else 1.0, rows[i]["sha256"])

    keep(grouped(lambda i: numbers[i]), quality, recipe_.composition.per_piece, "per-piece")
    return decision


maybe = st.sampled_from([None, "1", "2"])
row = st.fixed_dictionaries(
    {
        "composer": st.sampled_from([None, "bach", "bach", "liszt"]),
        "opus": maybe,
        "piece": maybe,
        "title": st.sampled_from([None, None, "Air", "Waltz"]),
        "seconds": st.sampled_from([10.0, 100.0, 100.0]),
        "longest_silence": st.sampled_from([1.0, 1.0, 50.0]),
        "notes": st.integers(1, 3),
        "audio_score": st.sampled_from([None, 0.2, 0.8]),
        "declared_split": st.sampled_from([None, None, "train", "validation", "test"]),
    }
)


@st.composite
def manifests(draw):
    rows = draw(st.lists(row, min_size=1, max_size=30))
    n = len(rows)
    for i, each in enumerate(rows):
        each["path"] = f"{sha256(str(i))[:4]} {i}"
        each["sha256"] = sha256(str(draw(st.integers(0, 2 * n))))
        if draw(st.integers(0, 9)) == 0:
            each.update({key: value for key, value in REFUSED.items() if key != "audio_score"})
    groups = []
    for _ in range(2):
        group = draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n))
        groups.append([n + i if each.get("verdict") == "refused" else group[i] for i, each in enumerate(rows)])
    return rows, *groups


@settings(max_examples=200)
@given(manifests(), st.sampled_from([SMALL, STRICT]))
def test_decisions_are_those_of_the_rules_followed_by_hand(drawn, recipe_):
    rows, performance, piece = drawn
    manifest = table(*rows)
    selection = select(manifest, relations(len(rows), performance, piece), recipe_).table.to_pylist()
    assert [each["decision"] for each in selection] == by_hand(manifest.to_pylist(), performance, piece, recipe_)
    if recipe_ is STRICT:
        sounds = Counter(sound for sound, each in zip(piece, selection, strict=True) if each["decision"] == "kept")
        assert all(files == 1 for files in sounds.values())
    sides = defaultdict(set)
    for i, each in enumerate(selection):
        sides["group", each["split_group"]].add(each["split"])
        assert (each["split"] is None) == (each["decision"] != "kept")
        assert (each["value"] is None) == (each["decision"] in ("kept", "refused"))
        names = manifest.slice(i, 1).to_pylist()[0]
        sides["bytes", each["sha256"]].add(each["split"])
        sides["performance", performance[i]].add(each["split"])
        sides["sounding piece", piece[i]].add(each["split"])
        if names["composer"] and (names["opus"] or names["piece"]):
            sides["piece", names["composer"], names["opus"], names["piece"]].add(each["split"])
        if names["title"]:
            sides["title", names["composer"], names["title"]].add(each["split"])
    assert all(len(side - {None}) <= 1 for side in sides.values())


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_selection_comes_back_as_it_was_saved(tmp_path):
    selection = select(table({}, {"seconds": 1.0}, REFUSED), relations(3), selection_recipe("pretrain"))
    path = selection.save(tmp_path)
    assert [p.name for p in path.parent.iterdir()] == ["pretrain.parquet"]
    opened = Selection.open(tmp_path, "pretrain")
    assert opened.recipe == selection_recipe("pretrain") and opened.table.equals(selection.table)
    types = {field.name: field.type for field in opened.table.schema}
    assert types == {
        **dict.fromkeys(("source", "path", "sha256", "decision", "split"), pa.string()),
        **dict.fromkeys(("value", "threshold"), pa.float64()),
        **dict.fromkeys(("performance_group", "piece_group", "split_group"), pa.int32()),
    }


def test_every_recipe_agrees_on_who_is_held_out():
    rows = table(*({"seconds": 40.0 + i} for i in range(300)))
    splits = [
        dict(zip(chosen.column("path").to_pylist(), chosen.column("split").to_pylist(), strict=True))
        for name in ("pretrain", "finetune")
        for chosen in [select(rows, relations(300), selection_recipe(name)).table]
    ]
    both = [path for path in splits[0] if splits[0][path] and splits[1][path]]
    assert len(both) == 295
    assert all(splits[0][path] == splits[1][path] for path in both)
    assert set(splits[0].values()) == {"train", "validation", "test"}


@pytest.mark.parametrize("how", ["missing", "garbage", "no recipe", "other recipe"])
def test_what_is_no_selection_is_refused_in_one_line(how, tmp_path):
    selection = select(table({}), relations(1), selection_recipe("pretrain"))
    path = selection.save(tmp_path)
    if how == "missing":
        path.rename(path.with_name("other.parquet"))
    elif how == "garbage":
        path.write_bytes(b"not Parquet")
    else:
        metadata = {} if how == "no recipe" else {b"recipe": b'{"name": "x"}'}
        pa.parquet.write_table(selection.table.replace_schema_metadata(metadata), path)
    with pytest.raises(UserError, match="there are: other" if how == "missing" else "make it again") as caught:
        Selection.open(tmp_path, "pretrain")
    assert "\n" not in str(caught.value)
