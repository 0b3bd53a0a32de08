"""An encoder in scikit-learn's own hands: its pipelines, its clones, and those of its estimator checks that apply."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from partimento.embed.slicing import Slicing
from partimento.errors import UserError
from partimento.midi.performance import Performance
from tests.embed.embedders import make_encoder


def playing(seed: int) -> Performance:
    rng = np.random.default_rng(seed)
    low, velocity = ((30, 100), (70, 40))[seed % 2]
    return Performance.from_notes(
        pitch=low + rng.integers(0, 15, 20), velocity=velocity, onset=np.arange(20) / 8, duration=0.2
    )


MUSIC = [playing(seed) for seed in range(8)]
LABELS = ["low", "high"] * 4


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    for number, performance in enumerate(MUSIC):
        performance.save(folder / f"{number}.mid")
    return [str(folder / f"{number}.mid") for number in range(len(MUSIC))]


# The others give numbers to fit on, and this one takes music.
APPLYING = (
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
    estimator_checks.check_valid_tag_types,
)


@pytest.mark.parametrize("check", APPLYING, ids=lambda check: check.__name__)
def test_scikit_learns_own_checks(check):
    check("Encoder", make_encoder())


def test_a_pipeline_scores_as_its_steps_do_by_hand(paths):
    def classifier():
        return make_pipeline(StandardScaler(), LogisticRegression())

    encoder = make_encoder()
    pipeline = make_pipeline(encoder, *(step for _, step in classifier().steps))
    by_hand = classifier().fit(encoder.encode(paths[:6]), LABELS[:6])
    predicted = pipeline.fit(paths[:6], LABELS[:6]).predict_proba(paths[6:])
    assert np.allclose(predicted, by_hand.predict_proba(encoder.encode(paths[6:])), atol=1e-4)
    scores = cross_val_score(pipeline, MUSIC, LABELS, cv=2)
    assert scores.tolist() == cross_val_score(classifier(), encoder.encode(MUSIC), LABELS, cv=2).tolist()
    assert pipeline[:2].get_feature_names_out().tolist() == [f"encoder{number}" for number in range(12)]


def test_what_transform_makes_is_what_encode_makes(paths):
    encoder = make_encoder()
    expected = encoder.encode(paths)
    for items in (paths, np.array(paths), pd.Series(paths, index=range(5, 13)), [*map(Performance.from_midi, paths)]):
        assert np.array_equal(encoder.fit(items).transform(items), expected)
    assert np.array_equal(encoder.fit_transform(paths, LABELS), expected)
    table = pd.DataFrame({"year": range(8), "path": paths})
    columns = ColumnTransformer([("music", encoder, "path")], remainder="passthrough")
    assert np.allclose(columns.fit_transform(table)[:, :12], expected)


def test_a_clone_shares_the_weights_and_not_the_slicing():
    encoder = make_encoder()
    other = clone(encoder).set_params(slicing=Slicing(notes=5))
    assert other is not encoder
    assert encoder.slicing != other.slicing
    assert next(other._model.parameters()) is next(encoder._model.parameters())


def test_a_search_goes_through_slicings():
    pipeline = make_pipeline(make_encoder(), StandardScaler(), LogisticRegression())
    slicings = [Slicing(notes=5, most=1), Slicing(notes=20)]
    search = GridSearchCV(pipeline, {"encoder__slicing": slicings}, cv=2).fit(MUSIC, LABELS)
    assert search.best_params_["encoder__slicing"] in slicings


def test_what_is_no_list_of_music_is_refused(paths):
    encoder = make_encoder()
    for wrong in (paths[0], MUSIC[0], pd.DataFrame({"path": paths}), np.array([paths])):
        with pytest.raises(UserError, match="takes a list of performances or paths, or one column"):
            encoder.transform(wrong)
    with pytest.raises(ValueError, match="'slicing', not 'notes'"):
        encoder.set_params(notes=3)
