"""A panel that only draws and answers: every pair, prompt and side equally often, whoever comes, leaves, comes back."""

from collections import Counter

import numpy as np
import pytest

from partimento.evaluate.listening.assignment import ACTIVE_S, next_trial, total_trials
from partimento.evaluate.listening.votes import apply
from tests.evaluate.listening.world import silent_manifest


class Panel:
    def __init__(self, manifest):
        self.manifest, self.listeners, self.now, self.events = manifest, {}, 0.0, []

    def join(self):
        name = f"listener {len(self.listeners)}"
        self.record({"event": "joined", "listener": name, "time": self.now})
        return name

    def ask(self, name):
        event = next_trial(self.listeners[name], self.listeners, self.manifest, now=self.now)
        if event is not None:
            self.record(event)
        return event

    def vote(self, name, *, attentive=True):
        trial = self.listeners[name].trials[-1]
        choice = "a" if trial.first_is_a == attentive else "b"
        self.record(
            {"event": "voted", "listener": name, "time": self.now, "number": trial.number, "choice": choice}
            | {"reason": "", "heard": [20, 20]}
        )

    def record(self, event):
        self.events.append(event)
        apply(event, self.listeners)

    def counted(self):
        """Votes of the attentive: by pair and prompt, and how often the pair's first was A."""
        votes = [v for one in self.listeners.values() if one.attentive(self.manifest.study) for v in one.votes]
        return Counter((v.first, v.second, v.prompt) for v in votes), votes


def spread(cells, manifest):
    counts = [cells[(*pair, prompt)] for pair in manifest.study.pairs() for prompt in manifest.prompts]
    return max(counts) - min(counts)


def sat_through(panel, name, *, attentive=True):
    while panel.ask(name) is not None:
        panel.vote(name, attentive=attentive)


@pytest.mark.parametrize("reference", [True, False])
def test_one_after_the_other_all_cells_and_sides_are_level(reference):
    panel = Panel(silent_manifest(reference=reference, others=3))
    for _ in range(12):
        sat_through(panel, panel.join())
    cells, votes = panel.counted()
    assert sum(cells.values()) == 12 * 8 and spread(cells, panel.manifest) <= 1
    for pair in panel.manifest.study.pairs():
        sides = [v.first_is_a for v in votes if (v.first, v.second) == pair]
        assert abs(2 * sum(sides) - len(sides)) <= len(panel.manifest.prompts)


def test_many_at_once_who_leave_come_back_or_do_not_listen_leave_no_holes():
    rng = np.random.default_rng(2)
    panel = Panel(silent_manifest())
    here = [panel.join() for _ in range(10)]
    careless = set(here[:2])
    for _ in range(1500):
        panel.now += 20
        name = here[int(rng.integers(len(here)))]
        if rng.random() < 0.01 and len(panel.listeners) < 40:
            here.remove(name)  # closes the page, a comparison open
            here.append(panel.join())
        elif panel.ask(name) is not None or panel.listeners[name].trials[-1].choice is None:
            panel.vote(name, attentive=name not in careless)
        elif len(panel.listeners) < 40:
            here.remove(name)
            here.append(panel.join())
    panel.now += 2 * ACTIVE_S
    for _ in range(4):
        sat_through(panel, panel.join())
    cells, _ = panel.counted()
    assert sum(cells.values()) > 150 and spread(cells, panel.manifest) <= 2


def test_nobody_hears_a_clip_twice_and_attention_is_checked_as_often_as_said():
    panel = Panel(silent_manifest(each=16, attention=3))
    for _ in range(4):
        name = panel.join()
        sat_through(panel, name)
        trials = panel.listeners[name].trials
        heard = [id_ for trial in trials for id_ in (trial.a, trial.b)]
        assert len(trials) == total_trials(panel.manifest) == 19
        assert len(set(heard)) == len(heard)
        places = [trial.number for trial in trials if trial.attention is not None]
        assert len(places) == 3 and places[0] > 0
        assert [trials[k].attention for k in places] == [0, 1, 2]


def test_the_clips_of_a_system_are_heard_equally_often():
    panel = Panel(silent_manifest(prompts=2, others=2, samples=4, each=4))
    for _ in range(16):
        sat_through(panel, panel.join())
    _, votes = panel.counted()
    uses = Counter(id_ for v in votes for id_ in (v.a, v.b) if id_.startswith("system 0"))
    assert len(uses) == 8 and max(uses.values()) - min(uses.values()) <= 1


def test_a_study_without_clips_left_ends_early_and_says_so():
    panel = Panel(silent_manifest(prompts=2, others=1, samples=1, each=2, attention=0))
    name = panel.join()
    sat_through(panel, name)
    assert len(panel.listeners[name].trials) == 2 and panel.ask(name) is None


def test_the_same_log_draws_the_same():
    panels = [Panel(silent_manifest()) for _ in range(2)]
    for panel in panels:
        for _ in range(3):
            sat_through(panel, panel.join())
    assert panels[0].events == panels[1].events
    again = {}
    for event in panels[0].events[:-9]:
        apply(event, again)
    name = "listener 2"
    drawn = next_trial(again[name], again, panels[0].manifest, now=0.0)
    told = [e for e in panels[0].events if e["event"] == "asked" and e["listener"] == name]
    answered = len(again[name].trials)
    assert drawn is None or drawn == told[answered]
