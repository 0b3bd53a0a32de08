"""Controllers that end notes and hold them: All Notes Off, All Sound Off, Reset All Controllers, sostenuto."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import UserError
from partimento.midi import reader
from partimento.midi.performance import Performance
from tests.midi.smf_bytes import control, note_off, note_on, smf, track

NOTES_OFF, SOUND_OFF, RESET, SOSTENUTO, SUSTAIN = 123, 120, 121, 66, 64


def file(*events: tuple[int, bytes], more: bytes | None = None) -> bytes:
    """A file of (millisecond, event), in the order given at one time."""
    ordered = sorted(events, key=lambda event: event[0])
    deltas = np.diff([tick for tick, _ in ordered], prepend=0).tolist()
    one = track(*zip(deltas, (event for _, event in ordered), strict=True))
    return smf([one] if more is None else [one, more], division=500)


def sounds(data: bytes) -> list[tuple[int, int, int]]:
    """(pitch, onset, end of the sound), in milliseconds."""
    found = Performance.from_midi(data)
    end = found.onset + found.sounding_duration()
    return [
        (int(pitch), int(onset) // 10**6, int(stop) // 10**6)
        for pitch, onset, stop in zip(found.pitch, found.onset, end, strict=True)
    ]


@pytest.mark.parametrize("controller", [NOTES_OFF, SOUND_OFF])
def test_a_note_ends_with_all_notes_off_and_all_sound_off(controller: int):
    assert sounds(file((0, note_on(60)), (500, control(controller, 0)))) == [(60, 0, 500)]
    assert sounds(file((0, note_on(60)), (500, control(controller, 0)), (900, note_off(60)))) == [(60, 0, 500)]


def test_they_end_notes_of_their_channel_that_began_before_in_any_track():
    other = track((100, note_on(72)), (0, note_on(74, channel=1)), (800, note_off(72)), (0, note_off(74, 1)))
    events = [(0, note_on(60)), (500, control(NOTES_OFF, 0)), (500, note_on(62)), (700, note_off(62))]
    assert sounds(file(*events, more=other)) == [(60, 0, 500), (72, 100, 500), (74, 100, 900), (62, 500, 700)]


def test_a_key_that_is_let_go_goes_on_sounding_under_the_pedal_unless_all_sound_is_off():
    held = [(0, note_on(60)), (100, control(SUSTAIN, 127)), (900, control(SUSTAIN, 0))]
    assert sounds(file(*held, (500, control(NOTES_OFF, 0)))) == [(60, 0, 900)]
    assert sounds(file(*held, (500, control(SOUND_OFF, 0)))) == [(60, 0, 500)]
    assert sounds(file(*held, (300, note_off(60)), (500, control(SOUND_OFF, 0)))) == [(60, 0, 500)]
    later = [(600, note_on(64)), (700, note_off(64))]
    assert sounds(file(*held, *later, (500, control(SOUND_OFF, 0))))[1] == (64, 600, 900)


def test_reset_all_controllers_lifts_the_pedals():
    events = [(0, note_on(60)), (250, note_off(60)), (0, control(SUSTAIN, 127)), (500, control(RESET, 0))]
    assert sounds(file(*events, (1750, note_on(72)), (2000, note_off(72))))[0] == (60, 0, 500)
    moves = reader.read(file(*events))
    assert (moves.pedal_time.tolist(), moves.pedal_value.tolist()) == ([0, 500_000_000], [127, 0])


def test_sostenuto_holds_the_keys_that_were_down_when_it_was_pressed():
    pedal = [(250, control(SOSTENUTO, 127)), (1000, control(SOSTENUTO, 0))]
    assert sounds(file((0, note_on(60)), (500, note_off(60)), *pedal)) == [(60, 0, 1000)]
    later = [(300, note_on(64)), (600, note_off(64))]
    before = [(0, note_on(55)), (200, note_off(55))]
    long = [(0, note_on(48)), (1300, note_off(48))]
    assert sounds(file(*before, *later, *long, *pedal)) == [(55, 0, 200), (48, 0, 1300), (64, 300, 600)]


def test_sostenuto_ends_with_reset_and_with_all_sound_off_and_else_with_the_last_note():
    held = [(0, note_on(60)), (250, control(SOSTENUTO, 127)), (500, note_off(60))]
    for controller in (RESET, SOUND_OFF):
        assert sounds(file(*held, (700, control(controller, 0)))) == [(60, 0, 700)]
    assert sounds(file(*held, (600, note_on(64)), (800, note_off(64)))) == [(60, 0, 800), (64, 600, 800)]


def test_as_published_none_of_them_does_anything():
    events = [(0, note_on(60)), (100, control(NOTES_OFF, 0)), (200, control(SOSTENUTO, 127)), (300, note_off(60))]
    pedal = [(0, control(SUSTAIN, 127)), (400, control(RESET, 0)), (900, control(SUSTAIN, 0))]
    found = Performance.from_midi(file(*events, *pedal), controllers="published")
    assert found.duration.tolist() == [300_000_000]
    assert found.pedal_up.tolist() == [900_000_000]
    with pytest.raises(UserError, match="controllers must be one of all, published, not 'none'"):
        Performance.from_midi(file(*events), controllers="none")  # type: ignore[arg-type]
