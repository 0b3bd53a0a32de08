"""Another performance among the nearest: as plain loops count it, as chance has it, held-out pieces by themselves."""

import csv
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.cli import main
from partimento.errors import UserError
from partimento.evaluate import retrieval
from partimento.evaluate.retrieval import by_chance, csv_row, judged, markdown, performances, ranks
from partimento.evaluate.tables import as_csv
from partimento.evaluate.tasks import Example, Task, content_key
from partimento.midi.performance import Performance


def examples(pieces, held_out=()):
    return [
        Example(sha256=f"{i:016x}", label=f"piece {p}", split="test" if p in held_out else "train", piece=p)
        for i, p in enumerate(pieces)
    ]


def sorted_by_hand(vectors, pieces, at):
    """Cosines one by one, a sorted list for each query, ties to the disadvantage of the query."""
    hits = {}
    for i, (x, piece) in enumerate(zip(vectors, pieces, strict=True)):
        others = [j for j in range(len(pieces)) if j != i]
        if not any(pieces[j] == piece for j in others):
            continue
        near = {j: sum(a * b for a, b in zip(x, vectors[j], strict=True)) for j in others}
        lengths = {j: math.hypot(*x) * math.hypot(*vectors[j]) for j in others}
        order = sorted(others, key=lambda j: (-near[j] / lengths[j], pieces[j] == piece))
        hits[i] = any(pieces[j] == piece for j in order[:at])
    return hits


@pytest.mark.parametrize("seed", range(5))
def test_recall_is_that_of_sorted_lists(seed):
    rng = np.random.default_rng(seed)
    pieces = rng.integers(0, 12, 40).tolist()
    vectors = rng.normal(size=(40, 3)) + np.array(pieces)[:, None] % 3
    found = next(f for f in judged("x", vectors, examples(pieces)) if f.distance == "cosine")
    for at, (value, _) in found.recall.items():
        hits = sorted_by_hand(vectors.tolist(), pieces, at)
        assert value == pytest.approx(np.mean(list(hits.values())))
        assert found.queries == len(hits)
    assert found.recall[1][1][0] <= found.recall[1][0] <= found.recall[1][1][1]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=3, max_size=9))
def test_chance_is_the_mean_over_all_draws(pieces):
    queries = [i for i, piece in enumerate(pieces) if pieces.count(piece) > 1]
    if not queries:
        with pytest.raises(UserError, match="two performances"):
            by_chance(examples(pieces))
        return
    (found,) = by_chance(examples(pieces))
    for at, (value, _) in found.recall.items():
        shares = []
        for i in queries:
            others = [pieces[j] for j in range(len(pieces)) if j != i]
            draws = list(combinations(others, min(at, len(others))))
            shares.append(np.mean([pieces[i] in draw for draw in draws]))
        assert value == pytest.approx(np.mean(shares))


def test_standardising_undoes_the_scale_of_a_channel():
    rng = np.random.default_rng(1)
    pieces = np.repeat(np.arange(10), 2).tolist()
    vectors = np.stack([np.repeat(rng.normal(size=10), 2), 1e4 * rng.normal(size=20)], axis=1)
    vectors[:, 0] += rng.normal(size=20) * 1e-3
    rescaled = vectors * [1e4, 1e-4]
    both = zip(judged("x", vectors, examples(pieces)), judged("x", rescaled, examples(pieces)), strict=True)
    for ours, theirs in [pair for pair in both if "standardised" in pair[0].distance]:
        assert ours == theirs


def test_ties_do_not_count_as_found():
    rank_q, query_q = ranks(np.zeros((4, 4)), np.array([0, 0, 1, 2]))
    assert query_q.tolist() == [0, 1] and rank_q.tolist() == [2, 2]


def test_held_out_pieces_are_judged_among_all_but_by_themselves():
    pieces = [0, 0, 1, 1, 2]
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [1, 0.05], [-1, 0]])
    held_out, trained = (f for f in judged("x", vectors, examples(pieces, {0})) if f.distance == "cosine")
    assert (held_out.split, held_out.queries, held_out.recall[1][0]) == (
        "held out",
        2,
        0.0,
    )  # the stray one of piece 1 is nearer
    assert (trained.split, trained.queries, trained.recall[10][0]) == ("trained on", 2, 1.0)
    text = markdown([held_out, trained])
    assert "Pieces held out: 2 queries of 1 pieces." in text and "| x | cosine | 0.0 [0–0] | 100.0 [100–100] |" in text
    first, second = csv.DictReader(as_csv([csv_row(held_out), csv_row(trained)]).splitlines())
    assert (first["split"], first["at_1"], second["at_10_low"]) == ("held out", "0.0000", "1.0000")


def test_the_manifest_has_a_piece_on_one_side_only():
    found = performances().examples
    assert len(found) == len({example.sha256 for example in found}) == 874
    assert len({(example.piece, example.split) for example in found}) == len({example.piece for example in found})
    assert {example.label for example in found if example.piece == found[0].piece} == {found[0].label}


def made_up(number: int) -> Performance:
    """Four pieces, each of its own few keys, played twice: the second time faster and louder."""
    piece, again = divmod(number, 2)
    rng = np.random.default_rng(piece)
    return Performance.from_notes(
        pitch=30 + 12 * piece + rng.integers(0, 9, 60),
        velocity=rng.integers(40, 80, 60) + 20 * again,
        onset=np.sort(rng.uniform(0, 20, 60)) * (1 - 0.1 * again),
        duration=rng.uniform(0.1, 0.6, 60),
    )


def test_the_verb_writes_a_table_with_statistics_and_ones_own_encoder(tmp_path, monkeypatch, capsys):
    (tmp_path / "midi").mkdir()
    found = []
    for number in range(8):
        path = tmp_path / "midi" / f"{number}.mid"
        made_up(number).write_midi(path)
        piece = number // 2
        split = "test" if piece == 3 else "train"
        found.append(Example(sha256=content_key(path), label=str(piece), split=split, piece=piece))
    monkeypatch.setattr(retrieval, "performances", lambda: Task(name="x", classes=(), examples=tuple(found)))
    (tmp_path / "register.py").write_text(
        "import numpy as np\nfrom partimento import Performance\n"
        "def encode(paths):\n"
        "    return np.array([[1, Performance.from_midi(p).pitch.mean() / 60] for p in paths])\n"
    )
    monkeypatch.chdir(tmp_path)
    argv = ["evaluate", "retrieval", "--data", "midi", "-o", "out"]
    assert main([*argv, "--models", "register=register:encode"]) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "retrieval.csv").read_text().splitlines()))
    recall = {(row["encoder"], row["distance"], row["split"]): float(row["at_1"]) for row in rows}
    assert recall["register", "cosine", "held out"] == recall["register", "cosine", "trained on"] == 1
    assert recall["statistics", "cosine, standardised", "trained on"] > recall["chance", "", "trained on"]
    assert recall["chance", "", "held out"] == pytest.approx(1 / 7, abs=1e-4)
    assert (tmp_path / "out" / "retrieval.md").read_text().startswith("Another performance of the same piece")
    capsys.readouterr()
    assert main([*argv, "--models", "statistics=register:encode"]) == 2
    assert "'statistics' would name two encoders" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["evaluate", "retrieval", "--data", "empty", "-o", "out"]) == 2
    assert "none of the performances of ASAP" in capsys.readouterr().err
