"""Passages of files: only true ends look like ends, they stand at no place in particular, and what is given is told."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from partimento.corpus.loaders.examples import IDS_PER_NOTE
from partimento.corpus.loaders.sequences import ENDING_SHARE, FULLNESS, SHORTEST_ENDING, StretchLoader, WholeFileLoader
from partimento.midi.performance import Performance
from partimento.tokens.grammar import Grammar
from partimento.tokens.infill import Infilling
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary
from tests.corpus.playable import noise, store_of

V = Vocabulary.piano()
COUNTS = (30, 60, 150, 250, 420, 900)
HEAD = [V.prefix("instrument", "piano"), V.start]
KINDS = pytest.mark.parametrize("kind", [WholeFileLoader, StretchLoader])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("corpus"), [noise(i, n) for i, n in enumerate(COUNTS)])


@pytest.fixture(scope="module")
def played(store) -> list[Notes]:
    """The files' notes, read and rounded without a store."""
    return [Notes.from_performance(Performance.from_midi(noise(i, n).to_midi())) for i, n in enumerate(COUNTS)]


@pytest.fixture(scope="module")
def long_files(tmp_path_factory):
    """Files of which none fits 800 ids."""
    return store_of(tmp_path_factory.mktemp("long"), [noise(i, 700 + 7 * i) for i in range(30)])


def make(kind, store, **more):
    return kind(store, V, "train", **{"length": 512, "batch": 6, "seed": 3, "augment": False} | more)


def sequences(batches) -> list[list[int]]:
    """Rows up to their padding, in which there is nothing else."""
    found = []
    for row in np.concatenate(list(batches)).tolist():
        end = row.index(V.pad) if V.pad in row else len(row)
        assert set(row[end:]) <= {V.pad}
        found.append(row[:end])
    return found


def pitches(ids) -> list[int]:
    return [int(V.pitch_of[id]) for id in ids if V.kind_of[id] == Kind.NOTE]


def passage(ids: list[int], played: list[Notes]) -> tuple[int, int, int]:
    """File, first note, last note + 1 that a sequence says, looked for everywhere; it may say half of the last."""
    said = [id for id in ids[2:] if id not in (V.dim, V.end)]
    count = sum(V.kind_of[id] == Kind.NOTE for id in said)
    heard = pitches(said)
    for file, notes in enumerate(played):
        of_file = notes.pitch.tolist()
        for first in range(len(notes) - count + 1):
            if of_file[first : first + count] == heard:
                # Only a note behind it tells how many <T> there may be.
                body = Tokenizer(V).encode_notes(notes.slice(first, first + count + 1)).tolist()
                if body[: len(said)] == said:
                    return file, first, first + count
    raise AssertionError("not notes of these files, or not on the clock of the first of them")


@KINDS
@pytest.mark.parametrize("length", [*range(20, 29), 200, 301, 511])
def test_only_true_ends_look_like_ends(store, played, kind, length):
    loader = make(kind, store, length=length)
    for ids in sequences(islice(loader, 4)):
        assert ids[:2] == HEAD and ids[3] == V.onset[0]
        file, _, last = passage(ids, played)
        assert ids.count(V.end) == (last == COUNTS[file] and V.kind_of[ids[-2]] == Kind.DURATION and ids[-1] == V.end)
        if V.end in ids:
            assert last == COUNTS[file]
            if len(ids) > 150 + 4:
                assert 91 <= len(ids) - 1 - ids.index(V.dim) <= 112
        else:
            assert V.dim not in ids
            # It says nothing of an end, and only the file's last notes can be what did not fit with one.
            assert last < COUNTS[file] or len(ids) >= length


@pytest.mark.parametrize("pedal", [False, True])
def test_files_that_fit_are_whole(store, pedal):
    loader = make(WholeFileLoader, store, length=4096, pedal=pedal, ending_share=0.0)
    rows = next(loader)
    assert rows.shape == (6, 4097) and rows.dtype == np.int32
    performances = [Performance.from_midi(noise(i, n).to_midi()) for i, n in enumerate(COUNTS)]
    wanted = [Tokenizer(V).encode(one, dim=True, pedal_tokens=pedal).tolist() for one in performances]
    assert sorted(sequences([rows])) == sorted(wanted)


def test_beginnings_that_do_not_fit_are_as_long_as_can_be(store, played):
    for ids in sequences(islice(make(WholeFileLoader, store, length=300, ending_share=0.0), 3)):
        file, first, last = passage(ids, played)
        assert first == 0
        assert (last == COUNTS[file] and V.end in ids) or len(ids) == 301


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("pedal", [False, True])
@KINDS
def test_every_sequence_is_grammatical(store, kind, augment, pedal):
    grammar = Grammar(V)
    for length in (64, 512):
        loader = make(kind, store, length=length, augment=augment, pedal=pedal)
        for ids in sequences(islice(loader, 5)):
            grammar.run(ids)
        for batch in islice(make(kind, store, length=length, augment=augment, pedal=pedal, disturbed_share=0.5), 5):
            for ids in sequences([batch["ids"]]):
                grammar.run(ids)


