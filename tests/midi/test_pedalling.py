"""Keys and pedal that sound as the durations did: whatever the notes, through the file and back."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from partimento import Performance
from partimento.midi.pedalling import pedalled

MS = 1_000_000
NOTHING = Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[])


def notes(rows, pedal=()):
    """From (pitch, onset, end) in milliseconds."""
    pitch, onset, end = np.array(rows, float).reshape(-1, 3).T
    return Performance.from_notes(
        pitch=pitch.astype(int), velocity=64, onset=onset / 1000, duration=(end - onset) / 1000,
        pedal=[(down / 1000, up / 1000) for down, up in pedal],
    )  # fmt: skip


def keys(performance):
    """(pitch, onset), when the key comes up, when the note falls silent if nothing else happens."""
    release, silent = (performance.onset + d for d in (performance.duration, performance.sounding_duration()))
    struck = zip(performance.pitch.tolist(), performance.onset.tolist(), strict=True)
    return list(zip(struck, release.tolist(), silent.tolist(), strict=True))


def heard(performance):
    """(pitch, onset) -> when it falls silent, in ms: at its sounding end, or when its key is struck again."""
    ends = {}
    for key, _, end in keys(performance):
        ends[key] = max(end, ends.get(key, 0))
    for (pitch, onset), (following, again) in pairwise(sorted(ends)):
        if pitch == following:
            ends[pitch, onset] = min(ends[pitch, onset], again)
    return {key: end / MS for key, end in ends.items()}


def through_a_file(music, beside=NOTHING):
    return Performance.from_midi(beside.merge(pedalled(music, beside=beside)).to_midi())


def held_at_once(performance):
    moves = sorted([(t, 1) for t in performance.onset] + [(t, -1) for t in performance.onset + performance.duration])
    return int(np.cumsum([step for _, step in moves]).max(initial=0))


rows = st.lists(
    st.tuples(st.integers(58, 66), st.integers(0, 3000), st.integers(1, 1500)).map(lambda r: (r[0], r[1], r[1] + r[2])),
    max_size=30,
)
"""Notes that end anywhere."""
lifts = st.lists(st.integers(0, 4000), min_size=1, max_size=6)


@st.composite
def rows_that_end_together(draw):
    """Notes most of which end near one of a few moments, as those of models that learned from pedals do."""
    moments = draw(lifts)
    found = []
    for pitch, onset in draw(st.lists(st.tuples(st.integers(40, 80), st.integers(0, 3000)), max_size=30)):
        later = [moment for moment in moments if moment > onset + 15] or [onset + 300]
        found.append((pitch, onset, draw(st.sampled_from(later)) + draw(st.integers(-14, 14))))
    return found


@given(rows | rows_that_end_together())
def test_every_note_sounds_as_long_as_it_did(played):
    music = notes(played)
    expected, found = heard(music), heard(through_a_file(music))
    assert expected.keys() == found.keys()
    assert all(abs(expected[note] - found[note]) <= 10 for note in expected)


@given(rows | rows_that_end_together())
def test_durations_read_back_are_those_written_where_no_key_is_struck_while_it_sounds(played):
    music = Performance.from_midi(notes(played).to_midi())  # where the writer has cut such notes
    music = music.select(~np.isin(np.arange(len(music)), [k for k in range(len(music)) if together(music, k)]))
    found = through_a_file(music)
    assert [key for key, _, _ in sorted(keys(found))] == [key for key, _, _ in sorted(keys(music))]
    silent = [[end for _, _, end in sorted(keys(one))] for one in (music, found)]
    assert np.abs(np.subtract(*silent)).max(initial=0) <= 10 * MS


def together(music, k):
    """Whether an earlier note strikes the same key at the same moment."""
    return bool(((music.pitch[:k] == music.pitch[k]) & (music.onset[:k] == music.onset[k])).any())


@given(rows | rows_that_end_together())
def test_the_pedal_stays_up_long_enough_and_keys_go_down_after_they_came_up(played):
    result = through_a_file(notes(played))
    assert (result.pedal_down[1:] - result.pedal_up[:-1] >= 50 * MS).all()
    assert (result.pedal_up > result.pedal_down).all()
    for pitch in np.unique(result.pitch):
        mine = result.select(result.pitch == pitch)
        strikes, first = np.unique(mine.onset, return_index=True)
        assert (strikes[1:] >= (mine.onset + mine.duration)[first[1:] - 1]).all()
    assert held_at_once(result) <= held_at_once(Performance.from_midi(notes(played).to_midi()))


@st.composite
def beside_a_prompt(draw):
    """A prompt with keys and pedal, and notes that begin where it stops."""
    first = draw(st.lists(st.tuples(st.integers(58, 66), st.integers(0, 1900), st.integers(20, 900)), max_size=12))
    prompt = Performance.from_midi(
        notes(
            [(pitch, onset, onset + held) for pitch, onset, held in first],
            pedal=draw(st.sampled_from([(), [(100, 900)], [(0, 800), (860, 2000)], [(1500, 2100), (4000, 4500)]])),
        ).to_midi()
    )
    later = [(p, on + 2000, end + 2000) for p, on, end in draw(rows_that_end_together())]
    return prompt, notes(later)


@given(beside_a_prompt())
def test_what_was_given_keeps_its_keys_and_its_pedal(both):
    prompt, music = both
    whole = through_a_file(music, prompt)
    expected, found = heard(prompt.merge(music)), heard(whole)
    assert all(abs(expected[note] - found[note]) <= 10 for note in expected)
    pedals = set(zip(whole.pedal_down.tolist(), whole.pedal_up.tolist(), strict=True))
    assert pedals >= set(zip(prompt.pedal_down.tolist(), prompt.pedal_up.tolist(), strict=True))
    released = {key: release for key, release, _ in keys(whole)}
    first_new = music.onset.min(initial=9**18)
    assert all(released[key] == release for key, release, _ in keys(prompt) if release <= first_new)


def test_an_arpeggio_that_ends_together_is_fingered_under_one_pedal():
    """Twenty notes, a fifth of a second apart, all sounding until 4.3 s."""
    result = through_a_file(notes([(40 + 2 * k, 200 * k, 4300) for k in range(20)]))
    assert result.pedal_up.tolist() == [4300 * MS] and result.pedal_down[0] < 240 * MS
    assert held_at_once(result) == 2
    assert np.median(result.duration) == 240 * MS


def test_a_note_that_ends_alone_is_held_by_its_key():
    """The tenor is over before the chord is: no pedal may be down when it ends."""
    result = through_a_file(notes([(48, 0, 3000), (52, 10, 3000), (55, 20, 1500), (72, 1600, 2990), (74, 1800, 3005)]))
    ends = dict(zip(result.pitch.tolist(), (result.onset + result.duration).tolist(), strict=True))
    assert ends[55] == 1500 * MS
    assert result.pedal_down[0] >= 1500 * MS and result.pedal_up.tolist() == [3000 * MS]


def test_a_repeated_key_is_let_go_of_before_it_is_struck_again():
    result = through_a_file(notes([(60, 400 * k, 2400) for k in range(5)] + [(40, 0, 2400), (43, 50, 2400)]))
    gaps = np.diff(result.select(result.pitch == 60).onset) - result.select(result.pitch == 60).duration[:-1]
    assert (gaps >= 50 * MS).all()


def test_short_notes_need_no_pedal_and_other_channels_have_their_own():
    assert not len(pedalled(notes([(60, 500 * k, 500 * k + 200) for k in range(9)]), beside=NOTHING).pedal_down)
    two = Performance.from_notes(
        pitch=[60, 64, 67, 60, 64, 67], velocity=64, onset=[0, 0.5, 1.0] * 2, duration=[3.0, 2.5, 2.0] * 2,
        channel=[0, 0, 0, 9, 9, 9],
    )  # fmt: skip
    result = pedalled(two, beside=NOTHING)
    assert result.pedal_channel.tolist() == [0]
    drums = result.instrument == 10
    assert np.array_equal(result.duration[drums], two.duration[drums])
