"""A model that goes by vectors is made of one that does not: what it is shown, what is counted, what it learns."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from partimento.cli import main
from partimento.corpus.loaders.sequences import StretchLoader
from partimento.corpus.store.build import build
from partimento.corpus.store.note_store import NoteStore, digest
from partimento.corpus.store.plans import plan_folder
from partimento.embed.encoder import Encoder
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load, save
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer, Embedder
from partimento.model.initialisation import random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.distributed import ALONE
from partimento.train.objectives.conditioned import ConditionedContinuation
from partimento.train.stages.conditions import ConditionedLoader, Conditions, conditioned
from partimento.train.stages.continuation import finetune_continuation, outcome
from tests.train.small import newest, records
from tests.train.small_finetuning import recipe

V = Vocabulary.piano()
CONFIG = ModelConfig(vocab_size=len(V), d_model=32, n_heads=2, n_layers=2, d_ff=128, context=96)
SIZE = 6


def playing(seed: int, n: int) -> Performance:
    """Low or high throughout, which few notes have not said yet when a vector already could."""
    rng = np.random.default_rng(seed)
    low = 40 if seed % 2 else 88
    return Performance.from_notes(
        pitch=rng.integers(low, low + 2, n),
        velocity=80,
        onset=0.1 * (np.arange(n) + rng.integers(0, 2, n).cumsum()),
        duration=0.1,
    )


class Knowing:
    """Stands for an embedding model that hears low and high: the mean pitch of a slice in the first channel.

    Its vectors are known in closed form, and it counts how many slices it was asked for.
    """

    size = SIZE

    def __init__(self) -> None:
        self.asked = 0

    def slices(self, notes) -> list[np.ndarray]:
        return [notes.pitch[first : first + 300].astype(np.int32) for first in range(0, len(notes), 300)]

    def encode_sequences(self, sequences) -> np.ndarray:
        self.asked += len(sequences)
        return np.array([[(s.mean() - 60) / 20, len(s) / 300, *[0.0] * (SIZE - 2)] for s in sequences], np.float32)


@contextmanager
def loading(folder: Path) -> Iterator[tuple[Path, Knowing]]:
    """The file of an embedding model, and what is loaded from it, whatever its name."""
    path, encoder = folder / "knowing.safetensors", Knowing()
    path.write_bytes(b"knows low from high")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("partimento.train.stages.conditions.Encoder.load", lambda name, device: encoder)
        yield path, encoder


@pytest.fixture
def knowing(tmp_path_factory) -> Iterator[tuple[Path, Knowing]]:
    with loading(tmp_path_factory.mktemp("knowing")) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> NoteStore:
    """Ten files, of which two are held out, one low and one high, and two are of three slices."""
    folder = tmp_path_factory.mktemp("music")
    labels = {f"{seed}.mid": {"split": "validation" if seed in (2, 3) else "train"} for seed in range(10)}
    for seed, name in enumerate(labels):
        playing(seed, 60 if seed < 8 else 700).write_midi(folder / name)
    plan, _ = plan_folder(folder, labels)
    build(plan, folder / "store")
    return NoteStore(folder / "store")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    model = Transformer(CONFIG)
    random_initialisation(model, seed=1)
    save(path, model, V, infilling=True, sampling={"min_p": 0.02})
    return path


@pytest.fixture(scope="module")
def conditions(store, tmp_path_factory) -> Conditions:
    folder = tmp_path_factory.mktemp("vectors")
    with loading(folder) as (path, _):
        return Conditions.of(store, path, folder / "parts", ALONE)


def stretches(store: NoteStore, rank: int = 0, world: int = 1, batch: int = 4) -> StretchLoader:
    return StretchLoader(store, V, "train", length=95, batch=batch, seed=3, rank=rank, world=world)


def loader_of(examples: StretchLoader, conditions: Conditions, share: float = 0.5) -> ConditionedLoader:
    return ConditionedLoader(examples, conditions, seed=3, unconditioned_share=share)


def mean_pitches(store: NoteStore, file: int) -> set[tuple[float, float]]:
    """What `Knowing` makes of every run of slices of a file: means of pitches and of lengths."""
    pitch = store.notes(file).pitch.astype(float)
    slices = [pitch[first : first + 300] for first in range(0, len(pitch), 300)]
    runs = [slices[a:b] for a in range(len(slices)) for b in range(a + 1, len(slices) + 1)]
    return {
        (round(float(np.mean([(s.mean() - 60) / 20 for s in run])), 4), round(np.mean([len(s) / 300 for s in run]), 4))
        for run in runs
    }


def test_each_row_has_a_vector_of_its_own_file_and_a_share_does_not_see_it(store, conditions):
    plain, loader = stretches(store), loader_of(stretches(store), conditions)
    unseen, found = [], {}
    for _ in range(120):
        files = [plain.file_of(example) for _, example in plain.ahead]
        expected, batch = next(plain), next(loader)
        assert np.array_equal(batch["ids"], expected)
        assert batch["vector"].shape == (4, SIZE) and batch["vector"].dtype == np.float32
        unseen += batch["unseen"].tolist()
        for file, vector in zip(files, batch["vector"], strict=True):
            found.setdefault(file, set()).add((round(float(vector[0]), 4), round(float(vector[1]), 4)))
    assert found.keys() == set(store.split("train").tolist())
    for file, pairs in found.items():
        possible = np.array(sorted(mean_pitches(store, file)))
        near = [np.abs(possible - pair).max(axis=1).min() for pair in pairs]
        assert max(near) < 2e-4
        assert len(pairs) == len(possible)  # one for each file of a slice, all six runs of three slices
    assert 0.4 < np.mean(unseen) < 0.6


def test_batches_depend_on_their_place_alone(store, conditions):
    whole = loader_of(stretches(store), conditions)
    halves = [loader_of(stretches(store, rank, 2), conditions) for rank in range(2)]
    batches = [next(whole) for _ in range(5)]
    for batch in batches:
        parts = [next(half) for half in halves]
        for name, column in batch.items():
            assert np.array_equal(np.concatenate([part[name] for part in parts]), column)
    again = loader_of(stretches(store), conditions)
    again.load_state_dict(json.loads(json.dumps(halves[0].state_dict())))
    expected, got = next(whole), next(again)
    assert all(np.array_equal(got[name], expected[name]) for name in expected)


def test_vectors_are_made_once_and_a_kill_loses_a_part(store, knowing, tmp_path, monkeypatch):
    monkeypatch.setattr("partimento.train.stages.conditions.FILES_AT_ONCE", 3)
    path, encoder = knowing
    first = Conditions.of(store, path, tmp_path, ALONE)
    slices = sum(-(-int(store.counts[file]) // 300) for file in range(len(store)))
    assert encoder.asked == slices == 14
    Conditions.of(store, path, tmp_path, ALONE)
    assert encoder.asked == slices
    parts = sorted(tmp_path.rglob("part-*.parquet"))
    assert len(parts) == 4
    parts[1].unlink()
    again = Conditions.of(store, path, tmp_path, ALONE)
    assert slices < encoder.asked <= slices + 3 * 3
    for file in range(len(store)):
        rng = (np.random.default_rng(file) for _ in range(2))
        assert np.array_equal(
            *(made.draw(file, generator) for made, generator in zip((first, again), rng, strict=True))
        )


def test_the_loss_is_that_of_plain_passes_with_the_vector_and_without(store, conditions, base):
    language_model = load(base).model
    model = conditioned(language_model, conditions, seed=1).eval()
    adapted_BD = model.embedding_adapter(
        torch.from_numpy(np.stack([conditions.draw(f, np.random.default_rng(0)) for f in range(10)]))
    )
    ratio = adapted_BD.norm(dim=1).mean() / language_model.model.tok_embeddings.weight.norm(dim=1).mean()
    assert 0.5 < ratio < 2
    batch = {
        name: torch.from_numpy(column)
        for name, column in next(loader_of(stretches(store, batch=8), conditions)).items()
    }
    assert 0 < batch["unseen"].sum() < 8
    total, count = 0.0, 0
    with torch.inference_mode():
        for ids, vector, unseen in zip(batch["ids"].long(), batch["vector"], batch["unseen"], strict=True):
            if unseen:
                logits_TV = language_model(ids[None, :-1])[0]
            else:
                logits_TV = model.after(vector[None], ids[None, :-1])[0, 1:]
            total += F.cross_entropy(logits_TV, ids[1:], ignore_index=V.pad, reduction="sum").item()
            count += int((ids[1:] != V.pad).sum())
    objective = ConditionedContinuation(V)
    assert objective.targets(batch) == count
    assert objective.total_loss(model, batch).item() == pytest.approx(total, rel=1e-5)


def test_a_model_learns_to_go_by_the_vector_and_resumes_to_the_same_bits(store, base, knowing, tmp_path):
    embedder, _ = knowing
    settings = recipe(
        steps=160,
        length=8,
        batch=32,
        peak_lr=2e-2,
        warmup_steps=10,
        precision="float32",
        eval_every=80,
        checkpoint_every=80,
    )
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    found = finetune_continuation(settings, store.path, whole, base=base, embedder=embedder)
    gain = found.last["unconditioned_nats_per_token"] - found.last["nats_per_token"]
    assert gain > 0.05  # a note is low or high: 0.69 nats, of some seven tokens
    assert found.last["nats_per_token"] < found.before["nats_per_token"] - 0.5
    trained = load(whole, ConditionedTransformer)
    assert trained.model.embedding_adapter.in_features == SIZE
    assert trained.metadata["embedder"] == {"model": str(embedder), "sha256": digest(embedder)}
    assert trained.metadata["infilling"] is False and trained.metadata["sampling"] == {"min_p": 0.02}
    shutil.copytree(whole, resumed)
    shutil.rmtree(newest(resumed))
    finetune_continuation(settings, store.path, resumed, base=base, embedder=embedder)
    assert records(resumed) == records(whole)
    assert (resumed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"another one")
    for changed in (other, None):
        with pytest.raises(UserError, match=r"holds a run of another embedding model \(.*knowing.safetensors\)"):
            finetune_continuation(settings, store.path, whole, base=base, embedder=changed)


def test_one_command_makes_a_model_for_like(store, base, tmp_path, capsys):
    embedder = tmp_path / "embedder.safetensors"
    torch.manual_seed(2)
    save(embedder, Embedder(CONFIG, size=SIZE), V)
    out = tmp_path / "run"
    begin = ["finetune", "continuation", str(store.path), "-o", str(out), "--from", str(base)]
    flags = ["--loop.steps", "3", "--loop.warmup-steps", "1", "--loop.peak-lr", "1e-2", "--batch", "4"]
    for arguments, complaint in (
        (["--conditioned"], "--conditioned goes with --embedder MODEL"),
        (["--embedder", embedder], "--embedder goes with --conditioned"),
        (["--conditioned", "--embedder", base], "has no embedding head"),
        (["--conditioned", "--embedder", embedder, "--lora-rank", 4], "adapters leave no room for a vector"),
        (["--conditioned", "--embedder", embedder, "--unconditioned-share", 2], "unconditioned_share is 2.0"),
    ):
        assert main([*begin, *flags, *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert complaint in error and error.count("\n") == 1
        assert not out.exists()
    assert main([*begin, *flags, "--conditioned", "--embedder", str(embedder)]) == 0
    assert "held-out loss without vectors: " in capsys.readouterr().out
    assert outcome(out).last_step == 3
    assert main(["info", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "embedding-conditioned language model"
    assert facts["metadata"]["embedder"] == {"model": str(embedder), "sha256": digest(embedder)}
    playing(1, 40).write_midi(tmp_path / "a.mid")
    playing(2, 40).write_midi(tmp_path / "b.mid")
    asked = ["--model", str(out), "--like", str(tmp_path / "b.mid"), "--guidance", "2", "--notes", "5"]
    assert main(["continue", str(tmp_path / "a.mid"), *asked, "-o", str(tmp_path / "music")]) == 0


def test_slices_of_a_store_are_embedded_as_those_of_its_files(store, tmp_path):
    torch.manual_seed(2)
    encoder = Encoder(Embedder(ModelConfig(**{**asdict(CONFIG), "context": 2048}), size=SIZE), V)
    for seed in (1, 8):
        of_store = encoder.slices(store.notes(next(f for f in range(10) if store.file(f).name == f"{seed}.mid")))
        playing(seed, 60 if seed < 8 else 700).write_midi(tmp_path / "file.mid")
        of_file = encoder.sequences(tmp_path / "file.mid")
        assert [ids.tolist() for ids in of_store] == [ids.tolist() for ids in of_file]
