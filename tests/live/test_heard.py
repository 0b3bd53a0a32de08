"""What is certain stays as it is, whatever comes; what sounds is what has not ended."""

from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.live.heard import Heard
from partimento.midi.performance import Performance
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

TOKENIZER = Tokenizer(Vocabulary.piano())
MOVES = st.lists(
    st.tuples(st.sampled_from(["strike", "strike", "release", "pedal"]), st.integers(60, 64), st.floats(0.01, 0.7)),
    max_size=40,
)


def told(heard: Heard, t: float, kind: str, key: int) -> None:
    if kind == "strike":
        heard.strike(t, pitch=key, velocity=70)
    elif kind == "release":
        heard.release(t, pitch=key)
    else:
        heard.pedal(t, down=key % 2 == 0)


def spelt(performance: Performance) -> list[int]:
    return TOKENIZER.encode(performance, end=False).tolist()


@settings(max_examples=30)
@given(MOVES)
def test_what_was_certain_begins_whatever_is_played_after(moves: list[tuple[str, int, float]]) -> None:
    heard, t, before = Heard(), 0.0, []
    for kind, key, wait in moves:
        t += wait
        told(heard, t, kind, key)
        tokens = spelt(heard.certain())
        assert tokens[: len(before)] == before
        whole, held = heard.whole(t + 0.005)
        assert spelt(whole)[: len(tokens)] == tokens
        assert len(heard.certain()) == (held[0] if held else len(whole))
        before = tokens
    heard.let_go(t + 1.0)
    assert len(heard.certain()) == len(heard)
    assert not heard.keys


def test_a_note_under_the_pedal_sounds_until_it_is_lifted() -> None:
    heard = Heard()
    heard.strike(1.0, pitch=60, velocity=70)
    heard.release(1.2, pitch=60)
    heard.pedal(2.0, down=True)
    heard.strike(2.1, pitch=64, velocity=70)
    heard.release(2.3, pitch=64)
    assert heard.whole(3.0)[1] == [1]
    assert heard.whole(3.0)[0].sounding_duration().tolist() == [200_000_000, 900_000_000]
    heard.pedal(4.0, down=False)
    assert heard.whole(5.0)[1] == []
    assert heard.certain().sounding_duration().tolist() == [200_000_000, 1_900_000_000]


def test_the_machine_has_a_pedal_of_its_own_and_is_cut() -> None:
    heard = Heard()
    heard.pedal(0.5, down=True)
    heard.answered(pitch=50, velocity=60, on=1.0, end=9.0)
    assert heard.whole(2.0)[1] == []
    heard.cut(2.0)
    assert heard.certain().duration_seconds.tolist() == [1.0]


def test_the_latest_are_kept() -> None:
    heard = Heard()
    for at in range(10):
        heard.strike(float(at), pitch=40 + at, velocity=70)
        heard.release(at + 0.5, pitch=40 + at)
    heard.forget(3)
    assert heard.certain().pitch.tolist() == [47, 48, 49]
