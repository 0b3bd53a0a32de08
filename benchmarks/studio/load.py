"""The studio's server under load: listeners who must not starve, idle sockets, clients that vanish, nonsense.

python -m benchmarks.studio.load --clients 8 --seconds 60 -o load.md

It starts `partimento studio` itself, on a free port, and watches it in /proc. A listener starts playing with its first
note, says every second where it is, and starves whenever it wants to play what is not decided yet.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from benchmarks.common import Program, publish, table
from partimento.midi.performance import Performance
from partimento.studio.music import columns

ROOT = Path(__file__).parents[2]
PROMPT_SECONDS = 15.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Listener:
    """What one client went through."""

    name: str
    first_note_s: float | None = None
    first_note_cpu_s: float | None = None
    told_wait_s: float | None = None
    waited_s: float | None = None
    least_ahead_s: float = float("inf")
    starved_s: float = 0.0
    notes: int = 0
    delays_ms: list[float] = field(default_factory=list)


class Server:
    """The process, as /proc sees it."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.address = pid, f"ws://127.0.0.1:{port}/socket"

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def status(self) -> dict[str, int]:
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        values = {name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in ("VmRSS", "Threads")}
        return {
            "resident_mb": values["VmRSS"] // 1024,
            "threads": values["Threads"],
            "files": len(list(Path(f"/proc/{self.pid}/fd").iterdir())),
        }


@contextmanager
def server(arguments: list[str]) -> Iterator[Server]:
    command = [sys.executable, "-m", "partimento", "studio", "--no-browser", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"studio: http://127.0.0.1:(\d+)/", line):
                break
        else:
            raise SystemExit("the server did not start")
        try:
            yield Server(process.pid, int(found[1]))
        finally:
            process.terminate()


async def listen(server: Server, name: str, music: dict[str, Any], seconds: float, **settings: Any) -> Listener:
    """Hears a continuation from its first note to its last, at the speed at which it is played."""
    heard = Listener(name)
    async with connect(server.address, max_size=None) as socket:
        await socket.recv()
        asked = {"seconds": seconds, **settings}
        request = {"type": "continue", "id": "a", "prompt": {**music, "end": PROMPT_SECONDS}, "settings": asked}
        began, cpu = time.time(), server.cpu_s()
        await socket.send(json.dumps({**request, "heard": PROMPT_SECONDS}))
        started: float | None = None
        until, over = 0.0, False

        def playhead() -> float:
            return 0.0 if started is None else first + time.time() - started

        async def report() -> None:
            while True:
                await asyncio.sleep(1.0)
                if started is not None:
                    await socket.send(json.dumps({"type": "heard", "id": "a", "seconds": playhead()}))

        reporting = asyncio.create_task(report())
        first = 0.0
        while not over:
            try:
                message = json.loads(await asyncio.wait_for(socket.recv(), 0.05))
            except TimeoutError:
                message = {"type": "nothing"}
            if message["type"] == "state" and message["state"] == "queued" and heard.told_wait_s is None:
                heard.told_wait_s = message["seconds"]
            elif message["type"] == "state" and message["state"] == "reading":
                heard.waited_s = time.time() - began
            elif message["type"] == "notes":
                heard.delays_ms.append(1000 * (time.time() - message["at"]))
                if started is None:
                    started, first = time.time(), message["notes"]["onset"][0]
                    heard.first_note_s, heard.first_note_cpu_s = started - began, server.cpu_s() - cpu
                heard.notes += len(message["notes"]["onset"])
                until = message["until"]
            elif message["type"] in ("done", "error"):
                over = True
            if started is not None and not over:
                heard.least_ahead_s = min(heard.least_ahead_s, until - playhead())
                if until < playhead():
                    waits = playhead() - until
                    started, heard.starved_s = started + waits, heard.starved_s + waits
        reporting.cancel()
    return heard


