"""docs/midi.md against the code: a reason or a limit that one has and the other has not is a defect of both."""

from __future__ import annotations

import re
from pathlib import Path

from partimento.midi.reader import MAX_BYTES, MAX_NOTES, MAX_SECONDS, Reason

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "midi.md").read_text()


def test_the_document_lists_exactly_the_reasons_of_refusal_each_with_a_mend():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \|$", DOCUMENT, flags=re.MULTILINE)
    assert sorted(code for code, _, _ in rows) == sorted(reason.value for reason in Reason)
    assert all(meaning.strip() and mend.strip() for _, meaning, mend in rows)


def test_the_document_names_the_limits_of_the_code():
    assert f"more than {MAX_BYTES // 2**20} MiB" in DOCUMENT
    assert f"more than {MAX_NOTES:,} notes" in DOCUMENT
    assert f"beyond {MAX_SECONDS // 3600} hours" in DOCUMENT
