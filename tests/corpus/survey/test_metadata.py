"""Names are read by the stated rules, tables that somebody made are laid over them, and every value says whence."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.corpus.survey.labels import WRITTEN, Labels
from partimento.corpus.survey.manifest import METADATA, SCHEMA
from partimento.corpus.survey.metadata import FILE_NAME, FOLDER, MIDI_TEXT, columns, composer_in, of_names, words
from partimento.corpus.survey.names import CATALOGUES, COMPOSER_OF, FORM_OF, PERIOD_OF
from partimento.errors import UserError


@pytest.mark.parametrize(
    ("path", "composer", "opus", "piece", "form"),
    [
        ("Chopin/Etudes_op_10/4/Dulu02.mid", "chopin", "op. 10", "4", "etude"),
        ("Bach/Fugue/bwv_846/Shi05M.mid", "bach", "BWV 846", None, "fugue"),
        ("Schubert/Impromptu_op.90_D.899/2/Denisova11M.mid", "schubert", "op. 90", "2", "impromptu"),
        ("Haydn/Keyboard_Sonatas/46-1/Bach01.mid", "haydn", None, None, "sonata"),  # a pianist called Bach
        ("x/Brahms -  Intermezzo in B-flat major, Op. 76 -  No. 4 - Live.midi", "brahms", "op. 76", "4", None),
        ("clementi_opus36_3_1.mid", "clementi", "op. 36", "3", None),
        ("Frédéric Chopin - Prélude No. 15, Op. 28.mid", "chopin", "op. 28", None, "prelude"),
        ("Mozart - Sonata K331 (3rd mvt).mid", "mozart", "K. 331", "3", "sonata"),
        ("Domenico Scarlatti K. 27.mid", "scarlatti", "K. 27", None, None),
        ("Schubert D960 sonata.mid", "schubert", "D. 960", None, "sonata"),
        ("Liszt S.139 no 4 Mazeppa.mid", "liszt", "S. 139", "4", None),
        ("Haydn - Hob. XVI:50 sonata.mid", "haydn", "Hob. XVI:50", None, "sonata"),
        ("Beethoven WoO 59 Für Elise.mid", "beethoven", "WoO 59", None, None),
        ("C.P.E. Bach - Solfeggietto.mid", "cpe-bach", None, None, None),
        ("Рахманинов.mid", None, None, None, None),
        ("rachmaninov_prelude_op_23_no_5.mid", "rachmaninoff", "op. 23", "5", "prelude"),
        ("Prelude To A Kiss.mid", None, None, None, None),  # no form without a composer or a work
        ("Strawberry Fields K 5 D 3.mid", None, None, None, None),  # nor a catalogue of one letter
        ("take.mid", None, None, None, None),
    ],
)
def test_what_names_say(path, composer, opus, piece, form):
    found = of_names(path, texts=())
    said = {name: found[name][0] for name in ("composer", "opus", "piece", "form") if name in found}
    expected = {"composer": composer, "opus": opus, "piece": piece, "form": form}
    assert said == {name: value for name, value in expected.items() if value is not None}
    if composer:
        assert found["period"] == (PERIOD_OF[composer], found["composer"][1])
        assert found["genre"] == ("classical", found["composer"][1])


def test_every_value_says_where_it_is_from():
    texts = ("Piano", "Frédéric Chopin", "Etude Op. 10/4--Irina Somebody", "@PERFORMER:\tNobody")
    assert of_names("a/b.mid", texts) == {
        "composer": ("chopin", MIDI_TEXT),
        "opus": ("op. 10", MIDI_TEXT),
        "piece": ("4", MIDI_TEXT),
        "form": ("etude", MIDI_TEXT),
        "period": ("romantic", MIDI_TEXT),
        "genre": ("classical", MIDI_TEXT),
        "title": ("Etude Op. 10/4", MIDI_TEXT),
        "performer": ("Irina Somebody", MIDI_TEXT),
    }
    found = of_names("jazz/Bill Somebody/Maple Leaf Rag.mid", texts=("Scott",))
    assert found == {"genre": ("jazz", FOLDER), "title": ("Maple Leaf Rag", FILE_NAME)}
    assert of_names("Chopin/Ballades.mid", texts=())["composer"] == ("chopin", FOLDER)
    assert of_names("a.zip!/Ravel/x.mid", texts=())["composer"] == ("ravel", FOLDER)


def test_the_tables_are_written_as_words_are_read():
    """A spelling that no reading of a name can give would never be found."""
    for spelling, composer in COMPOSER_OF.items():
        assert words(" ".join(spelling)) == list(spelling) and composer in PERIOD_OF
        assert composer_in(["by", *spelling, "7"]) == composer
    for word in [*FORM_OF, *CATALOGUES]:
        assert words(word) == [word]
    assert all(name in PERIOD_OF for _, whose in CATALOGUES.values() for name in whose)
    assert set(PERIOD_OF) == set(COMPOSER_OF.values())


@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=4))
def test_no_name_is_too_odd(path, texts):
    row = columns(of_names(path, tuple(texts)))
    assert list(row) == [column for name in METADATA for column in (name, f"{name}_from")]
    assert all((row[name] is None) == (row[f"{name}_from"] is None) for name in METADATA)


# -- tables that somebody made --------------------------------------------------------------------------------------


def rows_of(*paths: str, source: str = "/data/performances") -> pa.Table:
    rows = [{"source": source, "path": path, **columns(of_names(path, texts=()))} for path in paths]
    return pa.Table.from_pylist(rows, SCHEMA)


def csv_file(folder, text: str):
    file = folder / "labels.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_csv_stands_above_names(tmp_path):
    labels = Labels.load(
        csv=csv_file(
            tmp_path,
            "path,dataset,split,composer,opus,genre,pianist,licence,notes\n"
            "performances/asap/Chopin/a.mid,asap,train,Mozart,10,,Glenn,CC0,7\n"
            "other/b.mid,,validation,,,Jazz,,,\n",
        )
    )
    table = labels.apply(rows_of("asap/Chopin/a.mid", "asap/Ravel/b.mid"))
    first, second = table.to_pylist()
    assert (first["composer"], first["composer_from"]) == ("mozart", "csv")
    assert (first["opus"], first["opus_from"]) == ("op. 10", "csv")
    assert (first["genre"], first["genre_from"]) == ("classical", "folder")  # an empty cell says nothing
    assert (first["performer"], first["collection"], first["licence"]) == ("Glenn", "asap", "CC0")
    assert first["declared_split"] == "train"
    assert second == rows_of("asap/Ravel/b.mid").to_pylist()[0]
    assert labels.apply(table).equals(table)
    assert table.schema.equals(SCHEMA)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("/somewhere/performances", "asap/a.mid"),
        ("/somewhere", "performances/asap/a.mid"),
        ("/somewhere/performances/asap", "a.mid"),
        ("/archives/performances.tar.xz", "performances/asap/a.mid"),
        ("/archives/performances.tar.xz", "asap/a.mid"),
        ("/archives", "performances.tar.xz!/performances/asap/a.mid"),
        ("/archives", "performances.zip!/asap/a.mid"),
        ("s3://bucket/performances", "asap/a.mid"),
    ],
)
def test_labels_find_files_however_they_were_unpacked(tmp_path, source, path):
    labels = Labels.load(csv=csv_file(tmp_path, "path,composer\nperformances/asap/a.mid,satie\n"))
    assert labels.apply(rows_of(path, source=source))["composer"].to_pylist() == ["satie"]
    assert labels.apply(rows_of("c.mid", path.replace("a.mid", "aa.mid"), source=source))["composer"].to_pylist() == [
        None,
        None,
    ]


def test_aria_midi_metadata(tmp_path):
    file = tmp_path / "metadata.json"
    entry = {
        "composer": "chopin", "opus": 28, "piece_number": 4, "form": "prelude", "music_period": "romantic",
        "genre": "classical", "performer": "somebody", "key_signature": "e minor", "title": None,
    }  # fmt: skip
    file.write_text(
        json.dumps({
            "7": {"metadata": entry, "audio_scores": {"0": 0.25, "1": 0.5}},
            "123456": {"metadata": {"composer": "Fryderyk"}, "audio_scores": {}},
        })
    )  # fmt: skip
    labels = Labels.load(aria_midi=file)
    table = labels.apply(rows_of("aa/000007_1.mid", "aa/7_9.mid", "123456_0.mid", "8_0.mid", "seven_1.mid"))
    first, no_score, other, unknown, odd = table.to_pylist()
    assert {name: first[name] for name in METADATA if first[name]} == {
        "composer": "chopin", "opus": "op. 28", "piece": "4", "form": "prelude", "period": "romantic",
        "genre": "classical", "performer": "somebody",
    }  # fmt: skip
    assert {first[f"{name}_from"] for name in METADATA} == {"aria-midi", None}
    assert (first["audio_score"], no_score["audio_score"]) == (0.5, None)
    assert (no_score["composer"], other["composer"]) == ("chopin", "fryderyk")
    named = [labels.name("/data", row["path"]) for row in table.to_pylist()]
    assert named == [True, True, True, False, False]
    assert unknown["composer"] is odd["composer"] is odd["audio_score"] is None
    both = Labels.load(csv=csv_file(tmp_path, "path,composer\naa/7_9.mid,liszt\n"), aria_midi=file)
    assert both.apply(table)["composer_from"].to_pylist()[:2] == ["aria-midi", "csv"]


def test_a_composer_from_a_table_has_a_period_of_ours(tmp_path):
    labels = Labels.load(csv=csv_file(tmp_path, "path,composer\na.mid,Maurice Ravel\nb.mid,Nobody\n"))
    table = labels.apply(rows_of("a.mid", "b.mid")).select(["period", "period_from"])
    assert table.to_pylist() == [
        {"period": "impressionist", "period_from": "csv"},
        {"period": None, "period_from": None},
    ]


@pytest.mark.parametrize(
    ("path", "cells", "expected"),
    [
        ("chpn_op25_e1.mid", "chopin,Etudes_Opus_25_1_Harp_etude,", ("op. 25", "csv", "1", "csv")),
        ("x.mid", "chopin,Nocturne f sharp: op. 15 no. 2,", ("op. 15", "csv", "2", "csv")),
        ("kv921kh0629.mid", "chopin,Valse op. 69 no. 1,", ("op. 69", "csv", "1", "csv")),  # a scan's name, no Koechel
        ("op_31/2/x.mid", "beethoven,Sonata op. 31,", ("op. 31", "csv", "2", "folder")),  # says no other number
        ("op_31/2/x.mid", "beethoven,Bagatelle op. 33,", ("op. 33", "csv", None, None)),  # nor has this one a 2
        ("op_31/2/x.mid", "beethoven,Sonata,", ("op. 31", "folder", "2", "folder")),
        ("x.mid", "chopin,Sonata K. 5,", (None, None, None, None)),
        ("x.mid", "chopin,Etude op. 25 no. 1,10", ("op. 10", "csv", None, None)),  # its own column goes before
    ],
)
def test_a_title_from_a_table_says_which_work_it_is(tmp_path, path, cells, expected):
    labels = Labels.load(csv=csv_file(tmp_path, f"path,composer,title,opus\n{path},{cells}\n"))
    table = labels.apply(rows_of(path))
    assert tuple(table.select(["opus", "opus_from", "piece", "piece_from"]).to_pylist()[0].values()) == expected
    assert labels.apply(table).equals(table)


def test_tables_that_are_none_are_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match="column path"):
        Labels.load(csv=csv_file(tmp_path, "file,composer\na,b\n"))
    with pytest.raises(UserError, match=r"gone\.csv"):
        Labels.load(csv=tmp_path / "gone.csv")
    for text in (
        "[]",
        "{",
        '{"1": {}}',
        '{"1": {"metadata": []}}',
        '{"1": {"metadata": {}, "audio_scores": {"0": "x"}}}',
    ):
        (tmp_path / "metadata.json").write_text(text)
        with pytest.raises(UserError, match=r"metadata\.json"):
            Labels.load(aria_midi=tmp_path / "metadata.json")


def test_labels_write_only_what_they_say_they_write(tmp_path):
    labels = Labels.load(csv=csv_file(tmp_path, "path,composer\na.mid,satie\n"))
    before = rows_of("a.mid")
    after = labels.apply(before)
    assert all(after[name].equals(before[name]) for name in SCHEMA.names if name not in WRITTEN)
    assert not Labels() and labels
