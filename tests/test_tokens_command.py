"""`partimento tokens`: what it shows is what is encoded, and what it writes is what was shown."""

import json

import numpy as np
import pytest

from partimento.cli import main
from partimento.midi.performance import Performance
from partimento.tokens import display
from partimento.tokens.figure import flowed
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

FIGURE = Performance.from_notes(pitch=[60, 64, 67], velocity=60, onset=[1, 3, 5], duration=[3, 3, 3])
"""The example of the paper's figure 2 (its third note is cut off by the picture's edge)."""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "figure.mid"
    FIGURE.write_midi(path)
    return path


def run(capsys, *arguments) -> str:
    assert main(["tokens", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def refusal(capsys, *arguments) -> str:
    assert main(["tokens", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("partimento: ") and err.count("\n") == 1
    return err


def test_the_listing_has_one_event_a_line(file, capsys):
    lines = [line.split("  ") for line in run(capsys, file).splitlines()]
    lines = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert lines == [
        ["0", "6", "prefix instrument piano"],
        ["1", "0", "<S>"],
        ["2", "825 17227 17026", "piano pitch 60 velocity 60, onset 0 ms, duration 3000 ms", "0.00 s"],
        ["5", "877 17427 17026", "piano pitch 64 velocity 60, onset 2000 ms, duration 3000 ms", "2.00 s"],
        ["8", "916 17627 17026", "piano pitch 67 velocity 60, onset 4000 ms, duration 3000 ms", "4.00 s"],
        ["11", "1", "<E>"],
    ]


def test_times_in_the_listing_count_segments():
    v = Vocabulary.aria()
    lines = display.listing(v, Tokenizer(v).encode(FIGURE, remove_silence=False))
    assert [line.split("  ")[-1].strip() for line in lines[2:-1]] == ["1.00 s", "3.00 s", "5.00 s", "5.00 s"]


def test_the_listing_shows_any_ids():
    v = Vocabulary.aria()
    ids = np.random.default_rng(0).integers(0, len(v), 500)
    shown = [event.tokens for event in display.grouped(v, ids)]
    assert [id for event in shown for id in event] == ids.tolist()
    assert len(display.listing(v, ids)) == len(shown)
    assert display.listing(v, []) == []


@pytest.mark.parametrize("vocabulary", ["aria", "piano"])
def test_json_holds_what_the_tokenizer_says(file, capsys, vocabulary):
    shown = json.loads(run(capsys, file, "--json", "--vocabulary", vocabulary))
    v = {"aria": Vocabulary.aria(), "piano": Vocabulary.piano()}[vocabulary]
    assert shown["vocabulary"] == vocabulary
    assert shown["ids"] == Tokenizer(v).encode(FIGURE).tolist()
    assert shown["tokens"] == [v.text_of(id) for id in shown["ids"]]


def test_pedal_tokens_are_shown(tmp_path, capsys):
    Performance.from_notes(pitch=60, velocity=60, onset=0, duration=0.5, pedal=[(0.1, 0.9)]).write_midi(
        tmp_path / "pedal.mid"
    )
    out = run(capsys, tmp_path / "pedal.mid", "--vocabulary", "piano", "--pedal-tokens")
    assert "<PED_ON>, onset 100 ms" in out and "<PED_OFF>, onset 900 ms" in out and "duration 500 ms" in out
    assert "duration 900 ms" in run(capsys, tmp_path / "pedal.mid", "--vocabulary", "piano")
    assert "no pedal tokens" in refusal(capsys, tmp_path / "pedal.mid", "--pedal-tokens")


def test_the_papers_figure_in_the_other_schemes():
    notes = Notes.from_performance(FIGURE, remove_silence=False)
    schemes = display.comparison(notes, tempo=60)
    assert schemes["Music Transformer"][:10] == [
        *("TIME_SHIFT 1000 ms", "SET_VELOCITY 60", "NOTE_ON 60"),
        *("TIME_SHIFT 1000 ms", "TIME_SHIFT 1000 ms", "NOTE_ON 64"),
        *("TIME_SHIFT 1000 ms", "NOTE_OFF 60", "TIME_SHIFT 1000 ms", "NOTE_ON 67"),
    ]
    assert schemes["MuseNet-style"][:8] == [
        *("WAIT 1000 ms", "piano:v60:C4", "WAIT 2000 ms", "piano:v60:E4"),
        *("WAIT 1000 ms", "piano:v0:C4", "WAIT 1000 ms", "piano:v60:G4"),
    ]
    # The figure counts in quarters of the bar: position 2/4 begins at 5/16, a duration of 3/4 is 12/16.
    assert schemes["REMI-like"] == [
        *("Bar", "Position 5/16", "Pitch C4", "Velocity 60", "Duration 12/16"),
        *("Position 13/16", "Pitch E4", "Velocity 60", "Duration 12/16"),
        *("Bar", "Position 5/16", "Pitch G4", "Velocity 60", "Duration 12/16"),
    ]


def test_the_other_schemes_add_up_to_the_same_music():
    rng = np.random.default_rng(4)
    played = Performance.from_notes(
        pitch=rng.permutation(88)[:60] + 21,
        velocity=rng.integers(1, 128, 60),
        onset=np.sort(rng.integers(0, 4000, 60)) / 100,
        duration=rng.integers(1, 900, 60) / 100,
    )
    notes = Notes.from_performance(played)
    now, sounding, heard = 0, {}, []
    for token in display.music_transformer(notes):
        what, value, *_ = token.split()
        if what == "TIME_SHIFT":
            assert 10 <= int(value) <= 1000
            now += int(value)
        elif what == "NOTE_ON":
            sounding[int(value)] = now
        elif what == "NOTE_OFF":
            onset = sounding.pop(int(value))
            heard.append((onset, now - onset, int(value)))
    assert not sounding
    wanted = zip(notes.onset_ms.tolist(), notes.duration_ms.tolist(), notes.pitch.tolist(), strict=True)
    assert sorted(heard) == sorted(wanted)
    waits = [int(token.split()[1]) for token in display.musenet(notes) if token.startswith("WAIT")]
    assert sum(waits) == now
    assert display.remi(notes).count("Bar") == notes.onset_ms[-1] // 2000 + 1


def test_compare_counts_the_tokens_of_four_schemes(file, capsys):
    out = run(capsys, file, "--compare")
    assert "ours (Aria): 12 tokens for 3 notes" in out
    assert "Music Transformer: 14 tokens" in out and "MuseNet-style: 11 tokens" in out
    assert "REMI-like: 15 tokens for 3 notes, at 120 beats a minute in 4/4" in out


@pytest.mark.parametrize("width", [40, 80, 200])
def test_compare_stands_in_columns_that_the_terminal_holds(file, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run(capsys, file, "--compare", "--bars", "0").splitlines()
    shown = lines[lines.index("") + 1 :]
    assert max(map(len, shown)) <= width
    words = " ".join(" ".join(line.split()) for line in shown)
    assert "NOTE_ON 67" in words and "Pitch G4" in words and "piano:v60:G4" in words and "piano pitch 67" in words
    blocks = "\n".join(shown).count("ours (Aria)  ") + "\n".join(shown).count("\n\n")
    assert (blocks > 1) == (width == 40)


def test_compare_shows_some_bars_and_says_so(file, capsys, tmp_path):
    told = json.loads(run(capsys, file, "--compare", "--bars", "1", "--json"))
    assert told["notes"] == 3 and told["notes_shown"] == 1 and told["counts"]["ours (Aria)"] == 12
    assert told["schemes"]["REMI-like"] == ["Bar", "Position 1/16", "Pitch C4", "Velocity 60", "Duration 24/16"]
    assert "the first 2 of 3 notes, which begin in 2 bars" in run(capsys, file, "--compare")
    for name in ("a.png", "b.png"):
        assert run(capsys, file, "--compare", "--plot", "-o", tmp_path / name).endswith(f"{tmp_path / name}\n")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_line_of_the_figure_holds_whole_tokens():
    tokens = ["word " * n for n in (1, 9, 3, 30, 2)]
    lines = flowed(tokens, 60)
    assert [token for line in lines for _, token in line] == tokens
    for line in lines:
        ends = [at + len(token) for at, token in line]
        assert len(line) == 1 or ends[-1] <= 60
        assert all(end < begin for end, (begin, _) in zip(ends, line[1:], strict=False))


@pytest.mark.parametrize("spelling", ["json", "list", "spaces", "commas"])
def test_decode_writes_what_was_shown(file, tmp_path, capsys, spelling):
    text = run(capsys, file, "--json", "--vocabulary", "piano")
    ids = json.loads(text)["ids"]
    text = {
        "json": text,
        "list": json.dumps(ids),
        "spaces": " ".join(map(str, ids)),
        "commas": ",\n".join(map(str, ids)),
    }
    (tmp_path / "ids").write_text(text[spelling])
    named = [] if spelling == "json" else ["--vocabulary", "piano"]
    assert "3 notes" in run(capsys, tmp_path / "ids", "--decode", *named, "-o", tmp_path / "out.mid")
    again = Performance.from_midi(tmp_path / "out.mid")
    assert again.pitch.tolist() == [60, 64, 67] and again.velocity.tolist() == [60] * 3
    assert again.onset_seconds.tolist() == [0, 2, 4] and again.duration_seconds.tolist() == [3, 3, 3]


def test_decode_replaces_a_file_only_when_told(file, tmp_path, capsys):
    (tmp_path / "ids").write_text("[6, 0]")
    before = file.read_bytes()
    assert "exists already" in refusal(capsys, tmp_path / "ids", "--decode", "-o", file)
    assert file.read_bytes() == before
    run(capsys, tmp_path / "ids", "--decode", "-o", file, "--force")
    assert len(Performance.from_midi(file)) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"six zero",
        b"6 0 8.5",
        b"[6, 0",
        b"[6, true]",
        b"[[6, 0]]",
        b'{"tokens": []}',
        b'{"ids": 6}',
        b'{"ids": [6], "vocabulary": "klingon"}',
        b'{"ids": [6], "vocabulary": ["aria"]}',
        b"6 0 17727",
        b"-1",
        b"99999999999999999999999",
        b"\xff\xfe\x00",
    ],
)
def test_bad_ids_are_refused(tmp_path, capsys, content):
    (tmp_path / "ids").write_bytes(content)
    refusal(capsys, tmp_path / "ids", "--decode", "-o", tmp_path / "out.mid")
    assert not (tmp_path / "out.mid").exists()


def test_arguments_that_do_not_fit_are_refused(file, tmp_path, capsys):
    assert "exclude" in refusal(capsys, file, "--json", "--decode", "-o", tmp_path / "out.mid")
    assert "for --compare" in refusal(capsys, file, "--bars", "3")
    assert "0 or more" in refusal(capsys, file, "--compare", "--bars", "-1")
    assert "-o" in refusal(capsys, file, "--decode")
    assert "--decode" in refusal(capsys, file, "-o", tmp_path / "out.mid")
    assert "nowhere.mid" in refusal(capsys, tmp_path / "nowhere.mid")
    (tmp_path / "text.mid").write_text("not music")
    assert "text.mid" in refusal(capsys, tmp_path / "text.mid")
    refusal(capsys, file, "--vocabulary", "klingon")
