"""Reports from the trackers of MIDI libraries: each file is read as it should be; docs/reports.md lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError
from tests.midi.reports import REPORTS, Report

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "reports.md").read_text()


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.where)
def test_what_was_reported_is_read_as_it_should_be(report: Report):
    if report.notes is None:
        with pytest.raises(MidiError) as refusal:
            Performance.from_midi(report.data)
        assert (refusal.value.reason,) == report.reasons
        return
    found = Performance.from_midi(report.data)
    end = found.onset + found.sounding_duration()
    rows = zip(found.pitch.tolist(), found.onset.tolist(), end.tolist(), strict=True)
    assert sorted((pitch, round(on / 1e6), round(off / 1e6)) for pitch, on, off in rows) == report.notes
    assert tuple(repair.reason for repair in found.repairs) == report.reasons
    assert found.source.truncated == report.truncated


def row(report: Report) -> str:
    """The report's line in the document."""
    name, _, issue = report.where.partition("#")
    answer = ", ".join(f"`{reason}`" for reason in dict.fromkeys(report.reasons)) or (
        "truncated" if report.truncated else ""
    )
    answer = f"refused: {answer}" if report.notes is None else answer or "as it stands"
    return f"| [{report.where}](https://github.com/{name}/issues/{issue}) | {report.what} | {answer} |"


def test_the_document_lists_every_report_and_no_other():
    assert [line for line in DOCUMENT.splitlines() if line.startswith("| [")] == [row(report) for report in REPORTS]
    assert len({report.where for report in REPORTS}) == len(REPORTS) >= 30
