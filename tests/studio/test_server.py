"""The server over real sockets: it makes what the engine makes, whoever else is there, and nothing is left behind."""

import http.client
import json
import os
import random
import threading
import time
from itertools import pairwise

import pytest

from partimento import Performance, Settings
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.generate.decode.sampling import Sampling
from partimento.studio.music import columns
from partimento.tokens.notes import Notes
from tests.generate.generate_music import measured_engine, prompt
from tests.studio.serving import GIVEN, Client, ask, served

WILD = {"temperature": 1.0, "min_p": 0.0}
SAMPLING = Sampling(temperature=1.0, min_p=0.0)


@pytest.fixture(scope="module")
def engine():
    return measured_engine()


@pytest.fixture(scope="module")
def address(engine):
    with served(engine, opened=prompt(5)) as address:
        yield address


def made(engine, **asked):
    """What the engine makes by itself."""
    settings = Settings(**{"seconds": 4.0, "candidates": 2, "sampling": SAMPLING} | asked)
    return [columns(one.with_pedal().generated) for one in engine.continue_(prompt(), settings=settings)]


def test_a_take_is_what_the_engine_makes_and_is_told_as_it_comes(address, engine):
    with Client(address) as client:
        assert client.hello["protocol"] == 1
        assert client.hello["model"]["parameters"] == engine.backend.config.parameters
        client.continue_("a", seconds=4, candidates=2, seed=3, variations=2, **WILD)
        told = list(client.until("done", "a"))
    takes = [message["music"] for message in told if message["type"] == "take"]
    assert takes == made(engine, seed=3, variations=2)
    for variation, music in enumerate(takes):
        streamed = [m for m in told if m["type"] == "notes" and m["variation"] == variation]
        for name in ("onset", "pitch", "velocity", "sounding_end"):
            assert [value for m in streamed for value in m["notes"][name]] == music["notes"][name]
        untils = [m["until"] for m in streamed]
        assert untils == sorted(untils)
        for before, after in pairwise(streamed):
            assert min(after["notes"]["onset"]) >= before["until"] - 1e-3
    done = told[-1]
    given = {"seconds": 4.0, "seed": 3, "variations": 2, "candidates": 2, **WILD}
    assert done["settings"] == {**given, "end": False, "density": 1.0, "loudness": 1.0}
    assert [message["state"] for message in told if message["type"] == "state"] == ["reading", "running"]


def test_neighbours_change_nothing(address, engine):
    asked = [{"seed": seed, "candidates": 1 + seed % 3, "variations": 1 + seed % 2} for seed in range(6)]
    alone = [made(engine, **one) for one in asked]
    clients = [Client(address) for _ in asked]
    for client, one in zip(clients, asked, strict=True):
        client.continue_("a", seconds=4, **one, **WILD)
        with Client(address) as aborted:
            aborted.continue_("x", seconds=100, **WILD)
    assert [client.takes("a") for client in clients] == alone
    for client in clients:
        client.close()


def test_an_uploaded_file_is_a_prompt_and_so_is_its_music(address):
    given = prompt(30)
    status, body = ask(address, "/performances?title=thirty.mid", given.to_midi())
    uploaded = json.loads(body)
    assert (status, uploaded["title"], uploaded["seconds"]) == (200, "thirty.mid", round(given.seconds, 6))
    assert len(uploaded["tokens"]) == 30 and uploaded["tokens"] == sorted(uploaded["tokens"])
    music = uploaded["music"]
    with Client(address) as client:
        settings = {"seconds": 4, "seed": 1, **WILD}
        client.send(
            type="continue", id="a", prompt={"performance": uploaded["performance"], "end": 6.0}, settings=settings
        )
        by_name = list(client.until("done"))
        client.send(type="continue", id="b", prompt={**music, "end": 6.0}, settings=settings)
        by_music = list(client.until("done"))
    (first,), (second,) = ([m for m in told if m["type"] == "take"] for told in (by_name, by_music))
    assert first["music"] == second["music"]
    assert first["prompt_tokens"] == uploaded["tokens"][sum(onset < 6.0 for onset in music["notes"]["onset"]) - 1]


def test_stop_keeps_what_was_decided(address):
    with Client(address) as client:
        client.continue_("a", seconds=300, candidates=1, **WILD)
        heard = [message for message in client.until("notes", "a") if message["type"] == "notes"]
        client.send(type="stop", id="a")
        rest = list(client.until("done", "a"))
    assert rest[-1]["stopped"]
    streamed = [m["notes"] for m in [*heard, *rest] if m["type"] == "notes"]
    (take,) = [m["music"]["notes"] for m in rest if m["type"] == "take"]
    assert [onset for notes in streamed for onset in notes["onset"]] == take["onset"]


