"""Somebody plays in turns in the studio: what an instrument is sent of the answer, a piano and a pianist can play."""

import queue

import pytest

from partimento.live.ports import Message
from tests.live.piano import Piano, lively_engine
from tests.studio.serving import GIVEN, SECONDS, Client, served


@pytest.fixture(scope="module")
def address():
    with served(lively_engine()) as address:
        yield address


def told(client: Client, **more: object) -> list[dict]:
    prompt = {**GIVEN, "end": 4.8}  # the last note still sounds
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


def test_what_was_read_while_one_played_is_not_read_again_and_changes_nothing(address):
    """Notes, the last one held at the sign, as the page tells of them: what has ended, and then all."""
    engine, sizes = lively_engine(), queue.SimpleQueue()
    with served(engine) as again, Client(address) as cold, Client(again) as warm:
        backend = engine.backend
        read, backend.read = backend.read, lambda ids, cache, **more: sizes.put(len(ids[0])) or read(ids, cache, **more)
        for notes in (4, 9, 11):
            ended = {name: column[:notes] for name, column in GIVEN["notes"].items()}
            warm.send(type="read", id="duet", prompt={"notes": ended})
        tokens = 0
        while tokens < 3 * 11:  # those between may be left out, the last one is read
            tokens += sizes.get(timeout=SECONDS)
        answer = told(warm, at_once=True)
        later = [sizes.get() for _ in range(sizes.qsize())]
        assert max(later) < 3 * 4
        assert music(answer) == music(told(cold, at_once=True))


def music(answer: list[dict]) -> dict:
    return next(message["music"] for message in answer if message["type"] == "take")


def test_nobody_else_is_told_messages(address):
    with Client(address) as client:
        assert {message.get("messages") for message in told(client)} == {None}
