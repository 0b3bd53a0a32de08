"""The sound against docs/sound.md written down a second time, and against what a piano does."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento import Performance
from partimento.audio import sampler
from partimento.audio.samples import RATE, recording, root_of
from partimento.audio.voices import Pedal, Voices
from tests.audio.reference_sampler import add_note


def one(pitch=60, velocity=80, duration=0.2, pedal=(), **others):
    return Performance.from_notes(pitch=pitch, velocity=velocity, onset=0.0, duration=duration, pedal=pedal, **others)


def loudness(sound, start, end):
    part = sound[round(start * RATE) : round(end * RATE)]
    return float(np.sqrt(np.mean(np.square(part, dtype=float)))) if len(part) else 0.0


def unscaled(performance, pedal=None):
    return np.concatenate([np.zeros((0, 2), np.float32), *sampler.blocks(performance, pedal)])


def moving(*moves):
    """A pedal of channel 0 that moves as (seconds, value) says."""
    time, value = zip(*moves, strict=True)
    ns = np.array([round(s * 1e9) for s in time], np.int64)
    return Pedal(time=ns, value=np.array(value, np.uint8), channel=np.zeros(len(ns), np.uint8))


notes = st.lists(
    st.tuples(
        st.sampled_from([33, 60, 61, 62, 109]),
        st.integers(1, 127),
        st.integers(0, 300),
        st.integers(1, 300),
    ),
    min_size=1,
    max_size=5,
)
moves = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 127)), max_size=5)


@settings(max_examples=8)
@given(notes, moves)
def test_the_sound_is_what_the_page_says(played, pedal_moves):
    pedal_moves.sort(key=lambda move: move[0])
    pitch, velocity, onset, duration = (np.array(column) for column in zip(*played, strict=True))
    performance = Performance.from_notes(pitch=pitch, velocity=velocity, onset=onset / 1000, duration=duration / 1000)
    pedal = moving((0, 0), *((ms / 1000, value) for ms, value in pedal_moves))
    length = round(0.7 * RATE)
    expected = np.zeros((length, 2))
    keys = {}
    for p, v, on, held in played:
        n0 = on * 48
        loudest, end = keys.get((p, n0), (0, 0))
        keys[p, n0] = max(loudest, v), max(end, n0 + held * 48)
    for (p, n0), (v, end) in keys.items():
        again = min((other for q, other in keys if q == p and other > n0), default=math.inf)
        found = recording(root_of(p))
        add_note(
            expected, recording=found.waves, first=found.first, root=root_of(p), pitch=p, velocity=v, begin=n0,
            release=min(end, again), again=again, pedal=[(ms * 48, value) for ms, value in pedal_moves],
        )  # fmt: skip
    sound = unscaled(performance, pedal)[:length]
    assert np.allclose(sound, expected[: len(sound)], atol=2e-6)
    assert np.abs(expected[len(sound) :]).max(initial=0) == 0


def test_the_recordings_are_those_of_every_third_key_and_begin_together():
    assert [root_of(pitch) for pitch in (0, 21, 22, 23, 24, 60, 61, 62, 108, 127)] == [
        21, 21, 21, 24, 24, 60, 60, 63, 108, 108,
    ]  # fmt: skip
    for root in (21, 60, 108):
        found = recording(root)
        level = np.abs(found.waves).max(axis=1)
        assert (level[: found.first + 239] < level.max() / 10).all()


@pytest.mark.parametrize("pitch", [21, 58, 69, 70, 71, 95])
def test_keys_are_in_tune_with_their_recording(pitch):
    """The strongest partial lies where the recording's own lies, moved by equal temperament: within two cents."""

    def strongest(sound, near):
        spectrum = np.abs(np.fft.rfft(sound[:, 0] * np.hanning(len(sound)), 2**21))
        hertz = np.fft.rfftfreq(2**21, 1 / RATE)
        window = np.abs(np.log2(hertz[1:] / near)) < 1 / 24
        return hertz[1:][window][np.argmax(spectrum[1:][window])]

    root = root_of(pitch)
    found = recording(root)
    fundamental = 440 * 2 ** ((root - 69) / 12)
    partial = 4 if root < 40 else 1
    own = strongest(found.waves[found.first : found.first + 2 * RATE], partial * fundamental)
    moved = 2 ** ((pitch - root) / 12)
    sound = sampler.render(one(pitch, duration=3.0))[: 2 * RATE]
    assert abs(1200 * math.log2(strongest(sound, own * moved) / (own * moved))) < 2


