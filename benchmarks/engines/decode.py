"""How fast each engine reads and writes, how much memory it takes, and how far its distributions are from float32.

    python -m benchmarks.engines.decode MODEL FOLDER [--engines torch-bfloat16 onnx-int8] [--rounds 3] [-o decode.md]
    python -m benchmarks.engines.decode random:medium FOLDER --llama-bench PATH --gguf MODEL.gguf

MODEL is what `partimento continue --model` takes, or `random:SIZE` for weights made up at that size (17,727 tokens).
FOLDER holds MIDI files, whose beginnings are the prompts. Every engine is a process of its own and all take turns
within each round, so that other load on the machine meets them alike; the table gives medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Program, again, drawn, publish, table

REFERENCE = "torch-float32"
ENGINES = (REFERENCE, "torch-bfloat16", "onnx", "onnx-int8", "onnx-int4")
KL_PROMPTS, KL_TOKENS = 6, 192


# -- one engine, in a process of its own --------------------------------------------------------------------------


class Worker:
    """Answers requests, one JSON object a line."""

    def __init__(self, engine: str, model: str, threads: int) -> None:
        began = time.perf_counter()
        self.backend = _open(engine, model, threads)
        self._vocab_size = self.backend.config.vocab_size
        self.load_s = time.perf_counter() - began
        self.load_peak = _peak_mb()

    def loaded(self) -> dict[str, Any]:
        return {"load_s": self.load_s, "load_peak_mb": self.load_peak}

    def speed(self, prompt: list[int], new: int, batch: int) -> dict[str, Any]:
        cache = self.backend.cache(batch=1, capacity=len(prompt) + new + 1)
        began = time.perf_counter()
        logits = self.backend.read([prompt], cache)
        prefill_s = time.perf_counter() - began
        for _ in range(3):
            logits = self.backend.read([[int(logits.argmax()) % self._vocab_size]], cache)
        first_note_s = time.perf_counter() - began
        cache.rollback(len(prompt))
        rows = cache.take([0] * batch) if batch > 1 else cache
        began = time.perf_counter()
        for step in range(new):
            self.backend.read([[prompt[step % len(prompt)]]] * batch, rows)
        seconds = time.perf_counter() - began
        return {
            "prefill": len(prompt) / prefill_s,
            "first_note_s": first_note_s,
            "decode": batch * new / seconds,
            "peak_mb": _peak_mb(),
        }

    def far(self, position: int, new: int) -> dict[str, Any]:
        """Decoding at a position: its keys and values are whatever memory holds, since time does not depend on them."""
        cache = self.backend.cache(batch=1, capacity=position + new + 1)
        self.backend.read([[7, 8]], cache)
        cache._length = position
        began = time.perf_counter()
        for _ in range(new):
            self.backend.read([[50]], cache)
        return {"ms": 1000 * (time.perf_counter() - began) / new}

    def distributions(self, prompts: list[list[int]], file: str, decoded: bool) -> dict[str, Any]:
        """Log-probabilities of every position; if `decoded`, half of them read at once and half one by one."""
        parts = []
        for ids in prompts:
            half = len(ids) // 2 if decoded else len(ids)
            cache = self.backend.cache(batch=1, capacity=len(ids))
            logits = [self.backend.read([ids[:half]], cache, last=half)]
            logits += [self.backend.read([[id_]], cache) for id_ in ids[half:]]
            parts.append(np.concatenate(logits, axis=1)[0])
        logits_NV = np.concatenate(parts).astype(np.float64)
        logits_NV -= logits_NV.max(axis=1, keepdims=True)
        np.save(file, (logits_NV - np.log(np.exp(logits_NV).sum(axis=1, keepdims=True))).astype(np.float32))
        return {}


def _open(engine: str, model: str, threads: int) -> Any:
    if engine.startswith("onnx"):
        from partimento.export.onnx_folder import prepare
        from partimento.generate.backends.onnx_backend import OnnxBackend

        return OnnxBackend(prepare(model, engine), threads=threads)
    import torch

    from partimento.generate.backends.backend import TorchBackend
    from partimento.model.checkpoint import load

    torch.set_num_threads(threads)
    return TorchBackend(load(model, dtype=getattr(torch, engine.removeprefix("torch-"))).model)


def _peak_mb() -> float:
    """Most memory this process ever held; what `getrusage` says begins with the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def work(engine: str, model: str, threads: int) -> None:
    worker = Worker(engine, model, threads)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request.pop("do"))(**request)
        print(json.dumps(answer), flush=True)


