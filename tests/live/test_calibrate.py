"""What is measured is the delay that is there; and a terminal shows what will be played."""

import numpy as np
import pytest

from partimento.errors import UserError
from partimento.live.calibrate import CLICKS, kept, latency_of, measure, recall, remember
from partimento.live.display import COLUMNS, lines
from partimento.live.duet import Duet, Rules
from partimento.live.ports import SOFT, MemoryPorts, Message, control, release, strike
from partimento.live.rehearsal import VirtualClock
from partimento.midi.columns import Note


class Room:
    """Somebody, or a cable, that answers each click after a while; time passes when one waits."""

    def __init__(self, delays: list[float], key: int | None = None) -> None:
        self.clock, self.ports = VirtualClock(), MemoryPorts(wire=self.hear)
        self._delays, self._key = iter(delays), key
        self._due: list[tuple[float, int]] = []

    def hear(self, message: Message) -> None:
        if message.kind == "on":
            self._due.append((self.clock.now() + next(self._delays), self._key or message.number))

    def wait(self, until: float) -> None:
        while self._due and min(self._due)[0] <= until:
            at, key = self._due.pop(self._due.index(min(self._due)))
            self.clock.go_to(max(at, self.clock.now()))
            self.ports.play(strike(key, 50))
            self.ports.play(release(key))
        self.clock.go_to(max(until, self.clock.now()))


def test_a_cable_gives_its_delay_exactly():
    room = Room([0.0123] * CLICKS)
    latency = measure(room.ports, room.clock, room.wait, by_ear=False)
    assert (latency.median_s, latency.spread_s, latency.answered) == (pytest.approx(0.0123), pytest.approx(0), CLICKS)


def test_an_ear_gives_the_median_of_its_taps_on_any_key():
    delays = np.random.default_rng(3).normal(0.08, 0.015, CLICKS).tolist()
    room = Room(delays, key=40)
    latency = measure(room.ports, room.clock, room.wait, by_ear=True)
    assert latency.median_s == pytest.approx(np.median(delays[4:]))
    assert latency.spread_s == pytest.approx(np.subtract(*np.percentile(delays[4:], [75, 25])) / 2)
    with pytest.raises(UserError, match="of 24 clicks 0 were answered"):
        measure(Room(delays, key=40).ports, room.clock, room.wait, by_ear=False)


def test_who_taps_early_has_no_negative_latency_and_silence_is_refused():
    clicks = [float(k) for k in range(10)]
    assert latency_of(clicks, [click - 0.03 for click in clicks]).median_s == 0.0
    with pytest.raises(UserError, match="of 10 clicks 0 were answered; at least 8"):
        latency_of(clicks, [])


def test_every_output_is_remembered_by_itself_until_it_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "new"))
    assert recall("P-125") is None
    for output, seconds in (("P-125", 0.2), ("Clavinova", 0.0), ("P-125", 0.0125)):
        remember(output, seconds)
    assert (recall("P-125"), recall("Clavinova"), recall("P-45")) == (0.0125, 0.0, None)
    assert [file.name for file in kept().parent.iterdir()] == ["latencies.json"]


@pytest.mark.parametrize("text", ["", "[1]", '{"P-125": "soon"}', '{"P-125": 40}', "\xff"])
def test_a_damaged_memory_is_named_and_not_overwritten(tmp_path, monkeypatch, text):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    kept().parent.mkdir()
    kept().write_text(text, encoding="latin-1")
    for use in (lambda: recall("P-125"), lambda: remember("P-125", 0.1)):
        with pytest.raises(UserError, match=r"latencies\.json .* calibrate again"):
            use()
    assert kept().read_text(encoding="latin-1") == text


def test_the_plan_is_shown_before_it_sounds():
    duet = Duet(Rules())
    assert lines(duet, 0.0)[0].startswith("listening")
    for message in (strike(60, 70), release(60), control(SOFT, 127)):
        duet.hear(1.0, message)
    answer = duet.ask(0)
    notes = [
        Note(pitch=pitch, velocity=70, onset_s=onset, duration_s=0.2, instrument=0)
        for pitch, onset in ((60, 1.5), (64, 1.5), (40, 2.5))
    ]
    duet.decided(1.1, number=answer.number, notes=notes)
    state, *roll, last = lines(duet, 1.0)
    assert state.startswith("playing") and last == ""
    shown = {line[:6].strip(): line[8:] for line in roll}
    assert all(len(row) == COLUMNS for row in shown.values())
    assert shown["C4"] == "." * 4 + "2" + "." * (COLUMNS - 5)
    assert shown["C2"].index("1") == 12 and set(shown["C5"]) == {"."}
    duet.tick(1.5)
    assert lines(duet, 1.5)[-1] == "last answer: first note after 0.50 s, 2 notes"
    duet.unplug(1.6)
    assert "cable" in lines(duet, 1.6)[0]