@pytest.mark.parametrize("pitch", [30, 48, 60, 84])
def test_a_note_under_the_pedal_sounds_as_if_its_key_were_held(pitch):
    pedalled, held = (unscaled(one(pitch, **how)) for how in ({"pedal": [(0.0, 3.0)]}, {"duration": 3.0}))
    assert np.array_equal(pedalled, held)
    assert loudness(pedalled, 3.5, 9) < 1e-3 * loudness(pedalled, 2.5, 3)


def test_a_low_note_under_the_pedal_is_there_for_seconds_and_gone_after_it():
    sound = sampler.render(one(30, pedal=[(0.0, 3.0)]))
    assert loudness(sound, 1, 2) > 0.1 * np.abs(sound).max()
    assert loudness(sound, 3.5, 9) < 1e-4
    dry = sampler.render(one(30))
    assert loudness(dry, 0.7, 9) < 1e-4


def test_a_string_at_rest_is_not_caught_by_the_next_pedal_but_a_ringing_one_is():
    late = unscaled(one(pedal=[(0.25, 3.0)]))
    assert loudness(late, 1, 2) == 0
    half = unscaled(one(), moving((0, 40), (0.25, 127), (3, 0)))
    whole = unscaled(one(), moving((0, 127), (3, 0)))
    assert 0 < loudness(half, 1, 2) < loudness(whole, 1, 2)


def test_half_pedals_damp_the_slower_the_deeper_they_are():
    left = [loudness(unscaled(one(), moving((0, value), (2, 0))), 0.4, 0.5) for value in (0, 20, 30, 45, 60, 64, 127)]
    assert left[0] == left[1] < left[2] < left[3] < left[4] < left[5] == left[6]


def test_a_key_struck_again_ends_what_it_did_before():
    twice = Performance.from_notes(pitch=60, velocity=[100, 20], onset=[0.0, 1.0], duration=0.1, pedal=[(0, 3)])
    quiet = unscaled(one(velocity=20, duration=2.0))
    assert loudness(unscaled(twice), 1.5, 2.5) == pytest.approx(loudness(quiet, 0.5, 1.5), rel=1e-3)


def test_louder_is_also_brighter():
    def brightness(velocity):
        spectrum = np.abs(np.fft.rfft(sampler.render(one(velocity=velocity, duration=1.0))[:RATE, 0]))
        return spectrum[2000:].sum() / spectrum[:2000].sum()

    assert brightness(20) < brightness(60) < brightness(120)
    soft, loud = (np.abs(unscaled(one(velocity=velocity))).max() for velocity in (40, 110))
    assert loud > 4 * soft


def test_nothing_clicks_and_nothing_clips():
    """Where a note begins or is damped no step is larger than those that its own waves take."""
    sound = sampler.render(one(69, velocity=110, duration=0.5))
    steps = np.abs(np.diff(sound, axis=0)).max(axis=1)
    assert steps[:48].max() < steps[480:4800].max()
    assert steps[round(0.5 * RATE) :].max() < steps[round(0.3 * RATE) : round(0.5 * RATE)].max()
    assert np.abs(sound[-1]).max() < 1e-4
    chord = Performance.from_notes(pitch=range(30, 90), velocity=127, onset=0.0, duration=1.0)
    assert np.abs(sampler.render(chord)).max() == pytest.approx(10 ** (-1 / 20))


def test_it_is_stereo():
    left, right = sampler.render(one(duration=1.0)).T
    assert np.corrcoef(left, right)[0, 1] < 0.9


def test_long_music_comes_in_pieces_that_fit_together(monkeypatch):
    performance = Performance.from_notes(
        pitch=[40, 52, 64, 76], velocity=90, onset=[0.0, 0.9, 1.0, 2.7], duration=[2.0, 0.4, 0.5, 1.0]
    )
    whole = unscaled(performance)
    monkeypatch.setattr(sampler, "BLOCK", RATE)
    pieces = list(sampler.blocks(performance))
    assert [len(piece) for piece in pieces[:-1]] == [RATE] * (len(pieces) - 1)
    assert np.allclose(np.concatenate(pieces), whole, atol=1e-6)


def test_silence_drums_and_notes_of_other_instruments():
    assert sampler.render(Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[])).shape == (0, 2)
    assert not len(sampler.render(one(channel=9)))
    assert np.array_equal(sampler.render(one(programs=[(0, 48)])), sampler.render(one()))


def test_voices_of_one_key():
    performance = Performance.from_notes(
        pitch=[60, 60, 60, 62, 60], velocity=[50, 90, 10, 70, 33], onset=[0, 0, 0, 0.5, 1], duration=[2, 0.1, 0.2, 9, 1]
    )
    voices = Voices.of(performance)
    assert voices.velocity.tolist() == [90, 70, 33]
    assert voices.release.tolist() == [RATE, round(9.5 * RATE), 2 * RATE]
