"""`partimento duet`: play in turns with a model, on a MIDI instrument.

Knows the flags, and what a terminal shows. Refuses to know how turns are taken (`partimento.live`).

    partimento duet --hand-over silence
    partimento duet --list
    partimento duet --replay nocturne.mid --hand-over-at 10,20,30
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Engine, Model, Seed, VerbOptions
from partimento.commands.common.reading import read_midi
from partimento.errors import UserError

if TYPE_CHECKING:
    from partimento.live.duet import Duet, Rules
    from partimento.live.hand_over import HandOver
    from partimento.live.mido_ports import MidoPorts
    from partimento.live.partner import Partner
    from partimento.live.plan import Due
    from partimento.live.rehearsal import FileHuman
    from partimento.live.stage import MonotonicClock

_EVERY_S = 10.0
_SHOWN_S = 0.1
_WATCHED_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Play in turns with a model: it listens, you hand over, it answers, you may interrupt it at any moment.

    Needs a MIDI instrument and `pip install partimento[live]`; --replay needs neither (docs/duet.md).
    """

    in_: Annotated[str | None, tyro.conf.arg(name="in")] = None
    """The MIDI input: its name or a part of it (the first one unless given)."""
    out: str | None = None
    """The MIDI output (unless given, that of the same instrument)."""
    list: bool = False
    """Say which inputs and outputs there are."""
    hand_over: Literal["pedal", "silence", "key", "bars"] = "pedal"
    """The sign: the left or middle pedal; silence; a key; so many bars. Enter is one too."""
    silence: float = 1.5
    """With --hand-over silence: for so many seconds no key is down."""
    key: int = 21
    """With --hand-over key: this key, by its MIDI number (21 is the lowest of 88; 36 of 61)."""
    turn_bars: int = 4
    """With --hand-over bars: so many bars for each, counted from your first note."""
    beats: int = 4
    """Beats of a bar."""
    tempo: float = 100.0
    """Beats a minute."""
    answer_seconds: float | None = None
    """How long an answer lasts (unless given, as long as your turn; bars: as many)."""
    model: Model = "bundled"
    engine: Engine = "auto"
    candidates: int | None = None
    """Of so many continuations the best goes on (unless given, the model's own, but at most 4)."""
    seed: Seed = 0
    latency_ms: float | None = None
    """Answers leave so much earlier than they are to sound (unless given, what --calibrate found)."""
    calibrate: bool = False
    """Measure that, and remember it for this output: tap a key with the clicks that you hear."""
    loopback: bool = False
    """With --calibrate: the output is wired to the input, nobody has to tap."""
    replay: Path | None = None
    """Rehearse without an instrument: this MIDI file plays you; prints latencies."""
    hand_over_at: str | None = None
    """With --replay: it hands over at these seconds of the file, such as 10,20,30 (every 10 s unless given)."""
    interrupt: float | None = None
    """With --replay: it interrupts each answer so many seconds after its first note."""
    real_time: bool = False
    """With --replay: on the real clock, with all threads, instead of as fast as the model goes."""

    def __post_init__(self) -> None:
        if self.loopback and not self.calibrate:
            raise UserError("--loopback says how to --calibrate; give both")
        if self.replay is None and (self.hand_over_at, self.interrupt, self.real_time) != (None, None, False):
            raise UserError("--hand-over-at, --interrupt and --real-time are for --replay FILE; give it")
        if self.interrupt is not None and not 0 <= self.interrupt <= 600:
            raise UserError(f"--interrupt must lie in 0..600 s, not {self.interrupt}")
        if sum([self.list, self.calibrate, self.replay is not None]) > 1:
            raise UserError("--list, --calibrate and --replay are three things to do; give one")


def main(argv: list[str]) -> None:
    """Run the verb with the arguments after its name."""
    options = parse(Options, argv, verb="duet")
    if options.list:
        _list(options)
    elif options.calibrate:
        _calibrate(options)
    else:
        rules = _rules(options)  # before anything slow
        if options.replay is not None:
            _replay(options, options.replay, rules)
        else:
            _play(options, rules)


def _hand_over(options: Options) -> HandOver:
    from partimento.live.hand_over import HandOver

    return HandOver(
        sign=options.hand_over,
        silence_s=options.silence,
        key=options.key,
        bars=options.turn_bars,
        beats=options.beats,
        tempo=options.tempo,
    )


def _rules(options: Options) -> Rules:
    from partimento.live.duet import Rules

    latency_s = (options.latency_ms or 0.0) / 1000
    return Rules(hand_over=_hand_over(options), seconds=options.answer_seconds, latency_s=latency_s)


def _ready(options: Options, rules: Rules) -> tuple[Duet, Partner]:
    """The model, warm, and rules that fit how fast it is here."""
    from partimento.generate.engine import Engine as MusicEngine
    from partimento.live.duet import Duet
    from partimento.live.partner import Partner

    engine = MusicEngine.load(options.model, engine=options.engine, say=options.say)
    partner = Partner(engine, candidates=options.candidates, seed=options.seed)
    return Duet(dataclasses.replace(rules, lead_s=partner.rehearse())), partner


def _list(options: Options) -> None:
    from partimento.live.mido_ports import names

    inputs, outputs = names()
    listed = [f"in   {name}" for name in inputs] + [f"out  {name}" for name in outputs]
    options.report({"inputs": inputs, "outputs": outputs}, *(listed or ["there are no MIDI ports"]))


def _ports(options: Options) -> MidoPorts:
    from partimento.live.mido_ports import MidoPorts

    ports = MidoPorts(input_name=options.in_, output_name=options.out)
    options.say(f"from {ports.input_name}, to {ports.output_name}")
    return ports