# -- all of them, in turn ---------------------------------------------------------------------------------------------


class Remote:
    """A worker, seen from here."""

    def __init__(self, engine: str, model: str, threads: int) -> None:
        command = again(__file__, "--worker", engine, "--threads", threads, model, ".")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def prompts_of(folder: Path, model: str, *, tokens: int, count: int) -> list[list[int]]:
    """The first tokens of files that are long enough, drawn with seed 0."""
    from partimento import Performance, Tokenizer
    from partimento.errors import UserError
    from partimento.model.checkpoint import load

    tokenizer = Tokenizer(load(model, dtype=None).vocabulary)
    found: list[list[int]] = []
    for path in drawn(folder):
        if len(found) == count:
            return found
        try:
            ids = tokenizer.encode(Performance.from_midi(path), end=False, dim=False)
        except UserError:
            continue
        if len(ids) >= tokens:
            found.append([int(id_) for id_ in ids[:tokens]])
    raise SystemExit(f"{folder} holds too few files of {tokens} tokens")


def prepared(model: str, folder: Path) -> str:
    """The model, or the file of a made-up one."""
    kind, _, size = model.partition(":")
    if kind != "random":
        return model
    import torch

    from partimento.model import checkpoint
    from partimento.model.config import ModelConfig
    from partimento.model.initialisation import random_initialisation
    from partimento.model.transformer import Transformer
    from partimento.tokens.vocabulary import Vocabulary

    path = folder / f"{size}.safetensors"
    vocabulary = Vocabulary.aria()
    with torch.device("meta"):
        made = Transformer(ModelConfig.named(size, vocab_size=len(vocabulary)))
    made.to_empty(device="cpu")
    random_initialisation(made, seed=1)
    checkpoint.save(path, made, vocabulary)
    return str(path)


def llama(arguments: argparse.Namespace) -> dict[str, float]:
    """llama.cpp's own benchmark in the same round: reading the prompt, and new tokens behind one of that length."""
    prompt, new = str(arguments.prompt_tokens), str(arguments.new)
    found = {}
    for name, sizes in ("prefill", ["-p", prompt, "-n", "0"]), ("decode", ["-p", "0", "-n", new, "-d", prompt]):
        command = [arguments.llama_bench, "-m", arguments.gguf, "-r", "1", "-o", "json", "-t", str(arguments.threads)]
        (row,) = json.loads(subprocess.run([*command, *sizes], check=True, capture_output=True, text=True).stdout)
        found[name] = row["avg_ts"]
    return found


