"""Tables that somebody made about MIDI files: a CSV, Aria-MIDI's `metadata.json`; laid over what names say.

Knows how their rows find files; refuses to know how names are read (`metadata.py`).

- CSV: a column `path`, and what docs/manifest.md lists. Paths are relative to the source, or to a folder around it, or
  begin with the name of the archive the files came in.
- Aria-MIDI: `{file_id: {"metadata": {...}, "audio_scores": {segment: score}}}` for files `<file_id>_<segment>.mid`.
- A title that a table gives also says opus and piece number, by the rules for names, unless the table says them itself.

    >>> labels = Labels.load(csv=Path("labels.csv"))                # doctest: +SKIP
    >>> labels.apply(rows)["composer"]                             # doctest: +SKIP
"""

from __future__ import annotations

import csv as csv_files
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from partimento.corpus.archives import MEMBER, without_archive_suffix
from partimento.corpus.survey.manifest import METADATA, SCHEMA
from partimento.corpus.survey.metadata import ARIA_MIDI, CSV, composer_in, words, work_in
from partimento.corpus.survey.names import PERIOD_OF
from partimento.errors import UserError

_CSV_NAMES: Final = {
    **{name: name for name in METADATA},
    "pianist": "performer",
    "collection": "collection",
    "dataset": "collection",
    "licence": "licence",
    "license": "licence",
    "split": "declared_split",
}
_ARIA_NAMES: Final = {**{name: name for name in METADATA}, "piece_number": "piece", "music_period": "period"}
_ARIA_FILE: Final = re.compile(r"(\d+)_(\d+)")
_PLAIN: Final = ("collection", "licence", "declared_split")
WRITTEN: Final = (*(column for name in METADATA for column in (name, f"{name}_from")), *_PLAIN, "audio_score")
"""The columns of a manifest that labels may change."""

Values = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the tables say: values by CSV path, and by Aria-MIDI file id with a score for each segment."""

    by_path: Mapping[str, Values] = field(default_factory=dict)
    by_id: Mapping[str, Values] = field(default_factory=dict)
    scores: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @classmethod
    def load(cls, *, csv: Path | None = None, aria_midi: Path | None = None) -> Labels:
        """Read the tables; raises `UserError` for one that is not as described above."""
        by_id, scores = _aria_midi(aria_midi) if aria_midi else ({}, {})
        return cls(by_path=_csv(csv) if csv else {}, by_id=by_id, scores=scores)

    def __bool__(self) -> bool:
        return bool(self.by_path or self.by_id or self.scores)

    def name(self, source: str, path: str) -> bool:
        """Whether anything is said of this file."""
        return bool(self.of(source, path)) or _aria_key(path) in self.scores

    def apply(self, rows: pa.Table) -> pa.Table:
        """The rows of a manifest (whole or only source, path and the metadata) with these labels laid over theirs."""
        columns = {name: rows[name].to_pylist() for name in WRITTEN}
        keys = zip(rows["source"].to_pylist(), rows["path"].to_pylist(), strict=True)
        for i, (source, path) in enumerate(keys):
            said = self.of(source, path)
            for name, (value, provenance) in said.items():
                columns[name][i] = value
                if name in METADATA:
                    columns[f"{name}_from"][i] = provenance
            if "title" in said and not {"opus", "piece"} & said.keys():
                title, provenance = said["title"]
                opus, piece = work_in(words(title), columns["composer"][i] or "")
                if piece or (opus and opus != columns["opus"][i]):  # the number belongs to the opus it stands with
                    columns["piece"][i], columns["piece_from"][i] = (piece, provenance) if piece else (None, None)
                if opus:
                    columns["opus"][i], columns["opus_from"][i] = opus, provenance
            score = self.scores.get(_aria_key(path))
            if score is not None:
                columns["audio_score"][i] = score
            composer = columns["composer"][i]
            if columns["period"][i] is None and composer in PERIOD_OF:
                columns["period"][i] = PERIOD_OF[composer]
                columns["period_from"][i] = columns["composer_from"][i]
        for name, values in columns.items():
            rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(values, SCHEMA.field(name).type))
        return rows

    def of(self, source: str, path: str) -> dict[str, tuple[str, str]]:
        """What the tables say of a file: column of the manifest -> (value, provenance)."""
        found = {name: (value, ARIA_MIDI) for name, value in self.by_id.get(_aria_key(path)[0], {}).items()}
        row = next((self.by_path[name] for name in _names(source, path) if name in self.by_path), {})
        return found | {name: (value, CSV) for name, value in row.items()}


def _names(source: str, path: str) -> Iterator[str]:
    """How a table may call a file: by its path below the source, below each folder around it, or inside its archive."""
    yield path
    around = source.replace("\\", "/").split("/")
    around[-1] = without_archive_suffix(around[-1])
    below = path
    for folder in reversed(around):
        below = f"{folder}/{below}"
        yield below
    archive, inside, member = path.partition(MEMBER)
    if inside:
        yield member
        yield f"{without_archive_suffix(archive.rpartition('/')[2])}/{member}"


def read_csv(file: Path, *needed: str) -> list[dict[str, Any]]:
    """The rows of a CSV by its columns; raises `UserError` for one that cannot be read or lacks a `needed` column."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv_files.DictReader(lines)
            names = rows.fieldnames or ()
            if set(needed) - set(names):
                wanted = f"the columns {' and '.join(needed)}" if len(needed) > 1 else f"a column {needed[0]}"
                raise UserError(f"{file}: needs {wanted}; it has {', '.join(names) or 'none'}")
            return list(rows)
    except (OSError, UnicodeError, csv_files.Error) as error:
        raise UserError(f"{file}: cannot be read as a CSV of labels ({error})") from error


def _csv(file: Path) -> dict[str, Values]:
    return {
        row["path"]: _values((_CSV_NAMES.get(column, ""), value) for column, value in row.items())
        for row in read_csv(file, "path")
    }


def _aria_midi(file: Path) -> tuple[dict[str, Values], dict[tuple[str, str], float]]:
    try:
        table = json.loads(file.read_bytes())
        by_id = {
            _number(key): _values((_ARIA_NAMES.get(n, ""), v) for n, v in entry["metadata"].items())
            for key, entry in table.items()
        }
        scores = {
            (_number(key), _number(segment)): float(score)
            for key, entry in table.items()
            for segment, score in entry.get("audio_scores", {}).items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f'{file}: not Aria-MIDI metadata, {{file_id: {{"metadata": {{...}}, "audio_scores": {{...}}}}}} ({error!r})'
        ) from error
    return by_id, scores


def _values(pairs: Iterator[tuple[str, Any]]) -> Values:
    """The values that say something, written as the rules write them."""
    found: Values = {}
    for name, raw in pairs:
        value = "" if raw is None or isinstance(raw, dict | list) else str(raw).strip()
        if not name or not value or name in found:
            continue
        if name == "composer":
            value = composer_in(words(value)) or value.lower()
        elif name in ("form", "period", "genre"):
            value = value.lower()
        elif name == "opus" and value.isdigit():
            value = f"op. {int(value)}"
        found[name] = value
    return found


def _number(text: str) -> str:
    return text.lstrip("0") or "0"


def _aria_key(path: str) -> tuple[str, str]:
    match = _ARIA_FILE.fullmatch(path.rpartition("/")[2].rpartition(".")[0])
    return (_number(match[1]), _number(match[2])) if match else ("", "")
