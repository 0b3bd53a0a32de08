"""A vector is what the published procedure says, and depends on nothing but its own performance."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.embed.encoder import Encoder, NothingToEmbed
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError
from partimento.model.checkpoint import save
from partimento.model.transformer import Transformer
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary
from tests.embed.embedders import CONFIG, V, make_encoder, make_model, model_file

torch.set_num_threads(1)
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def playing(seed: int, notes: int, *, seconds: float | None = None) -> Performance:
    rng = np.random.default_rng(seed)
    return Performance.from_notes(
        pitch=rng.integers(30, 90, notes),
        velocity=rng.integers(20, 120, notes),
        onset=np.sort(rng.random(notes)) * (seconds or notes / 8),
        duration=rng.random(notes) + 0.05,
        pedal=[(0.5, 30.0)],
        name=f"{seed}.mid",
    )


def directly(performance: Performance) -> np.ndarray:
    """The procedure said in another way: the whole body cut where notes begin, one slice after the other, no batch."""
    model, tokenizer, vectors = make_model(), Tokenizer(V), []
    ms = np.rint((performance.onset - performance.onset[0]) / 1e6).astype(np.int64)
    sounding = performance.sounding_duration()
    for first in range(0, len(performance), 300):
        last = min(first + 300, len(performance))
        part = Performance.from_notes(
            pitch=performance.pitch[first:last],
            velocity=performance.velocity[first:last],
            onset=(ms[first:last] - ms[first]) / 1000,
            duration=np.rint(sounding[first:last] / 1e6) / 1000,
        )
        ids = tokenizer.encode(part, dim=False).tolist()
        if len(ids) > 2048:
            ids = [*ids[:2047], V.end]
        with torch.no_grad():
            hidden = model.model(torch.tensor([ids]))[0, -1]
            vectors.append((model.emb_head.weight @ hidden).numpy())
    return np.array(vectors)


@pytest.mark.parametrize("notes", [1, 299, 300, 301, 700])
def test_slices_are_300_notes_and_a_file_is_their_plain_mean(notes):
    performance = playing(notes, notes)
    (slices,) = make_encoder().encode_slices([performance])
    expected = directly(performance)
    assert slices.shape == (-(-notes // 300), 12) and slices.dtype == np.float32
    np.testing.assert_allclose(slices, expected, **CLOSE)
    np.testing.assert_allclose(make_encoder().encode([performance])[0], expected.mean(axis=0), **CLOSE)


def test_a_slow_slice_is_cut_to_2048_ids_with_the_end_last():
    slow = playing(1, 300, seconds=12_000)
    (ids,) = make_encoder().sequences(slow)
    assert len(ids) == 2048 and ids[-1] == V.end
    np.testing.assert_allclose(make_encoder().encode_slices([slow])[0], directly(slow), **CLOSE)


def test_there_is_no_sign_of_a_near_end_and_the_pedal_holds_over_a_cut():
    ids = make_encoder().sequences(playing(2, 301))
    assert not any((V.kind_of[part] == Kind.DIM).any() for part in ids)
    assert [part[:2].tolist() for part in ids] == [[V.prefix("instrument", "piano"), V.start]] * 2


@settings(max_examples=15)
@given(
    counts=st.lists(st.integers(1, 700), min_size=1, max_size=6),
    batch_size=st.integers(1, 9),
    order=st.randoms(use_true_random=False),
)
def test_company_padding_and_order_change_nothing(counts, batch_size, order):
    encoder = make_encoder()
    performances = [playing(seed, notes) for seed, notes in enumerate(counts)]
    alone = np.concatenate([encoder.encode([performance], 1) for performance in performances])
    numbers = list(range(len(counts)))
    order.shuffle(numbers)
    together = encoder.encode([performances[number] for number in numbers], batch_size)
    np.testing.assert_allclose(together, alone[numbers], **CLOSE)


def test_a_batch_has_as_many_sequences_as_their_tokens_allow():
    lengths, batches = [7, 300, 2000, 90, 300, 1024, 300, 8, 512], []
    make_encoder().encode_sequences([np.ones(length, np.int32) for length in lengths], progress=batches.append)
    longest_first = iter(sorted(lengths, reverse=True))
    assert [[next(longest_first) for _ in range(rows)] for rows in batches] == [
        [2000], [1024], [512, 300], [300, 300, 90], [8, 7],
    ]  # fmt: skip


def test_threads_share_batches_out_and_change_no_vector():
    encoder, threads = make_encoder(), torch.get_num_threads()
    sequences = [np.full(length, 800, np.int32) for length in (600, 700, 800, 30, 900)]
    found = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found.append(encoder.encode_sequences(sequences))
            assert torch.get_num_threads() == number
        with pytest.raises(ZeroDivisionError):
            encoder.encode_sequences(sequences, progress=lambda rows: 1 // (rows - rows))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(*found)


@pytest.mark.parametrize("pooled", [False, True])
def test_what_stands_behind_the_end_is_not_seen(pooled):
    encoder = Encoder(make_model(), V, pooled=pooled)
    short, long = np.array([6, 0, 700, 1500, 900, 1], np.int32), np.full(500, 800, np.int32)
    expected = encoder.encode_sequences([short])
    np.testing.assert_allclose(encoder.encode_sequences([long, short])[1:], expected, **CLOSE)


@torch.no_grad()
def test_pooled_is_the_mean_of_hidden_states_of_any_language_model(tmp_path):
    torch.manual_seed(4)
    language_model = Transformer(CONFIG)
    save(tmp_path / "lm.safetensors", language_model, V)
    encoder = Encoder.load(tmp_path / "lm.safetensors", pooled=True)
    performance = playing(5, 450)
    expected = [
        language_model.hidden(torch.from_numpy(ids[None]).long())[0].mean(0) for ids in encoder.sequences(performance)
    ]
    assert encoder.size == 32
    np.testing.assert_allclose(encoder.encode_slices([performance])[0], torch.stack(expected).numpy(), **CLOSE)
    with pytest.raises(UserError, match="has no embedding head"):
        Encoder.load(tmp_path / "lm.safetensors")


def test_files_and_performances_may_be_mixed(tmp_path):
    performance = Performance.from_midi(playing(6, 100).to_midi())
    performance.write_midi(tmp_path / "a.mid")
    encoder = Encoder.load(model_file(tmp_path))
    rows = encoder.encode([tmp_path / "a.mid", performance, str(tmp_path / "a.mid")])
    assert rows.shape == (3, 12) and np.array_equal(rows[0], rows[2])
    np.testing.assert_allclose(rows[0], rows[1], **CLOSE)


def test_nothing_gives_no_rows_and_what_cannot_be_embedded_is_named(tmp_path):
    encoder = make_encoder()
    assert encoder.encode([]).shape == (0, 12) and encoder.encode_slices([]) == []
    (tmp_path / "no.mid").write_bytes(b"no midi")
    with pytest.raises(MidiError, match=r"no\.mid"):
        encoder.encode([playing(1, 5), tmp_path / "no.mid"])
    drums = Performance.from_notes(pitch=40, velocity=60, onset=[0, 1], duration=0.1, channel=9, name="drums.mid")
    with pytest.raises(NothingToEmbed, match=r"drums\.mid"):
        encoder.encode([drums])
    with pytest.raises(UserError, match="batch_size is 0"):
        encoder.encode([playing(1, 5)], 0)


def test_other_instruments_are_embedded_where_the_vocabulary_has_them():
    both = Performance.from_notes(
        pitch=[60, 64], velocity=60, onset=[0, 1], duration=0.5, channel=[0, 1], programs=[(0, 0), (1, 40)]
    )
    aria = Vocabulary.aria()
    wide = Encoder(make_model(), V)
    wide._tokenizer = Tokenizer(aria)
    (ids,) = wide.sequences(both)
    assert ids[:2].tolist() == [aria.prefix("instrument", "piano"), aria.prefix("instrument", "strings")]
    assert (aria.kind_of[ids] == Kind.NOTE).sum() == 2
    (ids,) = make_encoder().sequences(both)
    assert (V.kind_of[ids] == Kind.NOTE).sum() == 1


def test_one_performance_or_file_by_itself_is_one_vector(tmp_path):
    encoder, performance, other = make_encoder(), playing(1, 40), playing(2, 30)
    performance.write_midi(tmp_path / "x.mid")
    both = encoder.encode([performance, other])
    assert encoder.encode(performance).shape == (encoder.dimension,) == (12,)
    for one in (performance, tmp_path / "x.mid", str(tmp_path / "x.mid")):
        np.testing.assert_allclose(encoder.encode(one), both[0], **CLOSE)
    assert [rows.shape for rows in encoder.encode_slices(performance)] == [(1, 12)]
    with pytest.raises(MidiError, match=r"x-no\.mid"):
        encoder.encode("x-no.mid")


def test_similarity_is_the_cosine_and_normalised_vectors_have_length_one():
    encoder, performances = make_encoder(), [playing(seed, 30) for seed in range(3)]
    vectors = encoder.encode(performances)
    expected = [
        [torch.nn.functional.cosine_similarity(torch.tensor(a), torch.tensor(b), dim=0).item() for b in vectors]
        for a in vectors
    ]
    np.testing.assert_allclose(encoder.similarity(vectors, vectors), expected, atol=1e-6)
    np.testing.assert_allclose(encoder.similarity(vectors[0], vectors), expected[:1], atol=1e-6)
    normalised = encoder.encode(performances, normalize_embeddings=True)
    np.testing.assert_allclose(normalised @ normalised.T, expected, atol=1e-6)
    assert "12 numbers" in repr(encoder)
