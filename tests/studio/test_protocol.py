"""The messages: what is documented is understood, and nothing else is."""

import json
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento import Performance, UserError
from partimento.generate.abilities import Abilities
from partimento.studio.fields import Fields, ProtocolError
from partimento.studio.music import columns, read_music
from partimento.studio.protocol import Continue, Error, Fill, Heard, Notes, State, Stop, encode, parse, waiting

DOCUMENT = Path(__file__).parents[2] / "docs" / "studio.md"
DOCUMENTED = [json.loads(block) for block in re.findall(r"```json\n(\{\"type\".*\})\n```", DOCUMENT.read_text("utf-8"))]
CONTINUE = {"type": "continue", "id": "a", "prompt": {"performance": "x"}}


def test_every_documented_request_is_understood():
    asked = [block for block in DOCUMENTED if block["type"] in ("continue", "fill", "heard", "stop")]
    assert [type(parse(json.dumps(block))) for block in asked] == [Continue, Fill, Heard, Stop]


def test_every_documented_answer_has_the_fields_that_are_sent():
    told = {block["type"]: block for block in DOCUMENTED}
    for kind in (State, Notes):
        block = told[kind.__name__.lower()]
        rebuilt = kind(**{name: value for name, value in block.items() if name != "type"})
        assert json.loads(encode(rebuilt)) == block


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "sing"}, "type must be continue, fill, read, stop or heard, not 'sing'"),
        ({"id": ""}, "id must be a string of 1 to 64 characters, not ''"),
        ({"settings": {"seed": -1}}, f"settings.seed must be a whole number in 0..{2**53 - 1}, not -1"),
        ({"settings": {"seeds": 1}}, "there is no field 'settings.seeds' here"),
        ({"settings": {"end": 1}}, "settings.end must be true or false, not 1"),
        ({"settings": {"variations": 9}}, "settings.variations must be a whole number in 1..8, not 9"),
        ({"settings": {"seconds": "long"}}, "settings.seconds must be a number in 0.1..600, not 'long'"),
        ({"prompt": {}}, "prompt needs either performance, the name of an upload, or notes"),
        ({"prompt": [1]}, "prompt must be a JSON object, not a list"),
        ({"heard": 10**400}, "heard must be a number in 0..28800, not a huge number"),
        ({"prompt": {"notes": {"onset": [True]}}}, "prompt.notes.onset must hold numbers in 0..14400, found True"),
    ],
)
def test_a_complaint_names_the_field_the_value_and_what_may_be(change, said):
    with pytest.raises(ProtocolError) as caught:
        parse(json.dumps(CONTINUE | change))
    assert str(caught.value) == said
    assert caught.value.field is not None and caught.value.field in said


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[" * 100_000, '{"type": NaN}', b"\xff", '{"id": ' + "9" * 5000 + "}"]
)
def test_what_is_no_message_is_refused_in_one_line(text):
    with pytest.raises(ProtocolError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


WORDS = st.text('ab"é{', max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["type", "id", "prompt", "settings", "notes", "onset", "pedal", "start", "end", "heard", "seconds", "programs"]
)


@given(st.sampled_from(["continue", "fill", "heard", "stop"]), st.dictionaries(NAMES, JSON_VALUES, max_size=8))
def test_whatever_comes_is_a_request_or_refused(kind, values):
    with suppress(UserError):
        parse(json.dumps({"type": kind, "id": "a", **values}))


def microseconds(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high).map(lambda count: count / 1_000_000)


NOTES = st.lists(
    st.tuples(
        microseconds(0, 600_000_000),
        microseconds(1000, 20_000_000),
        st.integers(0, 127),
        st.integers(1, 127),
        st.integers(0, 15),
    ),
    max_size=10,
)
PEDAL = st.lists(st.tuples(microseconds(0, 600_000_000), microseconds(1000, 5_000_000)), max_size=5)


@given(NOTES, PEDAL)
def test_music_in_columns_is_the_same_music(notes, pedal):
    onset, duration, pitch, velocity, channel = zip(*notes, strict=True) if notes else [()] * 5
    performance = Performance.from_notes(
        pitch=np.array(pitch, np.int64),
        velocity=np.array(velocity, np.int64),
        onset=np.array(onset, float),
        duration=np.array(duration, float),
        channel=np.array(channel, np.int64),
        pedal=[(down, down + length) for down, length in pedal],
        programs=[(3, 40)],
    )
    fields = Fields(json.loads(json.dumps(columns(performance))))
    read = read_music(fields)
    fields.nothing_else()
    again = columns(read)
    assert again == columns(performance)
    assert read.instrument.tolist() == performance.instrument.tolist()


def test_settings_that_are_left_out_are_the_models():
    abilities = Abilities.from_metadata({}, parameters=1000)
    request = parse(json.dumps(CONTINUE | {"settings": {"temperature": 0.5}}))
    assert isinstance(request, Continue)
    settings = request.settings.for_engine(abilities)
    assert settings.candidates == abilities.candidates == 8
    assert settings.sampling is not None
    assert (settings.sampling.temperature, settings.sampling.min_p) == (0.5, abilities.sampling.min_p)


def test_a_place_in_line_is_said_in_words():
    assert waiting(3, 20.0) == "third in line, about 20 s"
    assert waiting(1, 0.2) == "next in line, about 1 s"
    assert waiting(14, 200.0) == "number 14 in line, about 210 s"


def test_an_error_is_one_compact_line():
    assert encode(Error(message="no")) == '{"type":"error","id":null,"message":"no","field":null}'
