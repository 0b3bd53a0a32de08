"""The Anticipatory Music Transformer from a folder of the published layout, with small random weights."""

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from partimento import Performance, UserError
from partimento.evaluate.baselines.anticipatory import Anticipatory, nucleus
from partimento.evaluate.baselines.arrival import AUTOREGRESS, VOCABULARY_SIZE, encode, with_rests


def saved(folder, vocabulary=VOCABULARY_SIZE):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=vocabulary, n_positions=1024, n_embd=8, n_layer=2, n_head=2, initializer_range=1.0)
    network = GPT2LMHeadModel(config)
    with torch.no_grad():  # the later the less likely, or random weights leap over all that is asked for
        network.transformer.ln_f.bias[0] = 10.0
        network.transformer.wte.weight[:10_000, 0] = torch.arange(min(vocabulary, 10_000)) / -200
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Anticipatory.load(saved(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def prompt():
    n = 30
    return Performance.from_notes(
        pitch=np.arange(40, 40 + n), velocity=np.arange(30, 30 + n), onset=np.arange(n) * 0.2, duration=[0.3] * n
    )


def test_it_goes_on_in_the_asked_span_the_same_for_the_same_seed(model, prompt):
    played = model.continuation(prompt, start=6.0, end=9.0, seed=1)
    assert len(played) > 0
    assert (played.onset_seconds >= 6).all()
    assert (played.onset_seconds < 9).all()
    assert set(played.velocity.tolist()) == {44}
    assert played == model.continuation(prompt, start=6.0, end=9.0, seed=1)
    assert played != model.continuation(prompt, start=6.0, end=9.0, seed=2)


def test_an_event_is_drawn_as_its_logits_say_with_nothing_kept_from_before(model, prompt, monkeypatch):
    """Each event anew by plain calls of the network on the whole window: the rules of the authors' sampler."""
    window = 20  # fewer than the prompt has: it slides from the first event on
    short = Anticipatory(network=model.network, top_p=0.98, window=window)
    played = encode(short.continuation(prompt, start=6.0, end=9.0, seed=3)).tolist()
    rng, events, now, plain = np.random.default_rng(3), with_rests(encode(prompt), 600).tolist(), 600, []
    while True:
        events = events[-window:]
        shift = events[0][0]
        tokens = [AUTOREGRESS] + [token for time, *rest in events for token in (time - shift, *rest)]
        for place in range(3):
            with torch.inference_mode():
                logits = model.network(torch.tensor([tokens])).logits[0, -1].double().numpy()
            legal = np.zeros(VOCABULARY_SIZE, bool)
            legal[[slice(now - shift, 10_000), slice(10_000, 11_000), slice(11_000, 11_128)][place]] = True
            legal[27_512] = place == 2
            tokens.append(int(np.flatnonzero(legal)[nucleus(logits[legal], 0.98, rng)]))
        now = tokens[-3] + shift
        if now >= 900:
            break
        events.append([now, *tokens[-2:]])
        if tokens[-1] != 27_512:
            plain.append([now, max(tokens[-2], 10_001), tokens[-1]])
    assert played == sorted(plain, key=lambda event: event[0])
    assert len(plain) > 1


def test_nucleus_takes_the_likeliest_that_together_have_the_mass():
    logits = np.log([0.1, 0.5, 0.05, 0.35])
    drawn = np.array([nucleus(logits, 0.8, np.random.default_rng(seed)) for seed in range(400)])
    assert set(drawn.tolist()) == {1, 3}
    assert abs((drawn == 1).mean() - 0.5 / 0.85) < 0.08  # three standard deviations
    assert {nucleus(logits, 1.0, np.random.default_rng(seed)) for seed in range(400)} == {0, 1, 2, 3}


def test_what_is_no_such_model_is_refused(tmp_path, prompt, model):
    with pytest.raises(UserError, match="holds no config"):
        Anticipatory.load(tmp_path)
    with pytest.raises(UserError, match="vocabulary of 300 tokens; arrival-time tokens are 55,028"):
        Anticipatory.load(saved(tmp_path / "other", 300))
    with pytest.raises(UserError, match="beyond 100 s"):
        model.continuation(prompt, start=6.0, end=101.0, seed=1)
