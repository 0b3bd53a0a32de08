"""Models that write the pedal as tokens: it is heard in what they make; the others never press it."""

import numpy as np

from partimento.generate.abilities import Abilities
from partimento.generate.decode.sampling import Sampling
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance
from partimento.tokens.grammar import Grammar
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary
from tests.generate.generate_music import pedalling_engine

V = Vocabulary.piano()
WILD = Sampling(temperature=1.0, min_p=0.0)
PEDAL = Abilities(pedal_tokens=True)


def prompt() -> Performance:
    return Performance.from_notes(
        pitch=[60, 64, 67], velocity=70, onset=[0.5, 1.0, 1.5], duration=0.2, pedal=[(0.6, 1.1), (1.2, 1.72)]
    )


def test_the_pedal_of_prompt_and_continuation_is_read_and_written() -> None:
    for context in (1024, 64):
        (continuation,) = pedalling_engine(context=context, abilities=PEDAL).continue_(
            prompt(), settings=Settings(notes=60, sampling=WILD)
        )
        Grammar(V).run(continuation.tokens)
        kinds = V.kind_of[list(continuation.tokens)]
        assert (kinds == Kind.NOTE).sum() == 63 and len(continuation.generated) == 60
        given = continuation.tokens[: continuation.prompt_tokens]
        assert given == tuple(Tokenizer(V).encode(prompt(), end=False, pedal_tokens=True))
        assert (V.kind_of[list(given)] == Kind.PEDAL_ON).sum() == 2
        # What the ids say as a whole is what prompt and new notes say together.
        decoded, whole = Tokenizer(V).decode(continuation.tokens), continuation.performance
        assert len(continuation.generated.pedal_down) > 3
        for column in ("pedal_down", "pedal_up"):
            said, heard = getattr(decoded, column) + 500_000_000, getattr(whole, column)
            assert said[2:].tolist() == heard[2:].tolist()
            assert heard[2:].tolist() == getattr(continuation.generated, column).tolist()
        read = Performance.from_midi(whole.to_midi())
        moments = np.arange(0, whole.end, 10_000_000)[:, None] + 5_000_000
        for down in (((p.pedal_down <= moments) & (moments < p.pedal_up)).any(axis=1) for p in (read, whole)):
            assert (
                down.any()
                and down.tolist() == ((whole.pedal_down <= moments) & (moments < whole.pedal_up)).any(axis=1).tolist()
            )


def test_the_stream_gives_notes_only() -> None:
    engine, settings = pedalling_engine(abilities=PEDAL), Settings(notes=20, sampling=WILD)
    heard = [note.pitch for _, note in engine.stream(prompt(), settings=settings)]
    assert heard == engine.continue_(prompt(), settings=settings)[0].generated.pitch.tolist()
    assert len(heard) == 20


def test_the_pedal_goes_to_the_channel_of_the_piano() -> None:
    elsewhere = Performance.from_notes(pitch=60, velocity=70, onset=0.0, duration=1.0, channel=3, programs=[(3, 0)])
    (continuation,) = pedalling_engine(abilities=PEDAL).continue_(elsewhere, settings=Settings(notes=30, sampling=WILD))
    assert set(continuation.generated.pedal_channel.tolist()) == {3}


def test_a_model_whose_pedal_is_folded_never_presses_it() -> None:
    (continuation,) = pedalling_engine(abilities=Abilities()).continue_(
        prompt(), settings=Settings(notes=60, sampling=WILD)
    )
    assert not {Kind.PEDAL_ON, Kind.PEDAL_OFF} & set(V.kind_of[list(continuation.tokens)])
    assert not len(continuation.generated.pedal_down)
