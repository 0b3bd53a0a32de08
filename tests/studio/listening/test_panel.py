"""A listener by HTTP, as a browser asks: consent, headphones, comparisons; what is told, what is kept, what is not."""

import json
import shutil
import threading
from contextlib import contextmanager

import pytest
import uvicorn

from partimento.evaluate.listening.manifest import Manifest, sound_file
from partimento.evaluate.listening.votes import VOTES, VoteLog, listeners_of, read_events
from partimento.studio.address import configuration, listen
from partimento.studio.gate import LOOPBACK, Gate
from partimento.studio.listening.app import application
from partimento.studio.listening.panel import Panel
from tests.evaluate.listening.world import sounding_study
from tests.studio.serving import ask


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    sounding_study(folder, seconds=0.2)
    return folder


@contextmanager
def serving(folder, **gate):
    """The address of a server on a study."""
    manifest = Manifest.read(folder)
    with VoteLog(folder / VOTES, digest=manifest.digest) as log, listen(LOOPBACK, 0) as listening:
        server = uvicorn.Server(configuration(Gate(application(Panel(folder, manifest, log)), **gate)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"{LOOPBACK}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Browser:
    def __init__(self, address, token=None):
        self.address = address
        self.token = token or self.post("/listeners", consent=True)["token"]

    def post(self, path, *, status=200, **body):
        headers = {"Listener": self.token} if hasattr(self, "token") else {}
        found, answer = ask(self.address, path, json.dumps(body).encode(), **headers)
        assert found == status, answer
        return json.loads(answer)

    def sound(self, name, status=200):
        found, answer = ask(self.address, f"/sounds/{name}", Listener=self.token)
        assert found == status
        return answer

    def pass_headphones(self, manifest, *, right=True):
        """As somebody who knows which sound is which."""
        answers = []
        for k in range(manifest.study.checks.headphones):
            sound = self.sound(str(k))
            (asked,) = (q for q in manifest.headphones if sound_bytes[q.id] == sound)
            answers.append(asked.answer if right else (asked.answer + 1) % 3)
        return self.post("/headphones", answers=answers)

    def vote(self, task, choice="a", **more):
        return self.post("/votes", number=task["number"], choice=choice, heard_a=1.0, heard_b=2.0, **more)


sound_bytes: dict[str, bytes] = {}


@pytest.fixture(scope="module")
def address(study):
    sound_bytes.update({id_: sound_file(study, id_).read_bytes() for id_ in Manifest.read(study).files})
    with serving(study) as address:
        yield address


def listeners(study):
    return listeners_of(read_events(study / VOTES, digest=Manifest.read(study).digest))


def test_a_listener_from_consent_to_the_last_answer(address, study):
    manifest = Manifest.read(study)
    browser = Browser(address)
    assert browser.post("/task") == {"task": "headphones", "questions": 2, "attempt": 1, "attempts": 2}
    task = browser.pass_headphones(manifest)
    heard = []
    while task["task"] == "compare":
        assert task["of"] == 5
        assert browser.post("/task") == task  # asked again, it stays the same
        clips = {browser.sound("a"), browser.sound("b")}
        assert len(clips) == 2 and clips <= set(sound_bytes.values())
        heard.append(clips)
        task = browser.vote(task, "none", reason="both wander")
    assert task == {"task": "done"} and len(set.union(*heard)) == 10
    browser.sound("a", status=404)
    kept = list(listeners(study).values())[-1]
    assert len(kept.trials) == 5 and all(
        t.tied and t.reason == "both wander" and t.heard == (1, 2) for t in kept.trials
    )


def test_two_listeners_at_once_and_one_of_them_in_two_browsers(address, study):
    manifest = Manifest.read(study)
    one, other = Browser(address), Browser(address)
    tasks = [browser.pass_headphones(manifest) for browser in (one, other)]
    again = Browser(address, one.token)
    assert again.post("/task") == tasks[0]
    following = one.vote(tasks[0], "a")
    assert again.vote(tasks[0], "b") == following  # the first answer stays
    assert other.post("/task") == tasks[1]
    found = listeners(study)
    assert sum(len(listener.trials) for listener in found.values()) >= 3
    assert [t.choice for t in list(found.values())[-2].trials] == ["a", None]


def test_whoever_hears_no_tone_twice_is_thanked_and_asked_nothing(address, study):
    browser = Browser(address)
    manifest = Manifest.read(study)
    assert browser.pass_headphones(manifest, right=False)["attempt"] == 2
    assert browser.pass_headphones(manifest, right=False) == {"task": "refused"}
    assert "over" in browser.post("/headphones", status=422, answers=[0, 0])["error"]
    browser.sound("0", status=404)


def test_nothing_tells_who_plays_and_nothing_is_kept_of_who_listens(address, study):
    browser = Browser(address)
    told = json.dumps([browser.post("/task"), json.loads(ask(address, "/study")[1])])
    manifest = Manifest.read(study)
    told += json.dumps(browser.pass_headphones(manifest))
    for secret in (*manifest.study.names, *manifest.prompts, *manifest.files):
        assert secret not in told
    log = (study / VOTES).read_text()
    assert browser.token not in log and "127.0.0.1" not in log and "Python-urllib" not in log


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/listeners", {"consent": False}, "consent"),
        ("/votes", {"number": 0, "choice": "c", "heard_a": 1, "heard_b": 1}, "choice must be a, b or none"),
        ("/votes", {"number": 99, "choice": "a", "heard_a": 1, "heard_b": 1}, "was not asked"),
        ("/votes", {"number": 0, "choice": "a", "heard_a": 1}, "heard_b is missing"),
        ("/votes", {"number": 0, "choice": "a", "heard_a": 1, "heard_b": 1, "ip": "x"}, "no field 'ip'"),
        ("/headphones", {"answers": [0]}, "answers must be 2"),
        ("/headphones", {"answers": [0, 7]}, "0..2"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(address, path, body, said):
    assert said in Browser(address).post(path, status=422, **body)["error"]


def test_strangers_are_refused(address):
    for path in ("/task", "/votes", "/headphones"):
        assert ask(address, path, b"{}")[0] == 401
        assert ask(address, path, b"{}", Listener="guess")[0] == 401
    assert ask(address, "/sounds/a", Listener="guess")[0] == 401
    assert ask(address, "/study", Host="elsewhere.org")[0] == 421
    assert ask(address, "/study", Origin="http://elsewhere.org")[0] == 403


def test_another_server_goes_on_where_the_log_ends(tmp_path, study):
    """By its own log, after the first server is gone; and under a name that a proxy gives it."""
    folder = shutil.copytree(study, tmp_path / "study", ignore=shutil.ignore_patterns(VOTES))
    manifest = Manifest.read(folder)
    with serving(folder) as address:
        browser = Browser(address)
        task = browser.vote(browser.pass_headphones(manifest), "b")
        clips = browser.sound("a"), browser.sound("b")
    with serving(folder, names=["listen.example.org"]) as address:
        assert ask(address, "/study", Host="listen.example.org")[0] == 200
        browser = Browser(address, browser.token)
        assert browser.post("/task") == task
        assert (browser.sound("a"), browser.sound("b")) == clips
        for id_ in manifest.files:
            sound_file(folder, id_).write_bytes(b"another")
        browser.sound("a", status=422)
