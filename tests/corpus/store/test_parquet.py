"""Published notes: what any Parquet reader sees is what was played, and coming back changes no byte."""

import json
import re

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from partimento.cli import main
from partimento.corpus.store.parquet import publish, restore
from partimento.errors import UserError
from partimento.midi.performance import Performance
from tests.corpus.playable import noise, store_of

PLAYED = [noise(i, 20 + 10 * i) for i in range(3)] + [
    Performance.from_notes(pitch=[60, 62], velocity=64, onset=[0, 500], duration=[90, 1], pedal=[(400, 501)])
]
LABELS = {f"{i:02}.mid": {"split": ("train", "test")[i % 2]} | ({"composer": "bach"} if i else {}) for i in range(4)}


@pytest.fixture
def store(tmp_path):
    return store_of(tmp_path, PLAYED, LABELS, files_per_shard=3)


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_store_that_went_out_and_came_in_has_the_same_bytes(store, tmp_path):
    assert main(["publish", str(store.path), "-o", str(tmp_path / "published")]) == 0
    assert main(["store", str(tmp_path / "published"), "-o", str(tmp_path / "back")]) == 0
    assert bytes_of(tmp_path / "back") == bytes_of(store.path)


def test_other_readers_see_what_was_played(store, tmp_path):
    parts = publish(store, tmp_path / "published")
    assert [path.name for path in parts] == [
        "part-00000-test.parquet", "part-00000-train.parquet", "part-00001-test.parquet"
    ]  # fmt: skip
    [row] = pq.read_table(parts[0]).to_pylist()
    played = Performance.from_midi(PLAYED[1].to_midi())
    assert row["name"] == "01.mid" and row["composer"] == "bach" and row["split"] == "test"
    assert row["sha256"].hex() == played.source.sha256
    assert np.array_equal(row["onset_ms"], np.rint((played.onset - played.onset[0]) / 1e6))
    assert np.array_equal(row["keyed_ms"], np.rint(played.duration / 1e6))
    assert np.array_equal(row["sounding_ms"], np.rint(played.sounding_duration() / 1e6))
    assert row["pitch"] == played.pitch.tolist() and row["velocity"] == played.velocity.tolist()
    assert row["pedal_down"] == [1, 0, 1, 0]


def test_datasets_loads_the_folder_split_by_split(store, tmp_path):
    publish(store, tmp_path / "published")
    loaded = datasets.load_dataset(str(tmp_path / "published"), cache_dir=str(tmp_path / "cache"))
    assert {split: rows["name"][:] for split, rows in loaded.items()} == {
        "train": ["00.mid", "02.mid"], "test": ["01.mid", "03.mid"]
    }  # fmt: skip
    assert loaded["train"][1]["pitch"] == store.notes(2).pitch.tolist()
    assert loaded["test"][1]["pedal_ms"] == store.notes(3, fold_pedal=False).pedal_ms.tolist()


def test_the_card_is_one_that_the_hub_reads(store, tmp_path):
    publish(store, tmp_path / "published")
    card = DatasetCard.load(tmp_path / "published" / "README.md")
    assert card.data.size_categories == ["n<1K"]
    assert card.text.lstrip().startswith("# published")
    columns = set(pq.read_schema(tmp_path / "published" / "part-00000-test.parquet").names)
    assert columns == set(re.findall(r"`(\w+)`", card.text.split("| column |")[1].split("\n\n")[0]))


def test_parts_of_whole_shards_as_they_were_once_published_come_back(store, tmp_path):
    parts = publish(store, tmp_path / "published")
    for shard in ("00000", "00001"):
        tables = [pq.read_table(part) for part in parts if shard in part.name]
        for part in [part for part in parts if shard in part.name]:
            part.unlink()
        table = pa.concat_tables(tables).sort_by("name")
        about = json.dumps({"version": 2, "labels": store.labels}).encode()
        pq.write_table(
            table.replace_schema_metadata({b"partimento": about}), parts[0].with_name(f"part-{shard}.parquet")
        )
    restore(tmp_path / "published", tmp_path / "back")
    assert bytes_of(tmp_path / "back") == bytes_of(store.path)


def test_rows_that_were_added_are_refused(store, tmp_path):
    part = publish(store, tmp_path / "published")[-1]
    pq.write_table(pa.concat_tables([pq.read_table(part)] * 2), part)
    with pytest.raises(UserError, match=r"part-00001-test\.parquet: 2 rows where there were 1"):
        restore(tmp_path / "published", tmp_path / "back")


def changed(table: pa.Table, column: str, values: list) -> pa.Table:
    index = table.schema.get_field_index(column)
    return table.set_column(index, table.schema.field(column), pa.array(values, table.schema.field(column).type))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("onset_ms", [[1, 2]], "onsets that do not ascend from 0"),
        ("onset_ms", [[0, 5, 4]], "lists of different lengths"),
        ("pedal_down", [[]], "lists of different lengths"),
        ("pitch", [[60, 128]], "a pitch or velocity above 127"),
        ("split", ["heldout"], "split 'heldout', not one of train"),
    ],
)
def test_rows_that_no_store_could_hold_are_refused(store, tmp_path, column, values, message):
    part = publish(store, tmp_path / "published")[-1]
    pq.write_table(changed(pq.read_table(part), column, values), part)
    with pytest.raises(UserError, match=f"part-00001-test.parquet: 03.mid: {message}"):
        restore(tmp_path / "published", tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("problem", ["not parquet", "cut short", "other columns", "not ours", "other labels"])
def test_parts_of_something_else_are_refused_in_one_line(store, tmp_path, capsys, problem):
    part = publish(store, tmp_path / "published")[-1]
    table = pq.read_table(part)
    if problem == "not parquet":
        part.write_text("notes")
    elif problem == "cut short":
        part.write_bytes(part.read_bytes()[:200])
    elif problem == "other columns":
        pq.write_table(table.drop_columns(["keyed_ms"]), part)
    elif problem == "not ours":
        pq.write_table(table.replace_schema_metadata({}), part)
    else:
        other = store_of(tmp_path / "other", PLAYED[:1])
        publish(other, tmp_path / "published2")[0].rename(part)
    assert main(["store", str(tmp_path / "published"), "-o", str(tmp_path / "back")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("partimento: ") and err.count("\n") == 1


def test_nothing_is_overwritten_and_nothing_is_mixed(store, tmp_path, capsys):
    publish(store, tmp_path / "published")
    with pytest.raises(UserError, match="exists already"):
        publish(store, tmp_path / "published")
    with pytest.raises(UserError, match="exists already"):
        restore(tmp_path / "published", store.path)
    assert main(["store", str(tmp_path / "published"), "-o", str(tmp_path / "x"), "--selection", "pretrain"]) == 2
    assert "leave the other options away" in capsys.readouterr().err