def measure(arguments: argparse.Namespace, model: str) -> list[dict[str, Any]]:
    from partimento.export.onnx_folder import prepare

    (prompt,) = prompts_of(arguments.folder, model, tokens=arguments.prompt_tokens, count=1)
    kl_prompts = prompts_of(arguments.folder, model, tokens=KL_TOKENS, count=KL_PROMPTS)
    for engine in arguments.engines:
        if engine.startswith("onnx"):
            prepare(model, engine)  # once and for all; what is measured later is loading
    remotes = {engine: Remote(engine, model, arguments.threads) for engine in arguments.engines}
    facts = {engine: remote.ask("loaded") for engine, remote in remotes.items()}
    samples: dict[str, dict[str, list[float]]] = {}

    def note(engine: str, name: str, value: float) -> None:
        samples.setdefault(engine, {}).setdefault(name, []).append(value)

    for _ in range(arguments.rounds):
        for engine, remote in remotes.items():
            one = remote.ask("speed", prompt=prompt, new=arguments.new, batch=1)
            for name in ("prefill", "first_note_s", "decode"):
                note(engine, name, one[name])
            facts[engine]["peak_mb"] = facts[engine].get("peak_mb", one["peak_mb"])
        for engine, remote in remotes.items():
            note(engine, "decode4", remote.ask("speed", prompt=prompt, new=arguments.new // 4, batch=4)["decode"])
        for engine, remote in remotes.items():
            note(engine, "near", remote.ask("far", position=512, new=arguments.new // 4)["ms"])
            note(engine, "far", remote.ask("far", position=arguments.far, new=arguments.new // 4)["ms"])
        if arguments.llama_bench:
            for name, value in llama(arguments).items():
                note("llama.cpp", name, value)
    if REFERENCE in remotes:
        with tempfile.TemporaryDirectory() as temporary:
            file = f"{temporary}/logs.npy"
            remotes[REFERENCE].ask("distributions", prompts=kl_prompts, file=file, decoded=False)
            exact_NV = np.load(file).astype(np.float64)
            for engine, remote in remotes.items():
                remote.ask("distributions", prompts=kl_prompts, file=file, decoded=engine != REFERENCE)
                facts[engine]["kl"] = float((np.exp(exact_NV) * (exact_NV - np.load(file))).sum(axis=1).mean())
    for remote in remotes.values():
        remote.close()
    medians = {engine: {name: statistics.median(values) for name, values in s.items()} for engine, s in samples.items()}
    return [{"engine": engine, **facts.get(engine, {}), **values} for engine, values in medians.items()]


def report(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> list[str]:
    def shown(form: str) -> Callable[[dict[str, Any]], str]:
        """The row in this form; nothing for what does not apply to it."""

        def show(row: dict[str, Any]) -> str:
            try:
                return form.format(**row)
            except KeyError:
                return ""

        return show

    columns = [
        ("engine", "{engine}"),
        ("batch 1, tokens/s", "{decode:.1f}"),
        ("batch 4, in all", "{decode4:.1f}"),
        ("prefill, tokens/s", "{prefill:.0f}"),
        ("first note, s", "{first_note_s:.2f}"),
        (f"ms a token at 512 / {arguments.far}", "{near:.1f} / {far:.1f}"),
        ("load, s", "{load_s:.1f}"),
        ("peak, loading / in use, MB", "{load_peak_mb:.0f} / {peak_mb:.0f}"),
        ("KL, nats", "{kl:.6f}"),
    ]
    return [
        f"Load average before {arguments.load_average:.1f}. A prompt of {arguments.prompt_tokens} tokens of a real "
        f"performance, {arguments.new} new ones; medians of {arguments.rounds} rounds in which the engines take turns. "
        f"First note: prefill and three tokens. KL: divergence from {REFERENCE}, if that is here, over {KL_PROMPTS} "
        f"real prompts of {KL_TOKENS} tokens.",
        table([name for name, _ in columns], ([shown(form)(row) for _, form in columns] for row in rows)),
    ]


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(
        __file__,
        __doc__,
        quick="{model} {midi} --engines torch-float32 onnx-int8 --rounds 1 --new 8 --prompt-tokens 64 --far 256",
    )
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--engines", nargs="+", choices=ENGINES, default=["torch-float32", "torch-bfloat16", "onnx-int8"]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new", type=int, default=256)
    parser.add_argument("--far", type=int, default=8000, help="position at which decoding is measured once more")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--llama-bench")
    parser.add_argument("--gguf")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.worker:
        work(arguments.worker, arguments.model, arguments.threads)
        return
    arguments.load_average = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        parts = report(arguments, measure(arguments, prepared(arguments.model, Path(temporary))))
    publish(arguments, f"Engines: {Path(arguments.model).name}", *parts)


if __name__ == "__main__":
    main()