async def crowd(
    server: Server, clients: int, seconds: float, prompts: dict[str, dict[str, Any]], settings: dict[str, Any]
) -> dict[str, Any]:
    names = [list(prompts)[number % len(prompts)] for number in range(clients)]
    cpu, began = server.cpu_s(), time.time()
    watched: list[dict[str, int]] = []

    async def watch() -> None:
        while True:
            watched.append(server.status())
            await asyncio.sleep(1.0)

    watching = asyncio.create_task(watch())
    heard = await asyncio.gather(
        *(listen(server, name, prompts[name], seconds, seed=number, **settings) for number, name in enumerate(names))
    )
    watching.cancel()
    delays = sorted(delay for one in heard for delay in one.delays_ms)
    resident = [facts["resident_mb"] for facts in watched]
    return {
        "clients": [
            {
                key: round(value, 3) if isinstance(value, float) else value
                for key, value in vars(one).items()
                if key != "delays_ms"
            }
            for one in heard
        ],
        "starved": sum(one.starved_s > 0 for one in heard),
        "delay_ms": {"median": round(statistics.median(delays), 1), "p95": round(delays[int(0.95 * len(delays))], 1)},
        "cores": round((server.cpu_s() - cpu) / (time.time() - began), 2),
        "seconds": round(time.time() - began, 1),
        "resident_mb": resident[:: max(1, len(resident) // 12)],
        "threads": max(facts["threads"] for facts in watched),
    }


async def idle(server: Server, sockets: int, seconds: float) -> dict[str, Any]:
    held = [await connect(server.address) for _ in range(sockets)]
    await asyncio.sleep(1.0)
    cpu, began = server.cpu_s(), time.time()
    await asyncio.sleep(seconds)
    share = (server.cpu_s() - cpu) / (time.time() - began)
    for socket in held:
        await socket.close()
    return {"sockets": sockets, "share_of_a_core": round(share, 4)}


async def come_and_go(server: Server, times: int, music: dict[str, Any]) -> dict[str, Any]:
    before = server.status()
    request = json.dumps({"type": "continue", "id": "a", "prompt": music, "settings": {"seconds": 60}})
    for number in range(times):
        socket = await connect(server.address, max_size=None)
        await socket.send(request)
        await asyncio.sleep(0.02 * (number % 3))
        if number % 2:
            await socket.close()
        else:
            socket.transport.abort()
    await asyncio.sleep(3.0)
    return {"before": before, "after": server.status()}


async def nonsense(server: Server, messages: int, music: dict[str, Any]) -> dict[str, Any]:
    chance = random.Random(0)
    whole = [
        json.dumps({"type": "continue", "id": "a", "prompt": music, "settings": {"seconds": 0.5, "candidates": 1}}),
        json.dumps({"type": "fill", "id": "b", "prompt": music, "start": 1, "end": 2}),
        json.dumps({"type": "heard", "id": "a", "seconds": 3}),
        json.dumps({"type": "stop", "id": "a"}),
    ]
    answered = {"error": 0, "other": 0}
    async with connect(server.address, max_size=None) as socket:

        async def count() -> None:
            async for text in socket:
                answered["error" if json.loads(text)["type"] == "error" else "other"] += 1

        counting = asyncio.create_task(count())
        for _ in range(messages):
            text = chance.choice(whole)
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(text))
                text = text[:at] + chance.choice('{}[],:"0-e') + text[at + chance.randrange(2) :]
            await socket.send(text if chance.random() < 0.95 else os.urandom(20))
        await asyncio.sleep(3.0)
        counting.cancel()
    async with connect(server.address) as socket:
        hello = json.loads(await socket.recv())
    return {"messages": messages, "answers": answered, "alive": hello["type"] == "hello"}


async def measure(server: Server, options: Namespace) -> dict[str, Any]:
    """Everything, one after another; what is known is said at once on stderr."""
    folder = options.prompts or ROOT / "examples"
    prompts = {path.stem: columns(Performance.from_midi(path)) for path in sorted(folder.glob("*.mid"))}
    some = next(iter(prompts.values()))
    result: dict[str, Any] = {"load": [round(value, 1) for value in os.getloadavg()]}

    def found(name: str, value: Any) -> None:
        result[name] = value
        print(name, json.dumps(value), file=sys.stderr)

    found("alone", [vars(await listen(server, name, music, 5.0)) for name, music in prompts.items()])
    found("idle", await idle(server, options.sockets, options.idle))
    found("come_and_go", await come_and_go(server, options.aborts, some))
    found("nonsense", await nonsense(server, options.messages, some))
    settings = {} if options.candidates is None else {"candidates": options.candidates}
    found("crowd", await crowd(server, options.clients, options.seconds, prompts, settings))
    found("load_after", [round(value, 1) for value in os.getloadavg()])
    return result


def main(words: Sequence[str] | None = None) -> None:
    """Measures and writes the page."""
    small = "--model {model} --prompts {midi} --clients 2 --seconds 2 --sockets 5 --idle 1 --aborts 5 --messages 100"
    program = Program(__file__, __doc__, quick=small)
    program.add_argument("--model", default="bundled")
    program.add_argument("--prompts", type=Path, help="a folder of MIDI files; the examples where none is given")
    program.add_argument("--clients", type=int, default=8)
    program.add_argument("--seconds", type=float, default=60.0)
    program.add_argument("--candidates", type=int, help="the model's own number where none is given")
    program.add_argument("--sockets", type=int, default=50)
    program.add_argument("--idle", type=float, default=20.0, help="seconds that the idle sockets are watched")
    program.add_argument("--aborts", type=int, default=200)
    program.add_argument("--messages", type=int, default=5000)
    options = program.parse_args(words)
    with server(["--model", options.model]) as running:
        result = asyncio.run(measure(running, options))
    crowd_ = result["crowd"]
    numbers = ("first_note_s", "first_note_cpu_s", "told_wait_s", "waited_s", "least_ahead_s", "starved_s", "notes")
    cost = crowd_["cores"] * crowd_["seconds"] / (options.clients * options.seconds)
    before, after = result["come_and_go"]["before"], result["come_and_go"]["after"]
    publish(
        options,
        "The studio's server under load",
        f"Load averages before and after: {result['load']}, {result['load_after']}. Prompts are the first 15 s.",
        "## One listener at a time",
        table(
            ["prompt", "first note, s", "processor time until then, s"],
            [(one["name"], _said(one["first_note_s"]), _said(one["first_note_cpu_s"])) for one in result["alone"]],
        ),
        f"## {options.clients} listeners, {options.seconds:.0f} s each",
        table(
            ["prompt", *(name.replace("_s", ", s").replace("_", " ") for name in numbers)],
            [(one["name"], *(_said(one[name]) for name in numbers)) for one in crowd_["clients"]],
        ),
        f"Starved: {crowd_['starved']} of {options.clients}. From the decision to the client: median "
        f"{crowd_['delay_ms']['median']} ms, 95th percentile {crowd_['delay_ms']['p95']} ms. The server had "
        f"{crowd_['cores']} cores for {crowd_['seconds']} s: {cost:.2f} s of them for a second of music. "
        f"Resident, MB: {crowd_['resident_mb']}; "
        f"threads: {crowd_['threads']}.",
        "## Others",
        table(
            ["what", "found"],
            [
                (f"{options.sockets} idle sockets", f"{100 * result['idle']['share_of_a_core']:.2f} % of a core"),
                (f"{options.aborts} connects and aborts", f"before {before}, after {after}"),
                (f"{options.messages} broken messages", f"answers {result['nonsense']['answers']}, then a new client"),
            ],
        ),
    )


def _said(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, int) else f"{value:.2f}"


if __name__ == "__main__":
    main()
