"""Notes to ids exactly as published, and back from anything."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes, milliseconds
from partimento.tokens.tokenizer import DURATION_INDEX, ONSET_INDEX, VELOCITY_INDEX, Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary
from tests.tokens.playing import performances, piano
from tests.tokens.token_cases import CASES, midi

ARIA, PIANO = Tokenizer(Vocabulary.aria()), Tokenizer(Vocabulary.piano())
FIGURE = Performance.from_notes(pitch=[60, 64, 67], velocity=60, onset=[1, 3, 5], duration=[3, 3, 3])


def searched(grid: list[int], value: int) -> int:
    """The nearest entry, where of two equally near ones the first that a bisection of the grid looks at wins."""
    if not grid:
        return -(10**9)
    middle = (len(grid) - 1) // 2
    here = grid[middle]
    beyond = searched(grid[middle + 1 :] if here < value else grid[:middle], value) if here != value else here
    return beyond if abs(beyond - value) < abs(here - value) else here


def test_quantisation_follows_a_bisection_of_the_grid():
    onsets, durations, velocities = list(range(0, 5000, 10)), list(range(0, 5001, 10)), list(range(0, 121, 10))
    assert (ONSET_INDEX * 10).tolist() == [searched(onsets, ms) for ms in range(5000)]
    assert (DURATION_INDEX * 10).tolist() == [max(searched(durations, ms), 10) for ms in range(5001)]
    assert (VELOCITY_INDEX * 10).tolist() == [0] + [max(searched(velocities, v), 10) for v in range(1, 128)]


@pytest.mark.parametrize(
    ("index", "spots"),
    [
        (ONSET_INDEX, {0: 0, 4: 0, 5: 0, 15: 20, 25: 20, 35: 40, 995: 1000, 2505: 2500, 4985: 4980, 4999: 4990}),
        (DURATION_INDEX, {0: 10, 4: 10, 5: 10, 15: 20, 25: 20, 35: 40, 995: 1000, 2505: 2500, 4995: 4990, 5000: 5000}),
        (VELOCITY_INDEX, {0: 0, 1: 10, 4: 10, 6: 10, 15: 20, 25: 20, 64: 60, 65: 60, 115: 110, 125: 120, 127: 120}),
    ],
)
def test_quantisation_at_the_ties_of_the_published_models(index, spots):
    assert {value: int(index[value]) * 10 for value in spots} == spots


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_small_files_become_the_published_ids(case):
    performance = Performance.from_midi(midi(case["tracks"]))
    ids = ARIA.encode(performance, prefix=False, remove_silence=case.get("remove_silence", True))
    assert ids.dtype == np.int32
    assert ids.tolist() == [0, *case["body"], 1]
    prefixes = [ARIA.vocabulary.text_of(id).removeprefix("prefix instrument ") for id in ARIA.prefixes(performance)]
    assert sorted(prefixes) == sorted(case["prefixes"])


def test_the_example_of_the_papers_figure():
    texts = [ARIA.vocabulary.text_of(id) for id in ARIA.encode(FIGURE, prefix=False, end=False, remove_silence=False)]
    assert texts == [
        "<S>",
        *("piano pitch 60 velocity 60", "onset 1000 ms", "duration 3000 ms"),
        *("piano pitch 64 velocity 60", "onset 3000 ms", "duration 3000 ms"),
        "<T>",
        *("piano pitch 67 velocity 60", "onset 0 ms", "duration 3000 ms"),
    ]


def test_prefix_and_end_are_optional():
    assert ARIA.encode(FIGURE)[:2].tolist() == [6, 0] and ARIA.encode(FIGURE)[-1] == 1
    assert ARIA.encode(FIGURE, prefix=False)[0] == 0
    assert ARIA.encode(FIGURE, end=False)[-1] != 1


def test_nothing_played_is_the_piano_prefix_and_start():
    empty = Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[])
    assert ARIA.encode(empty, end=False).tolist() == [6, 0]
    assert len(ARIA.decode([6, 0])) == 0


def test_instruments_that_the_vocabulary_lacks_are_left_out():
    both = Performance.from_notes(
        pitch=[60, 40, 62], velocity=64, onset=[0, 0.1, 0.2], duration=0.1, channel=[1, 9, 0], programs=((1, 40),)
    )
    assert ARIA.encode(both)[:4].tolist() == [6, 10, 16, 0]
    assert PIANO.encode(both).tolist() == [6, 0, 7 + 62 * 13 + 6, 2172, 1671 + 10, 1]


def test_milliseconds_are_rounded_half_to_even():
    nanoseconds = np.array([499_999, 500_000, 500_001, 1_500_000, 2_500_000, 2_500_001])
    assert milliseconds(nanoseconds).tolist() == [0, 0, 1, 2, 2, 3]


@settings(max_examples=60)
@given(performances())
def test_a_round_trip_keeps_every_note_within_the_grid(performance):
    again = ARIA.decode(ARIA.encode(performance))
    assert len(again) == len(performance)
    origin = int(performance.onset[0]) if len(performance) else 0
    notes = Notes.from_performance(performance)
    wanted = sorted(
        (int(notes.onset_ms[i]) // 5000, int(notes.pitch[i]), int(notes.instrument[i])) for i in range(len(notes))
    )
    got = sorted(
        (int(again.onset[i]) // 5_000_000_000, int(again.pitch[i]), int(again.instrument[i])) for i in range(len(again))
    )
    assert got == wanted
    onset_error = again.onset / 1e6 - (performance.onset - origin) / 1e6
    assert (np.abs(onset_error) <= 10).all()  # 4995..4999 ms stay in their segment
    assert (np.abs(onset_error)[notes.onset_ms % 5000 <= 4994] <= 5.5).all()
    melodic = again.instrument != 10
    if len(again) and (np.diff(again.onset) > 0).all():
        clamped = np.clip(notes.duration_ms, 10, 5000)
        assert (np.abs(again.duration / 1e6 - clamped)[melodic] <= 5).all()
        assert (np.abs(again.velocity.astype(int) - np.clip(notes.velocity, 10, 120))[melodic] <= 5).all()


@settings(max_examples=60)
@given(performances())
def test_what_was_decoded_encodes_to_the_same_ids_again(performance):
    ids = ARIA.encode(performance)
    assert ARIA.encode(ARIA.decode(ids)).tolist() == ids.tolist()


@settings(max_examples=100)
@given(arrays.arrays(np.int64, st.integers(0, 200), elements=st.integers(0, 17_726)))
def test_any_ids_decode_and_can_be_written(ids):
    performance = ARIA.decode(ids)
    assert len(performance) <= len(ids) // 2
    assert (np.diff(performance.onset) >= 0).all() and (performance.duration > 0).all()
    Performance.from_midi(performance.to_midi())


@settings(max_examples=100)
@given(st.lists(st.sampled_from([0, 1, 3, 4, 5, 6, 100, 1000, 1671, 1700, 2172, 2300, 2671, 2672, 2673, 2674])))
def test_ids_close_to_sense_decode_too(ids):
    performance = PIANO.decode(ids)
    assert (performance.pedal_down < performance.pedal_up).all()
    Performance.from_midi(performance.to_midi())


def test_incomplete_events_are_passed_over():
    note, onset, duration = 825, 17_227, 16_736
    for broken in ([note], [note, onset], [note, duration], [onset, duration], [note, note, onset], [1, note, onset]):
        assert len(ARIA.decode([6, 0, *broken])) == 0
    assert len(ARIA.decode([note, note, onset, duration])) == 1
    assert len(ARIA.decode([0, note, onset, duration, 1, note, onset, duration])) == 1
    with pytest.raises(UserError, match="17727"):
        ARIA.decode([17_727])
    with pytest.raises(UserError, match="-1"):
        ARIA.decode([-1])


def test_notes_without_their_prefix_keep_their_instrument():
    strings = 39 + 4 * 1664 + 60 * 13 + 6
    performance = ARIA.decode([6, 0, strings, 17_227, 16_736])
    assert performance.instrument.tolist() == [4]
    assert Performance.from_midi(performance.to_midi()).instrument.tolist() == [4]


def test_onsets_that_run_backwards_are_sorted():
    performance = ARIA.decode([0, 825, 17_327, 16_736, 838, 17_227, 16_736])
    assert performance.pitch.tolist() == [61, 60]


@settings(max_examples=40)
@given(piano().filter(len), st.lists(st.integers(1, 2000), max_size=12))
def test_pedal_tokens_survive_a_round_trip(performance, steps):
    moves = np.cumsum(np.array(steps[: len(steps) // 2 * 2], np.int64) * 10_000_000)
    down, up = moves[0::2].copy(), moves[1::2].copy()
    performance = performance.shift(-float(performance.onset_seconds[0]))
    performance = replace(performance, pedal_down=down, pedal_up=up, pedal_channel=np.zeros(len(down), np.uint8))
    ids = PIANO.encode(performance, pedal_tokens=True)
    again = PIANO.decode(ids)
    assert again.pedal_down.tolist() == down.tolist() and again.pedal_up.tolist() == up.tolist()
    assert len(again) == len(performance)
    assert PIANO.encode(again, pedal_tokens=True).tolist() == ids.tolist()
    assert not {2672, 2673} & set(PIANO.encode(performance).tolist())


def test_a_pedal_without_piano_notes_is_not_spelled_out():
    pressed = {"velocity": 64, "onset": 0.5, "duration": 1, "pedal": [(0.1, 0.9)]}
    silent = Performance.from_notes(**{**pressed, "pitch": [], "onset": []})
    strings = Performance.from_notes(**pressed, pitch=60, programs=[(0, 40)])
    piano = Performance.from_notes(**pressed, pitch=60)
    spelled = [{2672, 2673} <= set(PIANO.encode(p, pedal_tokens=True).tolist()) for p in (silent, strings, piano)]
    assert spelled == [False, False, True]


def test_pedal_tokens_need_a_vocabulary_that_has_them():
    with pytest.raises(UserError, match="no pedal tokens"):
        ARIA.encode(FIGURE, pedal_tokens=True)


@settings(max_examples=60)
@given(st.integers(0, 120), st.integers(0, 2**32 - 1))
def test_dim_stands_about_a_hundred_tokens_before_the_end(n, seed):
    rng = np.random.default_rng(seed)
    performance = Performance.from_notes(
        pitch=rng.integers(0, 128, n),
        velocity=rng.integers(1, 128, n),
        onset=rng.uniform(0, rng.uniform(1, 100), n),
        duration=rng.uniform(0.01, 6, n),
        channel=rng.choice([0, 9], n),
    )
    plain = ARIA.encode(performance, prefix=False).tolist()
    dimmed = ARIA.encode(performance, prefix=False, dim=True).tolist()
    assert dimmed.count(4) == (len(plain) - 2 > 150)
    assert [id for id in dimmed if id != 4] == plain
    if 4 in dimmed:
        left = len(dimmed) - 1 - dimmed.index(4)
        assert 91 <= left <= 112
        after = ARIA.vocabulary.kind_of[dimmed[dimmed.index(4) + 1]]
        assert after not in (Kind.ONSET, Kind.DURATION)


def test_the_tokenizer_of_a_model_by_its_name_reads_files(tmp_path):
    FIGURE.save(tmp_path / "x.mid")
    tokenizer = Tokenizer.load("bundled")
    assert tokenizer.vocabulary == Vocabulary.piano()
    assert tokenizer(tmp_path / "x.mid").tolist() == PIANO.encode(FIGURE).tolist()
    assert tokenizer(str(tmp_path / "x.mid"), end=False).tolist() == PIANO.encode(FIGURE, end=False).tolist()
    assert repr(tokenizer) == "<Tokenizer: 2,675 tokens of piano>"


def test_several_are_tokenised_in_turn_and_padded_side_by_side(tmp_path):
    FIGURE.save(tmp_path / "x.mid")
    several = PIANO([FIGURE, tmp_path / "x.mid"], end=False)
    assert [ids.tolist() for ids in several] == [PIANO.encode(FIGURE, end=False).tolist()] * 2
    assert PIANO([]) == []
    batch = PIANO.pad([several[0], [7]], length=len(several[0]) + 1)
    assert batch["input_ids"].tolist() == [[*several[0].tolist(), 2], [7] + [2] * len(several[0])]
    assert batch["attention_mask"].sum(axis=1).tolist() == [len(several[0]), 1]
    with pytest.raises(UserError, match="tokens does not fit into a length of 2"):
        PIANO.pad(several, length=2)


@pytest.mark.parametrize("tokenizer", [PIANO, ARIA], ids=len)
def test_a_tokenizer_is_saved_into_a_folder_and_loaded_from_it(tmp_path, tokenizer):
    tokenizer.save_pretrained(tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["vocabulary.json"]
    for load in (Tokenizer.load, Tokenizer.from_pretrained):
        assert load(tmp_path / "model").vocabulary == tokenizer.vocabulary
        assert load(str(tmp_path / "model"))(FIGURE).tolist() == tokenizer(FIGURE).tolist()


def test_a_vocabulary_that_is_none_is_refused_by_its_name(tmp_path):
    (tmp_path / "vocabulary.json").write_text("{}")
    with pytest.raises(UserError, match=r"vocabulary\.json: "):
        Tokenizer.load(tmp_path)
