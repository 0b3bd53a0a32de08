"""Gaps are filled: whatever the weights, new notes lie in the gap, the rest is untouched, and the ids say it all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.decode.sampling import Sampling
from partimento.generate.decode.variation import Variation
from partimento.generate.prompt.gap import Gap
from partimento.generate.prompt.start import begin_gap
from partimento.generate.prompt.writer import as_performance
from partimento.generate.settings import Continuation, GeneratedNote, Settings
from partimento.midi.columns import NS_PER_S
from partimento.midi.performance import Performance
from partimento.tokens.grammar import Grammar
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary
from tests.generate.generate_music import most_at_once, pedalling_engine, random_engine, stubborn_engine

V = Vocabulary.piano()
WILD = Sampling(temperature=1.0, min_p=0.0)
CAN_FILL = Abilities(infilling=True)
Span = tuple[float, float]
NOTES = ("pitch", "velocity", "onset", "duration", "channel", "instrument")


def played(notes: int = 60, *, seed: int = 1, start: float = 0.503) -> Performance:
    rng = np.random.default_rng(seed)
    return Performance.from_notes(
        pitch=rng.integers(30, 90, notes),
        velocity=rng.integers(1, 127, notes),
        onset=start + np.cumsum(rng.uniform(0, 0.7, notes)),
        duration=rng.uniform(0.05, 2, notes),
        pedal=[(2.0, 3.1), (5.5, 9.0)],
    )


def check(ids: tuple[int, ...], filled: Performance, generated: Performance, whole: Performance, span: Span) -> None:
    start, end = span
    grammar = Grammar(V)
    assert grammar.allowed(grammar.run(ids)) == () and ids[-1] == V.end
    assert ids.count(V.delimiter) == 2 and V.dim not in ids
    start_ns, end_ns = round(start * NS_PER_S), round(end * NS_PER_S)
    assert ((generated.onset >= start_ns) & (generated.onset < end_ns)).all()
    outside = (whole.onset < start_ns) | (whole.onset >= end_ns)
    untouched = (filled.onset < start_ns) | (filled.onset >= end_ns)
    for column in NOTES:
        assert getattr(filled, column)[untouched].tolist() == getattr(whole, column)[outside].tolist()
        assert getattr(filled, column)[~untouched].tolist() == getattr(generated, column).tolist()
    decoded = Tokenizer(V).decode(ids)
    assert len(decoded) == len(filled)
    clock = int(whole.onset[0]) if whole.onset[0] < start_ns else start_ns
    assert (np.abs(decoded.onset + clock - filled.onset) <= 10_000_000).all()  # 4995 to 4999 ms are spelt 4990
    new = np.flatnonzero(~untouched)
    assert (decoded.onset[new] + clock).tolist() == generated.onset.tolist()
    assert decoded.pitch[new].tolist() == generated.pitch.tolist()
    assert decoded.duration[new].tolist() == generated.duration.tolist()


def check_file(continuation: Continuation, whole: Performance, span: Span) -> None:
    """What is read back: outside the gap the file says what it would say without the filling."""
    start, end = span
    read = Performance.from_midi(continuation.performance.to_midi())
    plain = Performance.from_midi(whole.to_midi())
    assert len(read) == len(continuation.performance)
    for column in ("pitch", "velocity", "onset", "channel"):
        outside = [
            getattr(p, column)[(p.onset < start * NS_PER_S) | (p.onset >= end * NS_PER_S)].tolist()
            for p in (read, plain)
        ]
        assert outside[0] == outside[1]


@pytest.mark.parametrize(("start", "end"), [(4.0, 9.5), (0.0, 3.0), (7.3, 7.4), (8.0037, 12.9999)])
def test_random_weights_fill_the_gap_and_touch_nothing_else(start: float, end: float) -> None:
    engine = random_engine(context=512, abilities=CAN_FILL)
    whole = played()
    results = engine.fill(whole, start, end, variations=2, seed=3, sampling=WILD)
    for continuation in results:
        check(continuation.tokens, continuation.performance, continuation.generated, whole, (start, end))
        check_file(continuation, whole, (start, end))
        assert len(continuation.generated) or end - start < 0.2
    assert results[0].tokens != results[1].tokens or end - start < 0.2
    alone = engine.fill(whole, start, end, seed=3, sampling=WILD)
    assert alone[0].tokens == results[0].tokens


def test_a_gap_longer_than_the_window_is_filled_through() -> None:
    """Dense music in a small context: the window moves on several times, what follows stays in sight."""
    whole = played(300, seed=2)
    (continuation,) = random_engine(context=256, abilities=CAN_FILL).fill(whole, 55.0, 85.0, sampling=WILD)
    assert len(continuation.generated) > 80
    check(continuation.tokens, continuation.performance, continuation.generated, whole, (55.0, 85.0))


@settings(max_examples=30)
@given(st.integers(0, 2**20), st.integers(0, 30_000), st.integers(100, 15_000), st.sampled_from([256, 300, 600]))
def test_whatever_logits_come_the_filling_is_valid(seed: int, start_ms: int, length_ms: int, context: int) -> None:
    whole = played(40 + seed % 200, seed=seed, start=seed % 7 + 0.0004)
    start, end = start_ms / 1000, (start_ms + length_ms) / 1000
    gap = Gap.open(whole, start, end)
    if not len(gap.after) or gap.after.onset[0] - gap.start_ns > 60 * NS_PER_S:
        with pytest.raises(UserError, match="follows the gap"):
            begin_gap(V, gap, context=context, pedal=False)
        return
    asked = Settings(seconds=end - start, seed=seed)
    variation = Variation(begin_gap(V, gap, context=context, pedal=False), asked, WILD, 0)
    rng = np.random.default_rng(seed)
    streamed: list[GeneratedNote] = []
    grammar = Grammar(V)
    variation.stale = True
    while not variation.done:
        if variation.stale:
            grammar.run(variation.tokens)
            assert variation.tokens.count(V.delimiter) == 2
            variation.stale = False
        assert len(variation.tokens) < context
        logits_V = rng.normal(0, 1, len(V))
        logits_V[list(range(*V.note))] -= 6  # so that <T> and <E> have a say
        logits_V[V.segment] += rng.integers(-4, 4)
        variation.advance(logits_V[None])
        streamed += variation.release()
    generated = as_performance(gap.kept, variation.new_notes(), variation.new_pedal())
    assert len(streamed) == len(generated)
    check(tuple(variation.final_tokens()[0]), gap.kept.merge(generated), generated, whole, (start, end))


wills = st.fixed_dictionaries(
    {
        "keys": st.sampled_from([1, 12, 88]),
        "onset": st.sampled_from(["any", "next", 0, 1230, 4990]),
        "segment": st.sampled_from([-60.0, 0.0, 60.0]),
        "end": st.sampled_from([-60.0, 0.0, 60.0]),
        "seed": st.integers(0, 2**20),
    }
)


def with_clusters(start: float, end: float, notes: int) -> Performance:
    """Music with so many notes at once just before a gap and as many just behind it."""
    around = [
        Performance.from_notes(pitch=range(40, 40 + notes), velocity=60, onset=[at] * notes, duration=0.5)
        for at in (max(0.0, start - 0.02), end + 0.013)
    ]
    return played(30, seed=notes).merge(around[0]).merge(around[1])


@settings(max_examples=25)
@given(wills, st.integers(0, 9_000), st.integers(100, 1_500), st.sampled_from([2, 9, 15]), st.sampled_from([0.0, 1.0]))
def test_no_network_can_pile_up_notes_lose_count_or_go_on_for_ever(
    will: dict[str, object], start_ms: int, length_ms: int, given_at_once: int, temperature: float
) -> None:
    start, end = start_ms / 1000, (start_ms + length_ms) / 1000
    whole = with_clusters(start, end, given_at_once)
    engine = stubborn_engine(**will, abilities=CAN_FILL)  # type: ignore[arg-type]
    sampling = Sampling(temperature=temperature, min_p=0.0)
    (made,) = engine.fill(whole, start, end, seed=int(str(will["seed"])), sampling=sampling)
    check(made.tokens, made.performance, made.generated, whole, (start, end))
    assert most_at_once(made.performance, made.generated) <= 12
    assert most_at_once(made.performance, made.generated, keys=True) <= 4


def test_of_three_fillings_the_best_is_kept_and_what_it_lacks_is_said() -> None:
    """One key, always at once: it loops more often than can be taken back. Everything later than that ends it."""
    whole = played(60)
    sane = stubborn_engine(abilities=CAN_FILL).fill(whole, 4.0, 7.0, sampling=WILD)[0]
    assert sane.fallback is None
    piling = stubborn_engine(onset="next", segment=-60, end=-60, abilities=CAN_FILL).fill(whole, 4.0, 4.3)[0]
    assert piling.fallback is not None and "more than 12 notes" in piling.fallback
    assert "the best of 3 fillings" in piling.fallback
    looping = stubborn_engine(keys=1, onset="next", segment=-60, end=-60, abilities=CAN_FILL)
    stuck = looping.fill(whole, 4.0, 4.6, sampling=Sampling(temperature=0))[0]
    assert stuck.fallback is not None and "go on with a loop" in stuck.fallback and stuck.retries == 48


def test_what_the_model_puts_behind_the_gap_ends_the_filling() -> None:
    """A note that is wanted later, or a next segment, is not squeezed in before the end."""
    whole = played(60)
    after = whole.onset_seconds[whole.onset_seconds >= 7.0][0]
    clock = float(whole.onset_seconds[0])
    late = round((after - clock) % 5 * 1000 / 10) * 10 + 300
    assert late < 5000
    later = stubborn_engine(onset=late, segment=-60, end=-60, abilities=CAN_FILL)
    for continuation in later.fill(whole, 6.0, 7.0, variations=3, sampling=WILD):
        assert not len(continuation.generated) and continuation.fallback is None
    leaving = stubborn_engine(segment=60, end=-60, abilities=CAN_FILL)
    assert not len(leaving.fill(whole, 6.0, 7.0, sampling=WILD)[0].generated)


def test_the_model_reads_what_follows_then_what_leads_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, whole, read = random_engine(abilities=CAN_FILL), played(), []
    monkeypatch.setattr(engine, "read", lambda ids, cache, **_: read.append(list(ids[0])) or np.zeros((1, len(V))))
    engine.fill(whole, 12.0, 13.0, sampling=WILD)
    tokenizer = Tokenizer(V)
    clock = float(whole.onset_seconds[0])
    before = tokenizer.encode(whole.slice_time(0, 12.0), end=False).tolist()
    # The pedal is up in this stretch, so that a slice sounds as the whole.
    later = whole.select(whole.onset >= 13 * NS_PER_S).shift(-clock)
    after = tokenizer.encode(later, prefix=False, end=False, remove_silence=False)[1:].tolist()
    assert after[:2] == [V.segment, V.segment]
    due = [V.segment] * (2 - before.count(V.segment))
    first = read[0]
    assert first[:3] == [6, V.start, V.delimiter]
    second = first.index(V.delimiter, 3)
    assert first[3:second] == after
    assert first[second + 1 :] == before[2:] + due


def test_a_model_that_writes_the_pedal_fills_with_pedal_and_leaves_the_rest_down() -> None:
    engine = pedalling_engine(abilities=Abilities(infilling=True, pedal_tokens=True))
    whole = played(100)
    (continuation,) = engine.fill(whole, 6.0, 30.0, sampling=WILD)
    generated = continuation.generated
    assert len(generated.pedal_down) > 1
    assert (generated.pedal_down >= 6 * NS_PER_S).all() and (generated.pedal_up <= 30 * NS_PER_S).all()
    kinds = V.kind_of[list(continuation.tokens)]
    assert len(Tokenizer(V).decode(continuation.tokens)) == len(continuation.performance) == (kinds == Kind.NOTE).sum()
    outside = continuation.performance.pedal_down < 6 * NS_PER_S
    assert continuation.performance.pedal_up[outside].tolist() == [3_100_000_000, 9_000_000_000]
    Grammar(V).run(continuation.tokens)


def test_models_that_cannot_fill_and_gaps_that_cannot_be_joined_are_refused_in_one_line() -> None:
    whole = played()
    for engine, said in (
        (random_engine("aria", abilities=CAN_FILL), "no <X>"),
        (random_engine(), "not trained with infilling"),
        (random_engine(context=128, abilities=CAN_FILL), "too short"),
    ):
        with pytest.raises(UserError, match=said) as refusal:
            engine.fill(whole, 3.0, 5.0)
        assert "\n" not in str(refusal.value)
    able = random_engine(abilities=CAN_FILL)
    with pytest.raises(UserError, match="continue the file instead"):
        able.fill(whole, 3.0, 50.0)
    strings_follow = Performance.from_notes(
        pitch=60, velocity=80, onset=[0, 9], duration=1, channel=[0, 1], programs=[(0, 0), (1, 40)]
    )
    with pytest.raises(UserError, match="can say"):
        able.fill(strings_follow, 3.0, 5.0)