def _calibrate(options: Options) -> None:
    from partimento.live.calibrate import measure, remember
    from partimento.live.mido_ports import stem
    from partimento.live.stage import MonotonicClock

    ports, clock = _ports(options), MonotonicClock()
    if not options.loopback:
        options.say("tap any key together with each click that you hear; the first four are to find the beat")
    try:
        latency = measure(
            ports, clock, lambda until: time.sleep(max(0.0, until - clock.now())), by_ear=not options.loopback
        )
    finally:
        ports.close()
    median_ms, spread_ms = 1000 * latency.median_s, 1000 * latency.spread_s
    options.report(
        {"latency_ms": median_ms, "spread_ms": spread_ms, "answered": latency.answered},
        f"{median_ms:.0f} ms, give or take {spread_ms:.0f} ({latency.answered} clicks)",
    )
    remember(stem(ports.output_name), latency.median_s)
    options.say(f"remembered for {stem(ports.output_name)}: partimento duet takes it from now on")


def _calibrated(options: Options, rules: Rules, output: str) -> Rules:
    """With what was once measured of this output, unless a latency is given."""
    from partimento.live.calibrate import recall
    from partimento.live.mido_ports import stem

    seconds = recall(stem(output)) if options.latency_ms is None else None
    if seconds is None:
        return rules
    options.say(
        f"answers leave {1000 * seconds:.0f} ms early, as --calibrate found for {stem(output)} (or --latency-ms)"
    )
    return dataclasses.replace(rules, latency_s=seconds)


def _play(options: Options, rules: Rules) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from partimento.live.display import lines
    from partimento.live.stage import MonotonicClock, Stage

    ports = _ports(options)
    rules = _calibrated(options, rules, ports.output_name)
    duet, partner = _ready(options, rules)
    clock, console = MonotonicClock(), Console(stderr=True)
    options.say(f"to hand over, {rules.hand_over.describe()}; Ctrl-C ends it")
    shown = Live(console=console, auto_refresh=False) if console.is_terminal and not options.quiet else None
    ends = contextlib.suppress(KeyboardInterrupt)
    with ends, Stage(duet, partner, ports, clock) as stage, shown or contextlib.nullcontext():
        threading.Thread(target=_read_keys, args=(stage.sign,), daemon=True).start()
        watched = 0.0
        while True:
            time.sleep(_SHOWN_S)
            if clock.now() - watched >= _WATCHED_S:
                watched = clock.now()
                stage.watch()
            if shown is not None:
                seen: list[str] = []
                stage.look(lambda duet, now, seen=seen: seen.extend(lines(duet, now)))  # type: ignore[misc]
                shown.update(Text("\n".join(seen)), refresh=True)
    _tell(options, duet, {"lead_s": duet.rules.lead_s})


def _read_keys(sign: Callable[[], None]) -> None:
    """Enter hands over, or takes back."""
    for _ in sys.stdin:
        sign()


def _replay(options: Options, file: Path, rules: Rules) -> None:
    from partimento.live.rehearsal import FileHuman, VirtualClock, rehearse
    from partimento.live.stage import MonotonicClock

    music = read_midi(file, strict=False)
    moments = _moments(options.hand_over_at, music.seconds, rules)
    human = FileHuman(
        music,
        hand_overs=moments,
        how=rules.hand_over,
        interrupt_s=options.interrupt,
    )
    duet, partner = _ready(options, rules)
    facts: dict[str, float] = {"lead_s": duet.rules.lead_s}
    if options.real_time:
        facts |= _on_stage(duet, partner, human, MonotonicClock())
    else:
        shown = 0
        with options.counted("answers", total=len(moments) or None) as advance:

            def show(_at: float, _due: Due) -> None:
                nonlocal shown
                advance(len(duet.turns) - shown)
                shown = len(duet.turns)

            rehearse(duet, partner, human, VirtualClock(), on_sent=show)
    _tell(options, duet, facts)


def _tell(options: Options, duet: Duet, facts: dict[str, float]) -> None:
    from partimento.live.rehearsal import latencies

    facts |= latencies(duet.turns)
    told = []
    for number, turn in enumerate(duet.turns, 1):
        first = "no note" if turn.sent is None else f"first note after {turn.sent - turn.handed_over:.3f} s"
        late = f", late by {turn.slips_s:.2f} s" if turn.slips_s else ""
        told.append(f"{number:3}  at {turn.handed_over:7.2f} s  {first}, {turn.notes} notes{late}")
    options.report(facts, *told, "  ".join(f"{name} {value:.4g}" for name, value in facts.items()))


def _on_stage(duet: Duet, partner: Partner, human: FileHuman, clock: MonotonicClock) -> dict[str, float]:
    import numpy as np

    from partimento.live.ports import MemoryPorts
    from partimento.live.stage import Stage, silent

    with Stage(duet, partner, MemoryPorts(), clock, human=human) as stage:
        stage.wait_until(lambda duet: human.over and silent(duet))
    late_ms = 1000 * np.array(stage.errors_s or [0.0])
    return {"late_p99_ms": float(np.percentile(late_ms, 99)), "late_worst_ms": float(late_ms.max())}


def _moments(given: str | None, seconds: float, rules: Rules) -> list[float]:
    if rules.hand_over.sign == "bars":
        return []
    if given is None:
        moments = [_EVERY_S * k for k in range(1, int(seconds // _EVERY_S) + 1)]
        return moments or [seconds]
    try:
        return [float(word) for word in given.split(",")]
    except ValueError:
        raise UserError(f"--hand-over-at takes seconds such as 10,20,30, not {given!r}") from None
