"""Shared passages whose places are known, and what they are called."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from partimento.library.originality import originality
from partimento.library.originality.judge import FLAG_NOTES, FLAG_P, FLAG_SECONDS
from tests.corpus.melodies import notes_of, piece, retimed, rubato, transposed
from tests.library.originality.stolen import built, joined, played

QUICK = notes_of(np.arange(300) * 75, piece(8, 300).pitch)


@pytest.fixture(scope="module", params=[True, False], ids=["notes", "passages"])
def index(tmp_path_factory, request):
    files = [piece(0), piece(1), piece(2), piece(7), *(rubato(piece(7), k) for k in (1, 2)), QUICK]
    return built(tmp_path_factory.mktemp("index") / "index", files, at_hand=request.param)


def own(seed: int, notes: int = 60):
    return piece(1000 + seed, notes)


def test_a_copy_is_flagged_with_its_source_key_tempo_and_place(index):
    stolen = retimed(transposed(piece(1).slice(250, 350), 5), 1.1)
    music = joined(own(1), stolen, own(2))
    found = originality(played(music), against=index)
    passage = found.longest
    assert found.flagged and passage.flagged and passage.kind == "copy" and passage.performances == 1
    assert passage.copy.name == "1.mid" and passage.copy.transposition == 5
    assert passage.copy.tempo == pytest.approx(1 / 1.1, abs=0.01)
    assert (passage.notes == 100) if found.at_hand else (80 < passage.notes <= 100)
    assert passage.share == passage.notes / len(music)
    assert passage.p == pytest.approx(1 / (1 + found.windows)) and passage.p < FLAG_P
    assert found.notes == len(music) and found.seconds == pytest.approx(music.onset_ms[-1] / 1000)


def test_a_copy_of_fifty_notes_is_flagged_where_the_notes_are_at_hand(index):
    for stolen in (piece(2).slice(100, 151), transposed(retimed(piece(0).slice(300, 351), 0.85), -6)):
        found = originality(played(joined(own(1), stolen, own(2))), against=index)
        assert found.flagged == found.at_hand == found.facts()["source_notes_at_hand"]
        assert not found.at_hand or found.longest.notes == 51


def test_own_music_shares_nothing(index):
    found = originality(played(own(3, 300)), against=index)
    assert found.passages == () and found.longest is None and not found.flagged


@pytest.mark.parametrize(
    ("stolen", "flagged"),
    [(piece(2).slice(100, 135), False), (piece(2).slice(100, 190), True), (QUICK.slice(0, 65), False)],
)
def test_short_passages_are_told_of_but_not_flagged(index, stolen, flagged):
    found = originality(played(joined(own(1), stolen, own(2))), against=index)
    assert found.longest is not None and found.flagged == flagged
    assert flagged or found.longest.notes < FLAG_NOTES or found.longest.copy.seconds < FLAG_SECONDS


def test_what_begins_in_the_prompt_is_a_quotation(index):
    prompt = piece(1).slice(100, 160)
    music = joined(own(1, 20), piece(1).slice(100, 260), own(2))
    seconds = music.onset_ms[20 + len(prompt)] / 1000
    found = originality(played(music), against=index, prompt_seconds=seconds)
    assert not found.flagged and found.longest is None
    assert found.quotation.copy.name == "1.mid" and found.quotation.p is None
    assert found.quotation.copy.first_note < 80 < found.quotation.copy.last_note
    assert 0.5 < found.quotation.share <= 100 / found.notes
    assert found.quoted_seconds == found.quotation.copy.query_ms[1] / 1000 - seconds > 20
    # The same music with nothing given is a copy.
    assert originality(played(music), against=index).flagged


def test_what_the_prompt_has_may_return(index):
    theme = piece(1).slice(100, 200)
    music = joined(theme, own(2), theme, own(3))
    found = originality(played(music), against=index, prompt_seconds=music.onset_ms[100] / 1000)
    assert not found.flagged and found.quotation.copy.first_note >= 100 and found.quoted_seconds == 0


def test_another_work_than_that_of_the_prompt_is_a_copy(index):
    music = joined(piece(1).slice(100, 180), own(2), piece(2).slice(300, 400), own(3))
    found = originality(played(music), against=index, prompt_seconds=music.onset_ms[80] / 1000)
    assert found.flagged and found.longest.copy.name == "2.mid" and found.longest.copy.first_note >= 140
    assert found.longest.copy.query_ms[0] == music.onset_ms[found.longest.copy.first_note]


def test_what_many_play_is_repertoire(index):
    found = originality(played(joined(own(1), piece(7).slice(100, 220), own(2))), against=index)
    assert found.longest.kind == "repertoire" and found.longest.performances == 3 and not found.flagged
    assert found.longest.p < FLAG_P


def test_one_performance_in_several_files_is_no_repertoire(tmp_path):
    once = built(
        tmp_path / "index", [piece(7), transposed(piece(7), 3), retimed(piece(7), 1.1), piece(7).slice(50, 400)]
    )
    found = originality(played(joined(own(1), piece(7).slice(100, 220), own(2))), against=once)
    assert found.flagged and found.longest.kind == "copy"


def test_two_copies_are_two_passages_and_files_can_be_left_out(index):
    music = played(joined(own(1), piece(0).slice(0, 100), own(2), piece(2).slice(0, 150)))
    found = originality(music, against=index)
    assert [each.copy.name for each in found.passages] == ["2.mid", "0.mid"]
    assert [each.copy.name for each in originality(music, against=index, without=[2]).passages] == ["0.mid"]


def test_facts_are_json(index):
    found = originality(played(joined(own(1), piece(0).slice(0, 100))), against=index)
    facts = json.loads(json.dumps(found.facts()))
    assert facts["flagged"] is True and facts["passages"][0]["source"] == "0.mid"
    assert facts["passages"][0]["at"][0] == pytest.approx(found.longest.copy.query_ms[0] / 1000)


def test_music_without_notes_shares_nothing(index):
    assert originality(played(notes_of([], [])), against=index).passages == ()
    assert originality(played(piece(1).slice(0, 90)), against=index, prompt_seconds=1000).passages == ()


def test_a_continuation_says_itself_what_is_new(index):
    """What a filling is followed by is not judged, nor what a continuation begins with."""
    prompt, stolen, rest = own(1), piece(2).slice(0, 150), piece(0).slice(0, 100)
    begin, end = (float(np.ptp(joined(*parts).onset_ms)) / 1000 + 0.2 for parts in ((prompt,), (prompt, stolen)))

    def take(performance, edges):
        return SimpleNamespace(performance=played(performance), edges=edges)

    filled = originality(take(joined(prompt, stolen, rest), (begin, end)), against=index)
    assert [each.copy.name for each in filled.passages] == ["2.mid"] and filled.flagged
    assert filled.notes == 150 and filled.prompt_seconds == begin
    went_on = originality(take(joined(prompt, stolen), (begin, None)), against=index)
    assert went_on.flagged and went_on.notes == 150
    nothing = originality(take(stolen, (None, None)), against=index)
    assert nothing.notes == 0 and nothing.passages == ()