def test_who_plays_in_turns_is_answered_from_the_present_on_and_keeps_what_was_heard(address):
    end = prompt().seconds + 3.0
    with Client(address) as client:
        settings = {"seconds": 300, "candidates": 3, "seed": 2, **WILD}
        client.send(type="continue", id="a", prompt={**GIVEN, "end": end}, settings=settings, heard=end, at_once=True)
        heard = [message for message in client.until("notes", "a") if message["type"] == "notes"]
        client.send(type="stop", id="a")
        rest = list(client.until("done", "a"))
    streamed = [onset for m in [*heard, *rest] if m["type"] == "notes" for onset in m["notes"]["onset"]]
    (take,) = [m["music"]["notes"]["onset"] for m in rest if m["type"] == "take"]
    assert streamed == take and len(heard[0]["notes"]["onset"]) == 1
    assert end <= take[0] <= end + 0.4 + 1e-6
    assert heard[0]["until"] >= end


def test_a_take_sleeps_when_it_is_far_ahead_of_its_listener(address):
    with Client(address) as client:
        client.continue_("a", seconds=60, heard=5.0, candidates=1, **WILD)
        told = list(client.until("state", "a"))
        while told[-1].get("state") != "asleep":
            told += client.until("state", "a")
        ahead = [m["ahead"] for m in told if m["type"] == "notes"]
        assert ahead[-1] >= 15.0 and all(one < 15.0 for one in ahead[:-1])
        assert json.loads(ask(address, "/status")[1])["rows"] == 1
        client.send(type="heard", id="a", seconds=1000.0)
        assert [m["state"] for m in client.until("done", "a") if m["type"] == "state"] == ["running"]


def test_what_cannot_be_is_said_and_the_others_go_on(address):
    with Client(address) as client:
        client.continue_("good", seconds=4, candidates=1, **WILD)
        client.continue_("good", seconds=8)
        client.socket.send(b"binary")
        client.socket.send("nonsense")
        client.continue_("wish", candidates=1, density=2.0)
        client.send(type="fill", id="fill", prompt=GIVEN, start=1, end=2)
        client.send(type="continue", id="gone", prompt={"performance": "unknown"})
        client.send(type="continue", id="odd", prompt={}, settings={})
        client.send(type="stop", id="never")
        told = list(client.until("done", "good"))
    errors = {message["id"]: message["message"] for message in told if message["type"] == "error"}
    assert set(errors) == {None, "wish", "fill", "gone", "odd"}
    assert "candidates" in errors["wish"] and "cannot fill" in errors["fill"] and "upload it again" in errors["gone"]
    assert len([m for m in told if m["type"] == "error" and m["id"] is None]) == 3


def test_two_hundred_that_come_and_go_leave_nothing(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Client(address) as client:  # the batch's threads are there
        client.continue_("a", seconds=1, candidates=1, **WILD)
        client.takes("a")
    threads = threading.active_count()
    for number in range(200):
        client = Client(address)
        client.continue_("a", seconds=100, candidates=2, **WILD)
        if number % 3:
            next(client.until("state"))
        if number % 2:
            client.close()
        else:
            client.vanish()
    until = time.monotonic() + 20
    nothing = {"clients": 0, "takes": 0, "rows": 0, "waiting": 0}
    while (facts := json.loads(ask(address, "/status")[1])) != nothing and time.monotonic() < until:
        time.sleep(0.05)
    assert facts == nothing
    while threading.active_count() > threads and time.monotonic() < until:
        time.sleep(0.05)  # those of the clients of this test
    assert threading.active_count() <= threads
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["mid", "events"])
def test_who_hangs_up_on_a_request_ends_its_take(address, form):
    def takes() -> int:
        return json.loads(ask(address, "/status")[1])["takes"]

    connection = http.client.HTTPConnection(address)
    connection.request("POST", f"/continue?seconds=600&candidates=1&format={form}", prompt().to_midi())
    until = time.monotonic() + 20
    while not takes() and time.monotonic() < until:
        time.sleep(0.01)
    assert takes() == 1
    connection.close()
    while takes() and time.monotonic() < until:
        time.sleep(0.01)
    assert takes() == 0


def test_fuzzed_messages_are_answered_or_ignored(address):
    chance = random.Random(0)
    whole = [
        json.dumps({"type": "continue", "id": "a", "prompt": GIVEN, "settings": {"seconds": 0.5, "candidates": 1}}),
        json.dumps({"type": "fill", "id": "b", "prompt": {"performance": "x"}, "start": 1, "end": 2}),
        json.dumps({"type": "heard", "id": "a", "seconds": 3}),
        json.dumps({"type": "stop", "id": "a"}),
    ]
    with Client(address) as client:
        reader = threading.Thread(target=lambda: [None for _ in client.socket], daemon=True)
        reader.start()
        for _ in range(5000):
            text = chance.choice(whole)
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(text))
                cut, added = chance.choice(
                    [(1, ""), (0, chance.choice('{}[],:"0-e')), (1, chr(chance.randrange(32, 300)))]
                )
                text = text[:at] + added + text[at + cut :]
            client.socket.send(text if chance.random() < 0.95 else os.urandom(20))
        with Client(address) as other:
            other.continue_("a", seconds=2, candidates=1, **WILD)
            assert other.takes("a")
    reader.join()


