"""Parts add up to one row for every file, whatever interrupted their writing."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from partimento.cli import main
from partimento.corpus.survey.manifest import SCHEMA, open_for_writing, parts, read_manifest
from partimento.errors import UserError


def rows(*paths: str, size: int = 1, source: str = "s", reason: str = "") -> pa.Table:
    return pa.Table.from_pylist(
        [{"source": source, "path": path, "size": size, "modified_ns": 5, "reason": reason} for path in paths], SCHEMA
    )


def held(corpus, *columns: str) -> list[tuple]:
    return [tuple(row[name] for name in columns) for row in read_manifest(corpus, columns=columns).to_pylist()]


def test_parts_are_one_table_sorted(tmp_path):
    with open_for_writing(tmp_path) as manifest:
        manifest.parts.add(rows("c", "a"))
        manifest.parts.add(rows("b", source="r"))
    with open_for_writing(tmp_path) as manifest:
        manifest.parts.add(rows("d"))
        assert manifest.known("s") == dict.fromkeys("acd", (1, 5))
    assert held(tmp_path, "source", "path") == [("r", "b"), ("s", "a"), ("s", "c"), ("s", "d")]
    whole = read_manifest(tmp_path)
    assert len(whole) == 4 and whole.schema.equals(SCHEMA)
    assert [part.name for part in parts(tmp_path)] == [f"part-00000{i}.parquet" for i in range(3)]


def test_a_newer_row_replaces_an_older_one(tmp_path):
    with open_for_writing(tmp_path) as manifest:
        manifest.parts.add(rows("a", "b"))
        manifest.parts.add(rows("b", size=2))
        assert held(tmp_path, "path", "size") == [("a", 1), ("b", 2)]
        manifest.keep_only({})
        assert held(tmp_path, "path", "size") == [("a", 1), ("b", 2)]
    assert sum(pq.read_metadata(part).num_rows for part in parts(tmp_path)) == 2


def test_rows_of_files_that_are_gone_go_and_other_sources_stay(tmp_path):
    with open_for_writing(tmp_path) as manifest:
        manifest.parts.add(rows("a"))
        manifest.parts.add(pa.concat_tables([rows("b", "c"), rows("d", source="t")]))
        manifest.keep_only({"s": ["c"]})
    assert held(tmp_path, "source", "path") == [("s", "c"), ("t", "d")]
    assert len(parts(tmp_path)) == 1


def test_what_could_not_be_opened_is_not_known(tmp_path):
    with open_for_writing(tmp_path) as manifest:
        manifest.parts.add(pa.concat_tables([rows("a", reason="cannot-open"), rows("b", reason="not-midi")]))
        assert list(manifest.known("s")) == ["b"]


def test_only_parts_that_change_are_written_again(tmp_path):
    def call_it_x(table: pa.Table) -> pa.Table:
        titles = pc.if_else(pc.equal(table["path"], "b"), "x", table["title"])
        return table.set_column(table.schema.get_field_index("title"), "title", titles)

    with open_for_writing(tmp_path) as manifest:
        manifest.parts.add(rows("a"))
        manifest.parts.add(rows("b", "c"))
        before = [part.stat().st_ino for part in parts(tmp_path)]
        manifest.rewrite(call_it_x, ["path", "title"])
    after = [part.stat().st_ino for part in parts(tmp_path)]
    assert after[0] == before[0] and after[1] != before[1]
    assert held(tmp_path, "path", "title", "size") == [("a", None, 1), ("b", "x", 1), ("c", None, 1)]


def test_one_process_writes_at_a_time_and_a_dead_one_holds_nothing(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", f"""
import sys, time
from partimento.corpus.survey.manifest import open_for_writing
with open_for_writing({str(tmp_path)!r}):
    print("held", flush=True)
    time.sleep(60)
"""],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match="another survey"), open_for_writing(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with open_for_writing(tmp_path) as manifest:
        manifest.parts.add(rows("a"))


def test_what_is_no_manifest_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match="partimento survey"):
        read_manifest(tmp_path)
    with open_for_writing(tmp_path) as manifest:
        manifest.parts.add(rows("a"))
    (part,) = parts(tmp_path)
    with pytest.raises(UserError, match="no column tempo"):
        read_manifest(tmp_path, columns=["tempo"])
    pq.write_table(pq.read_table(part).replace_schema_metadata({"partimento.manifest": "0"}), part)
    with pytest.raises(UserError, match=r"version 0, this program reads 3 .*; remove .*manifest and survey again"):
        read_manifest(tmp_path)
    part.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(UserError, match="damaged"):
        read_manifest(tmp_path)


def test_a_survey_of_nothing_leaves_nothing(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["survey", str(tmp_path / "empty"), "-o", str(tmp_path / "new" / "corpus")]) == 2
    assert "no MIDI files" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]
