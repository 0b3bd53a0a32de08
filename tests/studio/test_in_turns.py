"""Somebody plays in turns in the studio: what an instrument is sent of the answer, a piano and a pianist can play."""

import pytest

from partimento.live.ports import Message
from tests.live.piano import Piano, lively_engine
from tests.studio.serving import GIVEN, Client, served


@pytest.fixture(scope="module")
def address():
    with served(lively_engine()) as address:
        yield address


def told(client: Client, **more: object) -> list[dict]:
    prompt = {**GIVEN, "end": 5.0}
    client.send(type="continue", id="a", prompt=prompt, settings={"seconds": 8, "candidates": 1}, **more)
    return list(client.until("done", "a"))


def test_an_answer_comes_as_messages_that_can_be_played_and_are_never_taken_back(address):
    with Client(address) as client:
        answer = told(client, at_once=True)
    piano, streamed, untils = Piano(), [], [0.0]
    for message in answer:
        if message["type"] not in ("notes", "take"):
            continue
        for at, *data in message["messages"]:
            assert at >= untils[-1] - 0.036  # what was final before is not added to
            piano.take(at, Message.from_bytes(data))
        if message["type"] == "notes":
            streamed += zip(message["notes"]["onset"], message["notes"]["pitch"], strict=True)
            untils.append(message["until"])
    assert piano.silent and 0.5 * len(streamed) < piano.strikes <= len(streamed)
    assert piano.now <= max(onset for onset, _ in streamed) + 10


def test_nobody_else_is_told_messages(address):
    with Client(address) as client:
        assert {message.get("messages") for message in told(client)} == {None}
