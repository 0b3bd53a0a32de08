"""The grammar allows what encodings contain, and nothing that decoding would have to drop."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import performances, piano

from partimento.errors import UserError
from partimento.tokens.grammar import Grammar
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary

VOCABULARIES = {"aria": Vocabulary.aria(), "piano": Vocabulary.piano()}
GRAMMARS = {name: Grammar(vocabulary) for name, vocabulary in VOCABULARIES.items()}


@st.composite
def walks(draw, name):
    """Random ids, each among those allowed; every range is as likely as the next one."""
    grammar = GRAMMARS[name]
    ids, state = [], grammar.start()
    for _ in range(draw(st.integers(0, 60))):
        ranges = grammar.allowed(state)
        if not ranges:
            break
        low, high = draw(st.sampled_from(ranges))
        ids.append(draw(st.integers(low, high - 1)))
        state = grammar.step(state, ids[-1])
    return ids


@pytest.mark.parametrize("name", ["aria", "piano"])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_note_of_a_random_walk_is_dropped(name, data):
    vocabulary = VOCABULARIES[name]
    ids = data.draw(walks(name))
    kinds = [Kind(int(vocabulary.kind_of[id])) for id in ids]
    complete = kinds.count(Kind.DURATION) + sum(
        kind == Kind.DRUM and kinds[i + 1 : i + 2] == [Kind.ONSET] for i, kind in enumerate(kinds)
    )
    performance = Tokenizer(vocabulary).decode(ids)
    assert len(performance) == complete
    again = Tokenizer(vocabulary).encode(performance, remove_silence=False)
    GRAMMARS[name].run(again)
    twice = Tokenizer(vocabulary).decode(again)
    assert Tokenizer(vocabulary).encode(twice, remove_silence=False).tolist() == again.tolist()


@settings(max_examples=60, deadline=None)
@given(performances(), st.booleans())
def test_every_encoding_is_accepted(performance, dim):
    ids = Tokenizer(VOCABULARIES["aria"]).encode(performance, dim=dim)
    assert GRAMMARS["aria"].allowed(GRAMMARS["aria"].run(ids)) == ()


@settings(max_examples=40, deadline=None)
@given(piano())
def test_every_piano_encoding_with_pedal_tokens_is_accepted(performance):
    pressed = performance.from_notes(
        pitch=performance.pitch,
        velocity=performance.velocity,
        onset=performance.onset_seconds,
        duration=performance.duration_seconds,
        pedal=[(0.5, 1.0), (1.0, 4.999)],
    )
    GRAMMARS["piano"].run(Tokenizer(VOCABULARIES["piano"]).encode(pressed, pedal_tokens=True))


@pytest.mark.parametrize(
    ("before", "illegal"),
    [
        ([], 1),  # <E> before <S>
        ([], 825),
        ([6, 0], 0),  # a second <S>
        ([6, 0], 2),  # padding
        ([6, 0], 6),  # a prefix after <S>
        ([6, 0], 17_227),  # an onset of nothing
        ([6, 0], 39 + 1664),  # organ without its prefix
        ([6, 0], 16_679),  # drums without their prefix
        ([6, 0, 825], 16_736),  # a duration before the onset
        ([6, 0, 825], 825),
        ([6, 0, 825, 17_230], 838),  # no duration
        ([6, 0, 825, 17_230], 16_726),  # a duration of 0 ms
        ([6, 0, 825, 17_230, 16_736, 838], 17_229),  # backwards
        ([6, 0, 4], 4),  # a second <D>
        ([6, 0, 1], 825),  # after <E>
        ([16, 0, 16_679, 17_227], 16_736),  # a duration of a drum
    ],
)
def test_illegal_steps_raise(before, illegal):
    grammar = GRAMMARS["aria"]
    state = grammar.run(before)
    assert not any(low <= illegal < high for low, high in grammar.allowed(state))
    with pytest.raises(UserError, match="may not follow"):
        grammar.step(state, illegal)


def test_a_segment_resets_the_clock():
    grammar = GRAMMARS["aria"]
    state = grammar.run([6, 0, 825, 17_400, 16_736])
    assert grammar.allowed(grammar.step(state, 838)) == ((17_400, 17_727),)
    assert grammar.allowed(grammar.run([5, 838], state)) == ((17_227, 17_727),)


@pytest.mark.parametrize("name", ["aria", "piano"])
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_ranges_are_ascending_and_disjoint(name, data):
    grammar = GRAMMARS[name]
    ranges = grammar.allowed(grammar.run(data.draw(walks(name))))
    edges = [edge for pair in ranges for edge in pair]
    assert edges == sorted(set(edges))
    assert all(0 <= edge <= len(VOCABULARIES[name]) for edge in edges)
