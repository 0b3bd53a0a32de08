"""The grammar allows what encodings contain, and nothing that decoding would have to drop."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.tokens.grammar import Grammar
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary
from tests.tokens.playing import performances, piano

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
@settings(max_examples=60)
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


@settings(max_examples=60)
@given(performances(), st.booleans())
def test_every_encoding_is_accepted(performance, dim):
    ids = Tokenizer(VOCABULARIES["aria"]).encode(performance, dim=dim)
    assert GRAMMARS["aria"].allowed(GRAMMARS["aria"].run(ids)) == ()


@settings(max_examples=40)
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
@settings(max_examples=30)
@given(st.data())
def test_ranges_are_ascending_and_disjoint(name, data):
    grammar = GRAMMARS[name]
    ranges = grammar.allowed(grammar.run(data.draw(walks(name))))
    edges = [edge for pair in ranges for edge in pair]
    assert edges == sorted(set(edges))
    assert all(0 <= edge <= len(VOCABULARIES[name]) for edge in edges)


def _streams(length: int, onsets: list[int]) -> list[tuple[int, ...]]:
    """All token strings of at most that length out of <T> and whole notes, each onset within its own segment."""
    v, note, duration = VOCABULARIES["piano"], 700, VOCABULARIES["piano"].duration[0] + 3
    parts = [(v.segment,), *((note, onset, duration) for onset in onsets)]
    found, grown = [()], [()]
    while grown:
        grown = [(*ids, *part) for ids in grown for part in parts if len(ids) + len(part) <= length]
        found += grown
    return found


def _times(ids: tuple[int, ...]) -> list[int]:
    """Onsets on one clock, in ms."""
    v, segment, times = VOCABULARIES["piano"], 0, []
    for id in ids:
        segment += id == v.segment
        if v.kind_of[id] == Kind.ONSET:
            times.append(5000 * segment + int(v.ms_of[id]))
    return times


def test_of_all_short_sequences_with_a_gap_exactly_the_valid_ones_are_allowed():
    """Every string up to a length, judged on an absolute clock, against what a walk through the grammar meets."""
    grammar, v, longest = GRAMMARS["piano"], VOCABULARIES["piano"], 11
    onsets = [v.onset[0], v.onset[0] + 250, v.onset[1] - 1]
    valid = set()
    for after in _streams(longest - 4, onsets):
        for stream in _streams(longest - 4 - len(after), onsets):
            late, early = _times(after), _times(stream)
            in_order = late == sorted(late) and early == sorted(early)
            if late and in_order and all(ms < late[0] for ms in early):
                lead = after.index(700)
                if stream.count(v.segment) == lead:
                    valid.add((v.start, v.delimiter, *after, v.delimiter, *stream, v.end))
    alphabet = {v.end, v.dim, v.segment, v.delimiter, v.pad, 6, 700, *onsets, v.duration[0], v.duration[0] + 3}
    met, open_walks = set(), [((v.start, v.delimiter), grammar.run([v.start, v.delimiter]))]
    while open_walks:
        ids, state = open_walks.pop()
        allowed = grammar.allowed(state)
        if not allowed:
            met.add(ids)
        elif len(ids) < longest:
            open_walks += [
                ((*ids, id), grammar.step(state, id))
                for id in alphabet
                if any(low <= id < high for low, high in allowed)
            ]
    assert len(valid) > 50
    assert met == valid


@settings(max_examples=60)
@given(st.data())
def test_a_gap_can_always_be_closed_and_its_end_is_kept(data):
    """Random walks behind a random `after`: never stuck, never past the end, <E> in its segment."""
    grammar, v = GRAMMARS["piano"], VOCABULARIES["piano"]
    lead, onset = data.draw(st.integers(0, 4)), data.draw(st.integers(*v.onset).filter(lambda id: id < v.onset[1]))
    ids = [6, 0, v.delimiter, *[v.segment] * lead, 700, onset, v.duration[0] + 1, v.delimiter]
    begin, state = len(ids), grammar.run(ids)
    while ranges := grammar.allowed(state):
        # Mostly the extremes, where mistakes would be.
        low, high = data.draw(st.sampled_from(ranges))
        id = data.draw(st.sampled_from([low, high - 1]) if len(ids) < 200 else st.just(v.segment))
        if not any(a <= id < b for a, b in ranges):
            id = v.end if any(a <= v.end < b for a, b in ranges) else ranges[0][0]
        ids.append(id)
        state = grammar.step(state, id)
    gap = ids[begin:]
    end_ms = 5000 * lead + int(v.ms_of[onset])
    assert gap[-1] == v.end and gap.count(v.segment) == lead
    assert not {v.dim, v.delimiter} & set(gap)
    assert all(ms < end_ms for ms in _times(tuple(gap)))
    kinds = v.kind_of[ids]
    assert len(Tokenizer(v).decode(ids)) == (kinds == Kind.NOTE).sum()


def test_a_vocabulary_without_the_delimiter_knows_no_gaps():
    assert GRAMMARS["aria"].allowed(GRAMMARS["aria"].run([6, 0]))[-1] == (39, 39 + 1664)
