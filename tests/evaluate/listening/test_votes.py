import json

import pytest

from partimento.errors import UserError
from partimento.evaluate.listening.votes import VoteLog, listeners_of, read_events

EVENTS = [
    {"event": "joined", "listener": "x", "time": 1},
    {"event": "headphones", "listener": "x", "time": 2, "right": 1},
    {"event": "headphones", "listener": "x", "time": 3, "right": 2},
    {"event": "asked", "listener": "x", "time": 4, "number": 0, "prompt": "p", "first": "f", "second": "s"}
    | {"a": "1", "b": "2", "first_is_a": False},
    {"event": "voted", "listener": "x", "time": 5, "number": 0, "choice": "b", "reason": "", "heard": [1.5, 2.0]},
]


def written(path, events=EVENTS):
    with VoteLog(path, digest="d") as log:
        for event in events:
            log.append(event)


def test_what_was_appended_is_read_back_and_means_what_was_said(tmp_path):
    path = tmp_path / "votes.jsonl"
    written(path)
    (listener,) = listeners_of(read_events(path, digest="d")).values()
    assert listener.right == [1, 2] and listener.last == 5
    (trial,) = listener.votes
    assert trial.won and not trial.tied and trial.heard == (1.5, 2.0)


def test_a_line_that_was_cut_off_is_no_event_and_the_next_one_is_whole(tmp_path):
    """Whatever byte a killed machine stopped at."""
    path = tmp_path / "votes.jsonl"
    written(path)
    whole = path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        assert len(read_events(path, digest="d")) == len(EVENTS)
        written(path, EVENTS[-1:])
        assert path.read_bytes() == whole


def test_one_process_writes_and_others_may_read(tmp_path):
    path = tmp_path / "votes.jsonl"
    with VoteLog(path, digest="d"):
        with pytest.raises(UserError, match="another server"):
            VoteLog(path, digest="d")
        assert len(read_events(path, digest="d")) == 1
    VoteLog(path, digest="d").__exit__()


def test_votes_on_other_clips_are_refused_and_so_is_what_is_no_log(tmp_path):
    path = tmp_path / "votes.jsonl"
    written(path)
    with pytest.raises(UserError, match="other clips or rules"):
        read_events(path, digest="e")
    with pytest.raises(UserError, match="other clips or rules"):
        VoteLog(path, digest="e")
    written(path)  # it was let go
    for broken in (b"no json\n", b"[]\n", json.dumps(EVENTS[0]).encode() + b"\n"):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="line 1"):
            read_events(path, digest="d")
    assert read_events(tmp_path / "none", digest="d") == []
