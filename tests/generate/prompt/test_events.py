import numpy as np

from partimento.generate.prompt.events import latest, spell, split
from partimento.midi.performance import Performance
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary


def long_performance() -> Performance:
    gaps = np.random.default_rng(3).choice([0.0, 0.01, 0.13, 0.5, 4.9, 11.0], size=300)
    onset = np.cumsum(gaps)
    pitch = np.random.default_rng(4).integers(21, 108, 300)
    return Performance.from_notes(pitch=pitch, velocity=70, onset=onset, duration=0.3)


def test_splitting_and_spelling_give_the_tokenizers_ids_back() -> None:
    v = Vocabulary.piano()
    ids = Tokenizer(v).encode(long_performance(), end=False).tolist()
    assert spell(v, *split(v, ids), origin=0) == ids


def test_a_window_holds_whole_latest_notes_on_an_exact_clock() -> None:
    v = Vocabulary.piano()
    tokenizer = Tokenizer(v)
    ids = tokenizer.encode(long_performance(), end=False)
    whole = tokenizer.decode(ids)
    prefix, events = split(v, ids)
    for room in (32, 100, 333, 700):
        window, origin = latest(v, prefix, events, room)
        part = tokenizer.decode(window)
        assert len(window) <= room
        assert len(part) > room // 8
        assert (part.onset + origin * 1_000_000).tolist() == whole.onset[-len(part) :].tolist()
        assert part.pitch.tolist() == whole.pitch[-len(part) :].tolist()
        assert part.duration.tolist() == whole.duration[-len(part) :].tolist()
