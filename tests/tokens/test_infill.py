"""Arranged windows say the notes they were made from, in sequences that a slower second way of arranging gives too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.tokens.grammar import Grammar
from partimento.tokens.infill import LEAST_EVENTS, LONGEST_EXCERPT_MS, Infilling, arrange_hole
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary

V = Vocabulary.piano()
TOKENIZER, GRAMMAR = Tokenizer(V), Grammar(V)
ARRANGE = Infilling(V, share=1.0)
Note = tuple[int, int, int, int]  # onset and duration in ms, pitch, velocity


def played(notes: int, seed: int) -> Performance:
    """Anything from chords to silences of two segments."""
    rng = np.random.default_rng(seed)
    gaps = rng.choice([0.0, 0.004, 0.11, 0.52, 2.5, 4.999, 11.0], notes, p=[0.2, 0.1, 0.3, 0.3, 0.06, 0.02, 0.02])
    return Performance.from_notes(
        pitch=rng.integers(0, 128, notes),
        velocity=rng.integers(1, 128, notes),
        onset=np.cumsum(gaps),
        duration=rng.uniform(0.001, 7, notes),
    )


def notes_of(ids: np.ndarray) -> list[Note]:
    p = TOKENIZER.decode(ids)
    columns = (p.onset // 10**6, p.duration // 10**6, p.pitch, p.velocity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def sequences_of(window: np.ndarray) -> list[np.ndarray]:
    """The arranged sequences of a window, and the certainty that nothing but padding stands behind them."""
    ends = (np.flatnonzero(window == V.end) + 1).tolist()
    assert set(window[ends[-1] :].tolist()) <= {V.pad}
    return np.split(window[: ends[-1]], ends[:-1])


def spelt(notes: list[Note], segment: int = 0) -> list[int]:
    """Notes in the plainest way, one at a time, on a clock that stands at the beginning of a segment."""
    ids = []
    for onset, duration, pitch, velocity in notes:
        ids += [V.segment] * (onset // 5000 - segment)
        segment = onset // 5000
        ids += [
            V.note[0] + pitch * 13 + velocity // 10,
            V.onset[0] + onset % 5000 // 10,
            V.duration[0] + duration // 10,
        ]
    return ids


def moved(notes: list[Note]) -> list[Note]:
    return [(onset - notes[0][0], *rest) for onset, *rest in notes]


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 120), st.integers(1, 120), st.integers(0, 40), st.booleans())
def test_every_window_holds_runs_of_its_own_notes_arranged_by_the_rule(seed, few, many, cut, dim) -> None:
    one, two = (TOKENIZER.encode(played(n, seed + n), dim=dim) for n in (few, many))
    window = np.concatenate([one[cut:], two])[: 200 + seed % 300]
    arranged = ARRANGE(window, np.random.default_rng(seed))
    assert arranged.shape == window.shape and arranged.dtype == np.int32
    if V.delimiter not in arranged:
        assert max(few, many) < LEAST_EVENTS + 16 or len(window) < 100
        assert np.array_equal(arranged, window)
        return
    # What the window says, file by file: the clock begins anew with each, and only whole notes count.
    said = [notes_of(one[cut:]), notes_of(two)]
    for sequence in sequences_of(arranged):
        GRAMMAR.run(sequence)
        assert GRAMMAR.allowed(GRAMMAR.run(sequence)) == ()
        heard = notes_of(sequence)
        assert len(heard) >= LEAST_EVENTS and heard[0][0] == 0 and heard[-1][0] < LONGEST_EXCERPT_MS
        runs = [moved(file[i : i + len(heard)]) for file in said for i in range(len(file))]
        assert heard in runs
        lead = list(sequence).index(V.delimiter) + 1
        after_onset = next(i for i in sequence[lead:] if V.kind_of[i] == Kind.ONSET) - V.onset[0]
        ends = 10 * after_onset + 5000 * int(np.argmax(sequence[lead:] != V.segment))
        before, after = [n for n in heard if n[0] < ends], [n for n in heard if n[0] >= ends]
        assert before and after
        due = [V.segment] * (ends // 5000 - before[-1][0] // 5000)
        plainly = [6, V.start, V.delimiter, *spelt(after), V.delimiter, *spelt(before), *due, V.end]
        assert sequence.tolist() == plainly
        assert arrange_hole([6, V.start, *spelt(before)], spelt(after), V, closed=True) == plainly
        assert arrange_hole([6, V.start, *spelt(before)], spelt(after), V) == plainly[: -1 - len(due)]


def test_a_short_file_with_room_keeps_every_note_and_every_pedal_move() -> None:
    onsets = np.cumsum([0.4, 0.01, 2.5, 4.99] * 8)
    music = Performance.from_notes(pitch=60, velocity=70, onset=onsets, duration=0.3, pedal=[(0.5, 1.0), (1.2, 31.0)])
    ids = TOKENIZER.encode(music, pedal_tokens=True)
    window = np.concatenate([ids, np.full(40, V.pad, np.int32)])
    expected = TOKENIZER.decode(ids)
    for seed in range(20):
        got = TOKENIZER.decode(ARRANGE(window, np.random.default_rng(seed)))
        for column in ("pitch", "velocity", "onset", "duration", "pedal_down", "pedal_up"):
            assert getattr(got, column).tolist() == getattr(expected, column).tolist()


def test_hardly_a_note_of_a_dense_stream_is_lost_and_gaps_end_anywhere() -> None:
    rng = np.random.default_rng(7)
    onsets = np.cumsum(rng.exponential(0.1, 4000))
    music = Performance.from_notes(pitch=rng.integers(21, 108, 4000), velocity=80, onset=onsets, duration=0.2)
    stream = TOKENIZER.encode(music, dim=True)
    shares = []
    for first in range(0, len(stream) - 1025, 64):
        arranged = ARRANGE(stream[first : first + 1025], rng)
        assert (V.kind_of[arranged] == Kind.DURATION).sum() > 325  # of at most 341
        (sequence,) = sequences_of(arranged)
        assert V.dim not in sequence
        heard = np.array([n[0] for n in notes_of(sequence)])
        before = len([i for i in sequence[list(sequence[4:]).index(V.delimiter) :] if V.kind_of[i] == Kind.NOTE])
        shares.append(heard[before] / heard[-1])
    # Drawn evenly: each quarter of the time has its share, to about four standard deviations.
    quarters = np.histogram(shares, bins=4, range=(0, 1))[0] / len(shares)
    assert (np.abs(quarters - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(shares))).all()


def test_the_generator_alone_decides() -> None:
    window = TOKENIZER.encode(Performance.from_notes(pitch=60, velocity=70, onset=np.arange(100) / 3, duration=0.3))
    first, again, other = (ARRANGE(window, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    half = Infilling(V, share=0.5)
    rng = np.random.default_rng(0)
    arranged = sum(V.delimiter in half(window, rng) for _ in range(400))
    assert 160 < arranged < 240
    never = Infilling(V, share=0.0)
    assert all(never(window, rng) is window for _ in range(20))


def test_what_cannot_be_arranged_is_refused_or_left_alone() -> None:
    with pytest.raises(UserError, match="<X>"):
        Infilling(Vocabulary.aria(), share=1.0)
    with pytest.raises(UserError, match="share"):
        Infilling(V, share=1.5)
    chord = TOKENIZER.encode(Performance.from_notes(pitch=range(40, 80), velocity=70, onset=0.0, duration=0.3))
    assert np.array_equal(ARRANGE(chord, np.random.default_rng(0)), chord)
