"""The embedding model that comes with the package knows which halves belong together."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from partimento.cli import main
from partimento.embed.encoder import Encoder
from partimento.midi.performance import Performance

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.mid"))


def test_the_halves_of_an_example_are_nearer_to_each_other_than_to_other_music():
    encoder, halves = Encoder.load("bundled-embedding"), []
    for path in EXAMPLES:
        whole = Performance.from_midi(path)
        middle = float(np.median(whole.onset_seconds))
        halves += [whole.slice_time(0, middle), whole.slice_time(middle, whole.seconds).transpose(5)]
    vectors = encoder.encode(halves)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    assert alike.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]
    assert encoder.slicing.notes == 300


def test_it_is_what_embed_uses_unless_told_otherwise(tmp_path):
    out = tmp_path / "embeddings.parquet"
    assert main(["embed", str(EXAMPLES[0].parent), "-o", str(out)]) == 0
    table = pq.read_table(out)
    assert table["path"].to_pylist() == [path.name for path in EXAMPLES]
    expected = Encoder.load("bundled-embedding").encode(EXAMPLES)
    np.testing.assert_allclose(np.array(table["embedding"].to_pylist()), expected, atol=1e-4, rtol=1e-3)


def test_in_bfloat16_vectors_point_where_those_of_float32_do():
    """Of half a minute of music, since some processors take long over it."""
    exact, half = (Encoder.load("bundled-embedding", dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    ballad = next(path for path in EXAMPLES if path.stem == "ballad")
    assert exact.similarity(exact.encode(ballad), half.encode(ballad)).item() > 0.999
