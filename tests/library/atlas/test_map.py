"""Places on the map, beside scikit-learn's measures of neighbourhoods, and what must hold for any vectors."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from partimento.errors import UserError
from partimento.library.atlas.map import Atlas, MapSettings, draw_map

QUICK = MapSettings(perplexity=8, exaggerated=100, steps=150)


def vectors(n, *, seed=0, groups=4):
    """Vectors of 24 numbers around a few directions, and which of them each belongs to."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(groups, 24))
    group = np.arange(n) % groups
    return (centres[group] + 0.35 * random.normal(size=(n, 24))).astype(np.float32), group


def names(n):
    return [f"{i}.mid" for i in range(n)]


@pytest.fixture(scope="module")
def drawn():
    x, _ = vectors(120)
    return draw_map(x, names(120), QUICK)


def test_neighbours_on_the_map_are_neighbours_among_the_vectors(drawn):
    x, group = vectors(120)
    # The measure of Venna and Kaski: 1 where no stranger came between neighbours, 0.5 for a random map.
    assert trustworthiness(x, drawn.xy, n_neighbors=10, metric="cosine") > 0.9
    away = np.linalg.norm(drawn.xy[:, None] - drawn.xy, axis=2) + np.eye(120) * 1e9
    assert (group[away.argmin(axis=1)] == group).mean() > 0.98


def test_one_seed_gives_one_map_and_the_length_of_vectors_does_not_matter(drawn):
    x, _ = vectors(120)
    again = draw_map(x, names(120), QUICK)
    assert again.xy.tobytes() == drawn.xy.tobytes() and again.divergence == drawn.divergence
    longer = draw_map(x * np.float32(4), names(120), QUICK)
    assert longer.xy.tobytes() == drawn.xy.tobytes()
    other = draw_map(x, names(120), MapSettings(perplexity=8, exaggerated=100, steps=150, seed=1))
    assert other.xy.tobytes() != drawn.xy.tobytes()


@pytest.mark.parametrize("method", ["bh", "fft"])
def test_new_files_find_their_place_and_the_others_keep_theirs(drawn, method, monkeypatch):
    monkeypatch.setattr("partimento.library.atlas.map._method", lambda files: method)
    moved = replace(drawn, xy=drawn.xy + np.array([300, -20]))
    x, _ = vectors(120)
    before = moved.xy.copy()
    new = x[:9] + np.float32(1e-4)
    placed = moved.place(x, new)
    assert (moved.xy == before).all()
    assert np.linalg.norm(placed - moved.xy[:9], axis=1).max() < 0.1 * moved.xy.std(axis=0).max()
    alone = np.concatenate([moved.place(x, one[None]) for one in new])
    np.testing.assert_allclose(alone, placed, atol=1e-3)
    assert moved.place(x, x[:0]).shape == (0, 2)


def test_the_neighbours_of_a_file_are_those_of_its_vector(drawn):
    x, _ = vectors(120)
    oracle = NearestNeighbors(n_neighbors=8, metric="cosine").fit(x)
    np.testing.assert_array_equal(drawn.near, oracle.kneighbors(return_distance=False))
    more, _ = vectors(3, seed=5)
    added = drawn.add(x, ["a", "b", "c"], more)
    np.testing.assert_array_equal(added.near[120:], oracle.kneighbors(more, return_distance=False))
    assert added.names[120:] == ["a", "b", "c"] and added.about.endswith("; 3 placed on it")
    # What was placed before does not decide where the next ones go.
    again = added.add(np.concatenate([x, more]), ["d"], more[:1])
    np.testing.assert_allclose(again.xy[123], added.xy[120], atol=1e-3)


def test_a_map_is_kept_and_read_as_it_was(drawn, tmp_path):
    drawn.write(tmp_path / "atlas.parquet")
    read = Atlas.read(tmp_path / "atlas.parquet")
    assert (read.names, read.settings, read.divergence) == (drawn.names, drawn.settings, drawn.divergence)
    assert read.xy.tobytes() == drawn.xy.tobytes() and (read.near == drawn.near).all() and read.drawn == 120
    assert "perplexity 8, initialisation pca, seed 0, 100 + 150 steps" in read.about


def test_what_is_no_map_is_refused_in_one_line(drawn, tmp_path):
    path = tmp_path / "atlas.parquet"
    with pytest.raises(UserError, match="not a map"):
        Atlas.read(path)
    path.write_bytes(b"PAR1 but no table")
    with pytest.raises(UserError, match="not a map"):
        Atlas.read(path)
    pq.write_table(pa.table({"name": ["a"]}), path)
    with pytest.raises(UserError, match="not a map"):
        Atlas.read(path)
    drawn.write(path)
    table = pq.read_table(path)
    pq.write_table(table.select(["name", "x"]).replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(UserError, match="another version"):
        Atlas.read(path)


@pytest.mark.parametrize("n", [5, 6, 13])
def test_few_files_and_equal_files_have_places_too(n):
    x, _ = vectors(n)
    x[1] = x[0]
    drawn = draw_map(x, names(n), MapSettings(exaggerated=20, steps=20, initialisation="random"))
    assert np.isfinite(drawn.xy).all()
    assert np.isfinite(drawn.place(x, x[:1])).all()


def test_what_makes_no_map_is_named():
    x, _ = vectors(20)
    with pytest.raises(UserError, match="at least 5"):
        draw_map(x[:4], names(4))
    x[3, 2] = np.nan
    with pytest.raises(UserError, match=r"3\.mid: its vector is not finite"):
        draw_map(x, names(20))
    for wrong in ({"perplexity": 0.5}, {"initialisation": "spectral"}, {"seed": -1}, {"steps": -1}):
        with pytest.raises(UserError, match="give"):
            MapSettings(**wrong)
