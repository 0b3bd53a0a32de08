"""What a notebook shows of a performance: picture and sound, which other readers read; safe, and of bounded size."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from partimento.audio import notebook, sampler
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.midi.picture import piano_roll_png

NOCTURNE = Performance.from_midi("examples/nocturne.mid").slice_time(0, 4)


def parsed(text):
    """Tags with their attributes, the text between them, and whether all that was opened was closed."""
    tags, words, still_open = [], [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))
            if tag != "img":
                still_open.append(tag)

        def handle_endtag(self, tag):
            assert still_open.pop() == tag

        def handle_data(self, data):
            words.append(data)

    Reader().feed(text)
    assert still_open == []
    return tags, "".join(words)


def held(source):
    """The bytes of a data: address."""
    return base64.b64decode(re.fullmatch(r"data:[a-z]+/[a-z]+;base64,(.*)", source)[1], validate=True)


def test_it_holds_the_picture_and_the_sound():
    tags, words = parsed(NOCTURNE._repr_html_())
    attributes = dict(tags)
    assert held(attributes["img"]["src"]) == piano_roll_png(NOCTURNE)
    sound, rate = soundfile.read(io.BytesIO(held(attributes["audio"]["src"])))
    expected = sampler.render(NOCTURNE.slice_time(float(NOCTURNE.onset_seconds[0]), 60)).mean(axis=1)
    assert rate == 48_000 and sound.ndim == 1

    def loudness(wave):  # in steps of 50 ms: what MP3 keeps
        return np.sqrt(np.mean(np.square(wave[: 2400 * (len(expected) // 2400 - 4)].reshape(-1, 2400)), axis=1))

    assert np.corrcoef(loudness(sound), loudness(expected))[0, 1] > 0.99
    assert f"{len(NOCTURNE)} notes" in words and "A minute" not in words
    assert "ontimeupdate" in attributes["audio"] and "script" not in attributes


def test_of_a_long_piece_it_holds_a_minute_and_half_a_megabyte():
    rng = np.random.default_rng(1)
    long = Performance.from_notes(
        pitch=rng.integers(21, 108, 2000), velocity=rng.integers(20, 120, 2000), onset=50 + np.arange(2000) / 2,
        duration=0.4, name="long.mid",
    )  # fmt: skip
    text = long._repr_html_()
    assert len(text) < 700_000
    tags, words = parsed(text)
    assert "A minute from 50 s on" in words
    sound = soundfile.info(io.BytesIO(held(dict(tags)["audio"]["src"])))
    assert 60 <= sound.duration < 75


def test_a_name_is_text_and_nothing_else():
    name = "</figcaption><script>alert(1)</script>\" onload='x' & \udce9.mid"
    quiet = Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[], name=name)
    tags, words = parsed(quiet._repr_html_())
    assert [tag for tag, _ in tags] == ["figure", "figcaption", "div", "img", "div"]  # and no sound of nothing
    assert words.startswith("</figcaption><script>alert(1)</script>\" onload='x' & \\xe9.mid: 0 notes")
    assert "onload" not in dict(tags)["img"]
    assert dict(tags)["img"]["alt"].endswith(words)


def test_without_recordings_it_says_how_to_get_them(monkeypatch):
    def missing(_):
        raise UserError("no piano sound; get <it>")

    monkeypatch.setattr(notebook, "render", missing)
    _, words = parsed(NOCTURNE.slice_time(0, 1)._repr_html_())
    assert words.endswith("no piano sound; get <it>")


def test_new_notes_have_a_colour_and_are_heard_from_shortly_before(monkeypatch):
    heard = []
    monkeypatch.setattr(notebook, "render", lambda music: heard.append(music) or np.zeros((4800, 2), np.float32))
    music = Performance.from_notes(pitch=60, velocity=64, onset=np.arange(0, 40), duration=0.5)
    tags, _ = parsed(music._repr_html_((25.0, None)))
    assert held(dict(tags)["img"]["src"]) == piano_roll_png(music, edges=(25.0, None))
    assert (len(heard[0]), heard[0][0].onset_s) == (25, 0.0)  # from 15 s on


@pytest.mark.parametrize("again", range(2))
def test_the_same_is_shown_without_making_it_again(monkeypatch, again):
    music = Performance.from_notes(pitch=61, velocity=64, onset=np.arange(3), duration=0.5)
    first = music._repr_html_()
    monkeypatch.setattr(notebook, "render", None)
    assert music._repr_html_() is first
