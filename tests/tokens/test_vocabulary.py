"""The two published vocabularies, id by id, and their JSON."""

import json

import numpy as np
import pytest

from partimento.errors import UserError
from partimento.tokens.vocabulary import Kind, Vocabulary

ARIA, PIANO = Vocabulary.aria(), Vocabulary.piano()
INSTRUMENTS = ("piano", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "synth_lead")
COMPOSERS = (
    *("bach", "beethoven", "mozart", "chopin", "rachmaninoff", "liszt", "debussy", "schubert", "brahms", "ravel"),
    *("satie", "scarlatti"),
)
FORMS = ("sonata", "prelude", "nocturne", "étude", "waltz", "mazurka", "impromptu", "fugue")


@pytest.mark.parametrize("vocabulary", [ARIA, PIANO])
def test_the_first_six_ids_are_the_special_tokens(vocabulary):
    assert [vocabulary.text_of(id) for id in range(6)] == ["<S>", "<E>", "<P>", "<U>", "<D>", "<T>"]
    assert (vocabulary.start, vocabulary.end, vocabulary.pad) == (0, 1, 2)
    assert (vocabulary.unknown, vocabulary.dim, vocabulary.segment) == (3, 4, 5)


def test_aria_has_17727_ids_where_the_published_weights_expect_them():
    assert len(ARIA) == 17_727
    assert [ARIA.text_of(id) for id in range(6, 17)] == [f"prefix instrument {i}" for i in [*INSTRUMENTS, "drum"]]
    assert [ARIA.text_of(id) for id in range(17, 29)] == [f"prefix composer {c}" for c in COMPOSERS]
    assert [ARIA.text_of(id) for id in range(29, 37)] == [f"prefix form {f}" for f in FORMS]
    assert [ARIA.text_of(37), ARIA.text_of(38)] == ["prefix genre jazz", "prefix genre classical"]
    assert ARIA.note == (39, 16_679) and ARIA.drum == (16_679, 16_726)
    assert ARIA.duration == (16_726, 17_227) and ARIA.onset == (17_227, 17_727)
    assert ARIA.pedal_on is ARIA.pedal_off is ARIA.delimiter is None


def test_aria_notes_follow_the_closed_form():
    for id in range(39, 16_679):
        instrument, rest = divmod(id - 39, 1664)
        pitch, velocity = divmod(rest, 13)
        row = (ARIA.kind_of[id], ARIA.instrument_of[id], ARIA.pitch_of[id], ARIA.velocity_of[id])
        assert row == (Kind.NOTE, instrument, pitch, velocity * 10)
    assert ARIA.text_of(39 + 4 * 1664 + 60 * 13 + 6) == "strings pitch 60 velocity 60"
    assert ARIA.text_of(16_679) == "drum 35" and ARIA.text_of(16_725) == "drum 81"


def test_times_step_by_ten_milliseconds():
    assert np.array_equal(ARIA.ms_of[16_726:17_227], np.arange(0, 5001, 10))
    assert np.array_equal(ARIA.ms_of[17_227:], np.arange(0, 5000, 10))


def test_piano_has_2675_ids_with_pedal_and_delimiter_last():
    assert len(PIANO) == 2_675
    assert PIANO.text_of(6) == "prefix instrument piano"
    assert PIANO.note == (7, 1671) and PIANO.duration == (1671, 2172) and PIANO.onset == (2172, 2672)
    assert PIANO.drum == (0, 0) and PIANO.instruments == (0,)
    assert [PIANO.text_of(id) for id in (2672, 2673, 2674)] == ["<PED_ON>", "<PED_OFF>", "<X>"]
    assert (PIANO.pedal_on, PIANO.pedal_off, PIANO.delimiter) == (2672, 2673, 2674)


def test_the_first_live_play_weights_have_the_pedal_behind_everything_else():
    vocabulary = Vocabulary.aria_with_pedal()
    assert vocabulary.ranges[:-2] == ARIA.ranges
    assert [vocabulary.text_of(id) for id in range(17_727, len(vocabulary))] == ["<PED_ON>", "<PED_OFF>"]


@pytest.mark.parametrize("vocabulary", [ARIA, PIANO])
def test_json_round_trip_keeps_every_id(vocabulary):
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary and again.to_json() == vocabulary.to_json()
    for column in ("kind_of", "instrument_of", "pitch_of", "velocity_of", "ms_of"):
        assert np.array_equal(getattr(again, column), getattr(vocabulary, column))
    assert [again.text_of(id) for id in range(0, len(again), 97)] == [
        vocabulary.text_of(id) for id in range(0, len(again), 97)
    ]
    assert len(vocabulary.to_json()) < 3000


def test_json_of_a_smaller_vocabulary_gives_a_smaller_vocabulary():
    ranges = json.loads(PIANO.to_json())
    assert len(Vocabulary.from_json(json.dumps(ranges[:-1]))) == 2_674


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "7",
        "[7]",
        '[{"kind": "note"}]',
        '[{"kind": "chord", "axes": {}}]',
        '[{"kind": "onset", "axes": {"ms": {"first": 0, "last": 10}}}]',
        '[{"kind": "onset", "axes": {"ms": {"first": 0, "last": 10, "step": 0}}}]',
        '[{"kind": "note", "axes": {"instrument": ["kazoo"], "pitch": [1], "velocity": [10]}}]',
        '[{"kind": "note", "axes": {"instrument": ["piano"], "pitch": ["high"], "velocity": [10]}}]',
        '[{"kind": "onset", "axes": 5}]',
        '[{"kind": 5, "axes": {}}]',
        '[{"kind": "prefix", "axes": {}}]',
    ],
)
def test_broken_json_is_refused(text):
    with pytest.raises(UserError, match="not a vocabulary"):
        Vocabulary.from_json(text)


def test_ids_and_prefixes_outside_are_refused():
    for id in (-1, 17_727):
        with pytest.raises(UserError, match="outside the vocabulary"):
            ARIA.text_of(id)
    with pytest.raises(UserError, match="no prefix"):
        PIANO.prefix("composer", "bach")


def test_columns_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        ARIA.ms_of[0] = 1