def test_over_http_it_is_the_same_music(address, engine):
    data = prompt().to_midi()
    status, body = ask(address, "/continue?seconds=4&candidates=2&seed=3&temperature=1.0&min_p=0", data)
    settings = Settings(seconds=4.0, candidates=2, seed=3, sampling=SAMPLING)
    expected = engine.continue_(Performance.from_midi(data), settings=settings)[0].with_pedal()
    assert (status, body) == (200, expected.performance.to_midi())
    _, only = ask(address, "/continue?seconds=4&candidates=2&seed=3&temperature=1.0&min_p=0&only=new", data)
    assert only == expected.generated.to_midi()
    _, lines = ask(address, "/continue?seconds=4&candidates=2&seed=3&temperature=1&min_p=0&format=events", data)
    told = [json.loads(line) for line in lines.splitlines()]
    (take,) = [message for message in told if message["type"] == "take"]
    assert take["music"] == columns(expected.generated)
    assert told[-1]["type"] == "done"


def test_a_take_says_what_it_shares_with_what_the_model_learned_from(address, engine, tmp_path):
    asked = {"seconds": 40.0, "candidates": 1, "seed": 3}
    takes = [one.generated for one in engine.continue_(prompt(), settings=Settings(**asked, sampling=SAMPLING))]
    notes = Notes.from_performance(takes[0])
    assert len(notes) > 60
    learned = PassageIndex.build([("source.mid", "", fingerprint(notes))], tmp_path / "index")
    with served(engine, learned=learned) as comparing, Client(comparing) as client:
        client.continue_("same", **asked, **WILD)
        told = list(client.until("done", "same"))
        client.continue_("other", **asked | {"seed": 4}, **WILD)
        told += client.until("done", "other")
    found = {message["id"]: message["originality"] for message in told if message["type"] == "take"}
    assert found["same"]["verdict"] == "copy" and "source.mid" in found["same"]["text"]
    assert found["same"]["passages"][0]["share"] > 0.8
    assert found["other"]["verdict"] == "own" and found["other"]["passages"] == []
    with Client(address) as client:
        client.continue_("a", seconds=1, candidates=1, **WILD)
        (take,) = [message for message in client.until("done", "a") if message["type"] == "take"]
    assert take["originality"] is None


def test_http_refuses_in_one_line(address):
    data = prompt().to_midi()
    for path, body, status, said in [
        ("/performances", b"no midi", 422, "not-midi"),
        ("/performances", b"", 422, "empty"),
        ("/continue", b"MThd", 422, "MIDI data"),
        ("/continue?seed=-1", data, 422, "seed must be"),
        ("/continue?sed=1", data, 422, "no field 'sed'"),
        ("/continue?variations=2", data, 422, "format=events"),
        ("/continue?format=mp3", data, 422, "format must be"),
        ("/fill?start=1&end=3", data, 422, "cannot fill"),
        ("/export", b"{}", 422, "notes is missing"),
        ("/export?format=exe", b"{}", 422, "format must be"),
        ("/performances", bytes(16 * 1024 * 1024 + 1), 413, "16,777,216 bytes"),
        ("/nowhere", None, 404, "Not Found"),
    ]:
        answered, answer = ask(address, path, body)
        assert (answered, said in json.loads(answer)["error"]) == (status, True), (path, answer)


def test_the_file_of_the_command_and_exports(address):
    _, opened = ask(address, "/performances/opened")
    music = json.loads(opened)["music"]
    assert music == columns(prompt(5))
    status, data = ask(address, "/export?format=mid", json.dumps({**music, "title": "five"}).encode())
    assert status == 200
    assert columns(Performance.from_midi(data)) == music


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "elsewhere.example"}, 421),
        ({"Host": "127.0.0.1.elsewhere.example"}, 421),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_foreign_names_and_pages_are_turned_away(address, headers, status):
    assert ask(address, "/model", **headers)[0] == status


def test_the_page_of_the_server_itself_may_ask(address):
    assert ask(address, "/model", Origin=f"http://{address}")[0] == 200
    assert ask(address, "/model", Origin="http://localhost:1")[0] == 403


def test_a_socket_of_a_foreign_page_is_refused(address):
    with pytest.raises(Exception, match="403"):
        Client(address, origin="http://elsewhere.example")


def test_a_token_is_wanted_where_others_can_come(engine):
    with served(engine, host="0.0.0.0", token="secret") as address:
        assert ask(address, "/model")[0] == 401
        assert ask(address, "/model?token=wrong")[0] == 401
        assert ask(address, "/model?token=secret")[0] == 200
        assert ask(address, "/model", Authorization="Bearer secret")[0] == 200
        assert ask(address, "/model", Cookie="partimento-token=secret")[0] == 200
        assert ask(address, "/model?token=secret", Host="192.0.2.7:80")[0] == 200
        assert ask(address, "/model?token=secret", Host="elsewhere.example")[0] == 421
        with pytest.raises(Exception, match="403"):
            Client(address)
        with Client(f"{address}", additional_headers={"Authorization": "Bearer secret"}) as client:
            assert client.hello["type"] == "hello"