def drawn_from_ends(store, length: int, epochs: int, **more) -> tuple[list[int], int]:
    """Lengths of the sequences that end, and how many sequences there were, all of files that do not fit."""
    loader = make(WholeFileLoader, store, length=length, batch=30, **more)
    found = sequences(islice(loader, epochs))
    return [len(ids) for ids in found if ids[-1] == V.end], len(found)


@pytest.mark.parametrize("share", [ENDING_SHARE, 0.2])
def test_as_many_end_as_wanted_and_at_every_place(long_files, share):
    lengths, drawn = drawn_from_ends(long_files, 800, 20, ending_share=share)
    assert abs(len(lengths) - share * drawn) < 4 * np.sqrt(drawn * share * (1 - share))
    place = np.log(np.array(lengths) / SHORTEST_ENDING) / np.log(801 / SHORTEST_ENDING)
    assert place.min() > -0.03 and place.max() <= 1
    quarters = np.histogram(place, 4, (-0.03, 1))[0]
    assert (abs(quarters - len(lengths) / 4) < 4 * np.sqrt(len(lengths) * 3 / 16)).all()


def test_no_or_all_sequences_may_be_endings(long_files):
    assert drawn_from_ends(long_files, 800, 3, ending_share=0.0)[0] == []
    assert len(drawn_from_ends(long_files, 800, 3, ending_share=1.0, augment=True)[0]) == 90


def test_each_epoch_draws_anew_what_is_shown_of_a_file(long_files):
    loader = make(WholeFileLoader, long_files, length=800, batch=1)
    shown = {}
    for _ in range(10 * 30):
        example = loader.ahead[0][1]
        shown.setdefault(example, set()).add(tuple(sequences([next(loader)])[0]))
    assert all(len(different) > 1 for different in shown.values())


# -- stretches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [64, 512])
def test_stretches_leave_nothing_out(store, length):
    loader = make(StretchLoader, store, batch=1, length=length)
    found, ends = Counter(), 0
    for ids in sequences(islice(loader, loader.examples_per_epoch)):
        found.update(pitches(ids))
        ends += V.end in ids
    wanted = Counter()
    for file in range(len(store)):
        wanted.update(store.notes(file).pitch.tolist())
    assert found == wanted
    assert ends == len(store)
    most = int((length + 1 - 4) / IDS_PER_NOTE)
    fit = [-(-count // (FULLNESS * most)) if count > most else 1 for count in COUNTS]
    assert loader.examples_per_epoch == sum(fit)


def test_the_last_stretch_is_of_any_length(long_files):
    lengths = []
    for seed in range(10):
        loader = make(StretchLoader, long_files, length=800, batch=30, seed=seed)
        rows = sequences(islice(loader, loader.examples_per_epoch // 30))
        lengths += [len(pitches(ids)) for ids in rows if ids[-1] == V.end]
    low, high = -(-SHORTEST_ENDING // IDS_PER_NOTE), (800 + 1 - 4) // IDS_PER_NOTE
    assert low <= min(lengths) and max(lengths) <= high
    place = np.log(np.array(lengths) / low) / np.log(high / low)
    assert (np.histogram(place, 4, (0, 1))[0] > len(lengths) / 8).all()


# -- what is made of them ---------------------------------------------------------------------------------------------


def test_they_can_be_transformed_row_by_row(store):
    def mirrored(row, rng):
        return row[::-1] + rng.integers(1, 3).astype(np.int32)

    plain = next(make(WholeFileLoader, store))
    changed = next(make(WholeFileLoader, store, transform=mirrored))
    assert set((changed - plain[:, ::-1]).flatten().tolist()) <= {1, 2}


@KINDS
def test_disturbed_rows_are_neither_rearranged_nor_targets_where_they_are_disturbed(long_files, kind):
    loader = make(
        kind, long_files, length=900, batch=30, disturbed_share=0.5, transform=Infilling(V, share=1.0), augment=True
    )
    rearranged = disturbed = 0
    for batch in islice(loader, 4):
        for ids, given in zip(batch["ids"], batch["given"], strict=True):
            rearranged += V.delimiter in ids
            disturbed += given.any()
            assert not (given.any() and V.delimiter in ids)
            events = np.isin(V.kind_of[ids], (Kind.NOTE, Kind.ONSET, Kind.DURATION))
            number = np.cumsum(V.kind_of[ids] == Kind.NOTE)
            for note in np.unique(number[given & events]):
                assert given[events & (number == note)].all()  # a note is given as a whole
            assert not given[ids == V.end].any() and not given[ids == V.dim].any()
    assert rearranged > 40 and disturbed > 20


@KINDS
def test_disturbed_batches_are_a_matter_of_the_seed_and_can_be_gone_on_with(store, kind):
    first, second = (make(kind, store, disturbed_share=0.7, augment=True) for _ in range(2))
    batches = list(islice(first, 4))
    second.load_state_dict(json.loads(json.dumps({"examples": 12})))
    for batch, again in zip(batches[2:], islice(second, len(batches) - 2), strict=True):
        assert all(np.array_equal(batch[name], again[name]) for name in ("ids", "given"))
