"""Nobody plays more at once than can be played: the rule against counting, and continuations by stubborn networks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.generate.abilities import Abilities
from partimento.generate.decode.crowd import MOST_AT_ONCE, MOST_OF_A_KEY, Crowd
from partimento.generate.decode.sampling import Sampling
from partimento.generate.prompt.events import Event
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance
from partimento.tokens.grammar import Grammar
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind
from tests.generate.generate_music import VOCABULARIES, most_at_once, prompt, stubborn_engine

V, ARIA = VOCABULARIES["piano"], VOCABULARIES["aria"]
SPAN_MS = 50
PIANO, DRUM = ARIA.note[0] + 60 * 13 + 5, ARIA.drum[0] + 3
BASS = int(np.flatnonzero((ARIA.kind_of == Kind.NOTE) & (ARIA.instrument_of == 3))[40 * 13 + 5])
HEADS = [PIANO, PIANO + 1, PIANO + 13, PIANO + 26, PIANO + 39, BASS, DRUM]
places = st.lists(st.tuples(st.sampled_from(HEADS), st.integers(0, 14).map(lambda n: 10 * n)), max_size=40)


def too_many(events: list[Event]) -> bool:
    """Whether within some 50 ms one player has more than twelve, or one key more than four."""
    for keys, most in ((False, MOST_AT_ONCE), (True, MOST_OF_A_KEY)):
        begun: dict[tuple[int, int], list[int]] = {}
        for e in events:
            begun.setdefault((ARIA.instrument_of[e.head], ARIA.pitch_of[e.head] if keys else 0), []).append(e.ms)
        for at in map(sorted, begun.values()):
            if any(
                last - first <= SPAN_MS for first, last in zip(at[: max(0, len(at) - most)], at[most:], strict=True)
            ):
                return True
    return False


@settings(max_examples=60)
@given(places, places, st.integers(1, 7))
def test_what_is_full_is_what_would_be_too_many(earlier, later, room: int) -> None:
    """Around a gap of some places on the grid: an id is masked if and only if nothing can be placed with it."""
    first = 1000
    before = sorted((Event(head=h, ms=first - 100 + ms) for h, ms in earlier if ms <= 100), key=lambda e: e.ms)
    after = sorted((Event(head=h, ms=first + 10 * room + ms) for h, ms in later), key=lambda e: e.ms)
    if too_many(before) or too_many(after) or too_many([*before, *after]):
        return
    grammar, crowd = Grammar(ARIA), Crowd(ARIA, before[:3], after)
    prefix = [ARIA.prefix("instrument", name) for name in ("piano", "bass", "drum")]
    placed = grammar.run([*prefix, ARIA.start, PIANO, ARIA.onset[0] + first // 10])
    how = {"segment_ms": 0, "end_ms": first + 10 * room - 3.5}
    possible = dict.fromkeys(HEADS, False)
    for head in HEADS:
        state = grammar.step(grammar.step(placed, ARIA.duration[0] + 9), head)
        full_V = crowd.full(state, head, before[3:], **how)
        assert (
            not full_V[: ARIA.onset[0] + first // 10].any() and not full_V[ARIA.onset[0] + first // 10 + room :].any()
        )
        for place in range(room):
            fits = not too_many([*before, Event(head=head, ms=first + 10 * place), *after])
            assert fits != full_V[ARIA.onset[0] + first // 10 + place]
            possible[head] |= fits
    full_V = crowd.full(grammar.step(placed, ARIA.duration[0] + 9), 0, before[3:], **how)
    assert {head: bool(full_V[head]) for head in HEADS} == {head: not fits for head, fits in possible.items()}
    assert not full_V[[ARIA.segment, ARIA.end, ARIA.dim]].any()
    assert not crowd.full(placed, PIANO, before[3:], **how).any()  # a duration is always free


wills = st.fixed_dictionaries(
    {
        "keys": st.sampled_from([1, 12, 88]),
        "onset": st.sampled_from(["any", "next", 0, 1230, 4990]),
        "segment": st.sampled_from([-60.0, 0.0, 60.0]),
        "end": st.sampled_from([-60.0, 0.0, 60.0]),
        "pedal": st.sampled_from([-60.0, 0.0]),
        "context": st.sampled_from([64, 512]),
        "seed": st.integers(0, 2**20),
    }
)
CROWDED = Performance.from_notes(pitch=range(40, 55), velocity=60, onset=[0.31] * 15, duration=0.5)
BAND = Performance.from_notes(
    pitch=[60, 40, 38], velocity=80, onset=[0, 0.5, 1], duration=0.1, channel=[3, 0, 9], programs=[(3, 0), (0, 33)]
)


@settings(max_examples=25)
@given(
    wills,
    st.sampled_from([{"notes": 40}, {"seconds": 0.5}, {"notes": 20, "end": True}, {"seconds": 0.5, "end": True}]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from(["prompt", "crowded", "band"]),
)
def test_no_network_can_pile_up_notes_or_go_on_for_ever(will, length, temperature: float, given_: str) -> None:
    vocabulary = "aria" if given_ == "band" else "piano"
    whole = {"prompt": prompt(), "crowded": CROWDED, "band": BAND}[given_]
    abilities = Abilities(pedal_tokens=vocabulary == "piano" and will["pedal"] >= 0)
    engine = stubborn_engine(vocabulary, **will, abilities=abilities)
    how = Settings(**length, seed=will["seed"], sampling=Sampling(temperature=temperature, min_p=0.0))
    streamed: list[int] = []
    (made,) = engine.continue_(whole, settings=how, on_note=lambda _, note: streamed.append(note.pitch))
    assert most_at_once(made.performance, made.generated) <= 12
    assert most_at_once(made.performance, made.generated, keys=True) <= 4
    assert streamed == made.generated.pitch.tolist()
    assert said(made.performance) - said(made.generated) == said(whole)
    v = VOCABULARIES[vocabulary]
    Grammar(v).run(made.tokens)
    assert len(Tokenizer(v).decode(made.tokens)) == len(whole) + len(made.generated)
    if "notes" in length:
        assert len(made.generated) == 40 if "end" not in length else len(made.generated) <= 24
    else:
        longest = 1.2 if "end" in length else 1.0
        assert (made.generated.onset_seconds < whole.seconds + longest * length["seconds"]).all()


def test_a_network_that_only_pedals_comes_to_its_end() -> None:
    engine = stubborn_engine(segment=-60, end=-60, pedal=60, onset="next", abilities=Abilities(pedal_tokens=True))
    (made,) = engine.continue_(prompt(), settings=Settings(notes=1, sampling=Sampling(temperature=1, min_p=0)))
    assert len(made.generated) == 1


def said(performance: Performance) -> Counter[tuple[int, ...]]:
    columns = (performance.pitch, performance.velocity, performance.onset, performance.duration, performance.channel)
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_where_a_segment_is_full_the_next_one_follows(vocabulary: str) -> None:
    """A network that wants everything at the last instant of a segment gets twelve, and then time goes on."""
    engine = stubborn_engine(vocabulary, onset=4990, segment=-60, end=-60)
    (made,) = engine.continue_(prompt(), settings=Settings(notes=36, sampling=Sampling(temperature=1, min_p=0)))
    onsets, notes = np.unique(made.generated.onset, return_counts=True)
    assert notes.tolist() == [12, 12, 12] and np.diff(onsets).tolist() == [5_000_000_000] * 2
    assert made.fallback is not None and "was held back" in made.fallback and "fillings" not in made.fallback


def test_a_foot_alone_is_not_music() -> None:
    """A network that would rather pedal through segment after segment has to play now and then."""
    engine = stubborn_engine(pedal=60, segment=60, abilities=Abilities(pedal_tokens=True))
    (made,) = engine.continue_(prompt(), settings=Settings(notes=3, sampling=Sampling(temperature=0)))
    assert len(made.generated) == 3
    assert (np.diff(made.generated.onset_seconds) < 4 * 5.0).all()
