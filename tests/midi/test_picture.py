"""The picture is read back as pixels: who is drawn where, in which colour, how strongly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partimento.errors import UserError
from partimento.generate.settings import Continuation, Timings
from partimento.midi.performance import Performance
from partimento.midi.picture import draw_piano_roll

LEFT, RIGHT = 0.045 * 1600, 0.985 * 1600  # where the time axis begins and ends
SCALE_SECONDS = 19.9 * (1 + 4 / 1600)  # what it shows of the scale below


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def blueness(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., 2] - rgb[..., 0]


def bluish(rgb: np.ndarray) -> np.ndarray:
    return blueness(rgb) > 60


def reddish(rgb: np.ndarray) -> np.ndarray:
    return blueness(rgb) < -60


def roll_only(rgb: np.ndarray) -> np.ndarray:
    return rgb[52:555]  # without title, legend, pedal lane and time axis


@pytest.fixture
def scale() -> Performance:
    onset = np.arange(20.0)
    return Performance.from_notes(pitch=60 + np.arange(20), velocity=100, onset=onset, duration=0.9, pedal=[(4, 8)])


def test_prompt_and_continuation_stand_in_their_colours_on_their_sides_of_the_split(scale, tmp_path):
    draw_piano_roll(scale, tmp_path / "a.png", split_seconds=10.0, title="a scale")
    rgb = roll_only(pixels(tmp_path / "a.png"))
    split = LEFT + (RIGHT - LEFT) * 10.0 / SCALE_SECONDS
    blue, red = np.nonzero(bluish(rgb))[1], np.nonzero(reddish(rgb))[1]
    assert len(blue) > 2000 and len(red) > 2000
    assert blue.min() >= LEFT and blue.max() < split + 2
    assert red.min() > split - 2 and red.max() <= RIGHT


def test_what_fills_a_gap_stands_between_what_was_there(scale, tmp_path):
    draw_piano_roll(scale, tmp_path / "a.png", split_seconds=5.0, until_seconds=12.0)
    rgb = roll_only(pixels(tmp_path / "a.png"))
    start, end = (LEFT + (RIGHT - LEFT) * seconds / SCALE_SECONDS for seconds in (5.0, 12.0))
    blue, red = np.nonzero(bluish(rgb))[1], np.nonzero(reddish(rgb))[1]
    assert red.min() > start - 2 and red.max() < end
    assert (blue < start).sum() > 1000 and (blue > end).sum() > 1000
    assert not ((blue > start + 2) & (blue < end - 2)).any()


def test_without_a_split_all_notes_have_one_colour(scale, tmp_path):
    draw_piano_roll(scale, tmp_path / "a.png")
    rgb = pixels(tmp_path / "a.png")
    assert bluish(rgb).any()
    assert not reddish(rgb).any()


def test_higher_notes_stand_higher_and_later_notes_further_right(scale, tmp_path):
    draw_piano_roll(scale, tmp_path / "a.png")
    rows, columns = np.nonzero(bluish(roll_only(pixels(tmp_path / "a.png"))))
    first, last = columns < LEFT + 60, columns > RIGHT - 60
    assert rows[last].max() < rows[first].min()


def test_louder_notes_are_drawn_more_strongly(tmp_path):
    strength = []
    for velocity in (10, 40, 70, 100):
        one = Performance.from_notes(pitch=60, velocity=velocity, onset=0.0, duration=2.0)
        draw_piano_roll(one, tmp_path / "a.png")
        strength.append(blueness(roll_only(pixels(tmp_path / "a.png"))).max())
    assert strength == sorted(set(strength))


def test_the_pedal_lane_shows_when_the_pedal_is_down(scale, tmp_path):
    draw_piano_roll(scale, tmp_path / "a.png")
    lane = pixels(tmp_path / "a.png")[571]
    down = np.nonzero(lane[int(LEFT) : int(RIGHT)].sum(axis=-1) < 3 * 200)[0]
    seconds = (down[[0, -1]] + 0.5) / (RIGHT - LEFT) * SCALE_SECONDS
    assert seconds == pytest.approx([4, 8], abs=0.05)
    assert len(down) == down[-1] - down[0] + 1


def test_notes_ring_on_under_the_pedal_in_a_paler_tone(tmp_path):
    notes = {"pitch": [60, 72], "velocity": 100, "onset": [0.0, 9.0], "duration": 1.0}
    row = {}
    for name, pedal in (("dry", []), ("held", [(0.5, 6.0)])):
        draw_piano_roll(Performance.from_notes(**notes, pedal=pedal), tmp_path / "a.png")
        blue = blueness(roll_only(pixels(tmp_path / "a.png")))[:, int(LEFT) :]
        row[name] = blue[int(np.median(np.nonzero(blue[:, 20] == blue[:, 20].max())))]
    at_3_s, at_7_s = (int((RIGHT - LEFT) * seconds / 10) for seconds in (3, 7))
    assert row["held"][20] > row["held"][at_3_s] > row["dry"][at_3_s]
    assert row["held"][at_7_s] == row["dry"][at_7_s]


def test_size_and_bytes_do_not_change_from_run_to_run(scale, tmp_path):
    script = (
        "import sys; from partimento import Performance; from partimento.midi.picture import draw_piano_roll\n"
        "draw_piano_roll(Performance.from_midi(sys.argv[1]), sys.argv[2], split_seconds=10.0, title='a scale')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    scale.write_midi(tmp_path / "scale.mid")
    draw_piano_roll(scale, tmp_path / "here.png", split_seconds=10.0, title="a scale")
    subprocess.run([sys.executable, "-c", script, tmp_path / "scale.mid", tmp_path / "there.png"], check=True)
    assert pixels(tmp_path / "here.png").shape == (640, 1600, 3)
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()


@pytest.mark.parametrize(
    "performance",
    [
        Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[]),
        Performance.from_notes(pitch=[0, 127], velocity=127, onset=[0, 80_000], duration=0.001),
    ],
    ids=["empty", "whole keyboard, 22 hours"],
)
def test_extremes_can_be_drawn(performance, tmp_path):
    draw_piano_roll(performance, tmp_path / "a.png", split_seconds=40_000.0 if len(performance) else 0.0)
    rgb = roll_only(pixels(tmp_path / "a.png"))
    assert bluish(rgb).any() == reddish(rgb).any() == bool(len(performance))


@pytest.mark.linux
def test_a_title_that_is_not_text_is_drawn(scale, tmp_path):
    path = tmp_path / "n\udce9.png"
    draw_piano_roll(scale, path, title=path.stem)
    assert path.is_file()


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(scale, tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UserError, match=r"a\.png"):
        draw_piano_roll(scale, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_continuation_says_itself_where_it_begins(tmp_path):
    given = Performance.from_notes(pitch=60, velocity=100, onset=[0, 1, 2], duration=0.5)
    new = Performance.from_notes(pitch=67, velocity=100, onset=[3, 4], duration=0.5)
    timings = Timings(prefill_s=0, first_note_s=None, tokens_per_s=1)
    made = {"performance": given.merge(new), "given": given, "generated": new, "tokens": (), "prompt_tokens": 0}
    for filled, split, until in ((None, 3.0, None), ((2.5, 3.5), 2.5, 3.5)):
        continuation = Continuation(**made, retries=0, timings=timings, filled=filled)
        draw_piano_roll(continuation, tmp_path / "a.png")
        draw_piano_roll(continuation.performance, tmp_path / "b.png", split_seconds=split, until_seconds=until)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
        assert "2 new notes, 5 notes, 4.50 s in all" in repr(continuation)
