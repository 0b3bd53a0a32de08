"""Initial values: deviations in closed form, and likeness of neighbours where it is meant."""

import math

import pytest
import torch
from torch.nn import functional as F

from partimento.model.config import ModelConfig
from partimento.model.initialisation import musical_initialisation, random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary


def make(vocab_size=2675) -> Transformer:
    return Transformer(ModelConfig(vocab_size=vocab_size, d_model=128, n_heads=2, n_layers=2, d_ff=256, context=8))


def test_deviations():
    model = make()
    random_initialisation(model, seed=1)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            residual = "att_proj_linear" in name or "ff_down_proj" in name
            assert parameter.std().item() == pytest.approx(0.02 / math.sqrt(4) if residual else 0.02, rel=0.03)
        else:
            assert torch.equal(parameter.detach(), torch.full_like(parameter, float(name.endswith("weight"))))


@pytest.mark.parametrize("vocabulary", [Vocabulary.piano(), Vocabulary.aria()], ids=["piano", "aria"])
def test_neighbours_are_alike_and_kinds_are_not(vocabulary):
    model = make(len(vocabulary))
    musical_initialisation(model, vocabulary, seed=1)
    note = vocabulary.note[0] + 60 * 13 + 6
    onset, duration = vocabulary.onset[0] + 100, vocabulary.duration[0] + 100
    for table_VD in (model.model.tok_embeddings.weight.detach(), model.lm_head.weight.detach()):

        def alike(a, b, table_VD=table_VD):
            return F.cosine_similarity(table_VD[a], table_VD[b], dim=0).item()

        assert alike(onset, onset + 1) > alike(onset, onset + 10) > alike(onset, onset + 200)
        assert alike(duration, duration + 1) > alike(duration, duration + 10) > alike(duration, duration + 200)
        assert alike(note, note + 1) > alike(note, note + 5) > 0.5
        assert alike(note, note + 13) > alike(note, note + 13 * 30)
        assert max(abs(alike(a, b)) for a, b in ((note, onset), (note, duration), (onset, duration))) < 0.5
        assert table_VD[slice(*vocabulary.note)].square().mean().sqrt().item() == pytest.approx(0.02, rel=1e-4)


def test_the_seed_decides():
    weights = []
    for seed in (1, 1, 2):
        model = make()
        musical_initialisation(model, Vocabulary.piano(), seed=seed)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
