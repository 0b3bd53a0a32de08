import json
import re
import shlex
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import torch

from partimento.audio import samples
from partimento.cli import main
from partimento.midi.performance import Performance
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from tests.midi.test_pedalling import heard

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
SHORT = {"--seconds": "2", "--notes": "20", "--fill": "4:5"}
"""What a test asks for where the README asks for more."""


@pytest.fixture
def model(tmp_path: Path) -> str:
    torch.manual_seed(0)
    v = Vocabulary.piano()
    path = tmp_path / "random.safetensors"
    save(path, Transformer(ModelConfig.named("debug", vocab_size=len(v), context=512)), v)
    return str(path)


@pytest.fixture
def filler(tmp_path: Path) -> str:
    """Like `model`, but its file says that it can fill gaps, and how it wants to be sampled."""
    torch.manual_seed(0)
    v, path = Vocabulary.piano(), tmp_path / "filler.safetensors"
    random = Transformer(ModelConfig.named("debug", vocab_size=len(v), context=512))
    save(path, random, v, infilling=True, sampling={"temperature": 0.9, "min_p": 0.002})
    return str(path)


@pytest.fixture
def prompt(tmp_path: Path) -> str:
    path = tmp_path / "étude.mid"
    onsets = [0.25 * i for i in range(80)]
    Performance.from_notes(pitch=[50 + i % 30 for i in range(80)], velocity=70, onset=onsets, duration=0.2).write_midi(
        path
    )
    return str(path)


def test_it_writes_midi_picture_and_record(model: str, prompt: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "folder"
    argv = ["continue", prompt, "--model", model, "--prompt-seconds", "5", "--seconds", "5", "--variations", "2"]
    assert main([*argv, "--plot", "--seed", "3", "-o", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == sorted(
        f"étude-{k}.{e}" for k in "12" for e in ("mid", "json", "png")
    )
    printed = capsys.readouterr().out
    assert "étude-1.mid" in printed and "étude-2.mid" in printed
    for k in (1, 2):
        record = json.loads((out / f"étude-{k}.json").read_text(encoding="utf-8"))
        assert record["seed"] == 3 and record["model"] == model
        assert record["settings"]["sampling"]["min_p"] == 0.01
        assert record["timings"]["prefill_s"] > 0
        music = Performance.from_midi(out / f"étude-{k}.mid")
        assert len(music) == 20 + record["notes"]
        assert music.pitch[:20].tolist() == [50 + i % 30 for i in range(20)]
        assert music.onset_seconds[-1] < 10
        played = sum(m.type == "note_on" and m.velocity > 0 for m in mido.MidiFile(out / f"étude-{k}.mid"))
        assert played == len(music)
    assert (out / "étude-1.mid").read_bytes() != (out / "étude-2.mid").read_bytes()


def test_new_notes_are_looked_for_in_what_the_model_learned_from(
    model: str, prompt: str, tmp_path: Path, capsys
) -> None:
    """What the model makes is put before it as what it learned from: so it copies."""
    argv = ["continue", prompt, "--model", model, "--prompt-seconds", "5", "-o", str(tmp_path / "out")]
    assert main([*argv, "--notes", "1", "--no-originality"]) == 0
    assert "originality" not in capsys.readouterr().out + (tmp_path / "out" / "étude-1.json").read_text()
    argv += ["--notes", "100", "--force"]
    assert main(argv) == 0
    assert "no index" in capsys.readouterr().out
    first = (tmp_path / "out" / "étude-1.mid").read_bytes()
    (tmp_path / "learned").mkdir()
    made = Performance.from_midi(first)
    made.slice_time(5, made.seconds).write_midi(tmp_path / "learned" / "source.mid")
    assert main(["originality", "--training", str(tmp_path / "learned"), "--model", model, "--keep"]) == 0
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert "COPIES from what the model learned from" in said and "source.mid" in said
    found = json.loads((tmp_path / "out" / "étude-1.json").read_text(encoding="utf-8"))["originality"]
    assert found["flagged"] and found["passages"][0]["source"] == "source.mid" and found["passages"][0]["tempo"] == 1
    assert (tmp_path / "out" / "étude-1.mid").read_bytes() == first


def test_same_seed_same_bytes_and_nothing_is_overwritten_unasked(
    model: str, prompt: str, tmp_path: Path, capsys
) -> None:
    argv = ["continue", prompt, "--model", model, "--notes", "20", "-o", str(tmp_path / "out")]
    assert main(argv) == 0
    written = tmp_path / "out" / "étude-1.mid"
    first = written.read_bytes()
    assert main(argv) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*argv, "--seed", "9", "--force"]) == 0
    assert written.read_bytes() != first
    assert main([*argv, "--force"]) == 0
    assert written.read_bytes() == first


def test_keys_and_pedal_sound_as_the_plain_durations_do(model: str, prompt: str, tmp_path: Path) -> None:
    """The prompt has no pedal: all of it is new, and --no-pedal writes none."""
    argv = ["continue", prompt, "--model", model, "--notes", "60", "--seed", "4"]
    assert main([*argv, "-o", str(tmp_path / "played")]) == 0
    assert main([*argv, "--no-pedal", "-o", str(tmp_path / "plain")]) == 0
    played, plain = (Performance.from_midi(tmp_path / name / "étude-1.mid") for name in ("played", "plain"))
    assert len(played.pedal_down) > 0 == len(plain.pedal_down)
    assert np.array_equal(played.onset, plain.onset) and np.array_equal(np.sort(played.pitch), np.sort(plain.pitch))
    expected, found = heard(plain), heard(played)
    assert all(abs(expected[note] - found[note]) <= 10 for note in expected)
    assert played.duration.sum() < plain.duration.sum()


def test_the_sound_is_written_beside_the_notes(model: str, prompt: str, tmp_path: Path, capsys, monkeypatch) -> None:
    argv = ["continue", prompt, "--model", model, "--notes", "5", "--prompt-seconds", "1", "--render"]
    assert main([*argv, "-o", str(tmp_path / "out")]) == 0
    sound, rate = soundfile.read(tmp_path / "out" / "étude-1.wav", dtype="float32")
    expected = Performance.from_midi(tmp_path / "out" / "étude-1.mid").render()
    assert rate == 48_000 and np.abs(sound - expected).max() < 2**-14
    monkeypatch.setattr(samples, "FOLDER", tmp_path / "none")
    assert main([*argv, "-o", str(tmp_path / "other")]) == 2
    assert "partimento.audio.fetch" in capsys.readouterr().err and not (tmp_path / "other").exists()


def test_the_continuation_alone_begins_at_once(model: str, prompt: str, tmp_path: Path) -> None:
    assert (
        main(["continue", prompt, "--model", model, "--notes", "20", "--continuation-only", "-o", str(tmp_path)]) == 0
    )
    alone = Performance.from_midi(tmp_path / "étude-1.mid")
    assert len(alone) == 20 and alone.onset[0] == 0


@pytest.mark.parametrize(
    "case",
    [
        (["--temperature", "-1"], "temperature"),
        (["--top-p", "0"], "top-p"),
        (["--notes", "5", "--seconds", "5"], "not both"),
        (["--prompt-seconds", "0"], "--prompt-seconds"),
        (["--variations", "0"], "variations"),
        (["-o", "a.wav"], "-o is the folder"),
        (["--model", "none"], "no model"),
        (["--seconds", "soon"], "--seconds"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(model, prompt, tmp_path, capsys, case) -> None:
    arguments, said = case
    assert main(["continue", prompt, "--model", model, "-o", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_one_file_that_cannot_be_continued_does_not_cost_the_others(model, prompt, tmp_path, capsys) -> None:
    (tmp_path / "bad.mid").write_bytes(b"no music")
    Performance.from_midi(prompt).transpose(2).write_midi(tmp_path / "other.mid")
    argv = ["continue", prompt, str(tmp_path / "bad.mid"), str(tmp_path / "other.mid"), "--model", model, "--json"]
    argv += ["--notes", "5", "--prompt-seconds", "1", "-o", str(tmp_path / "out")]
    assert main(argv) == 2
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert [Path(one["file"]).name for one in told["continuations"]] == ["étude-1.mid", "other-1.mid"]
    assert list(told["failed"]) == [str(tmp_path / "bad.mid")]
    assert "bad.mid" in err and "1 of 3 files could not be continued" in err and err.count("engine: ") == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.mid")) == ["other-1.mid", "étude-1.mid"]
    (tmp_path / "twin").mkdir()
    Performance.from_midi(prompt).write_midi(tmp_path / "twin" / "étude.mid")
    assert main(["continue", prompt, str(tmp_path / "twin" / "étude.mid"), "--model", model, "-o", str(tmp_path)]) == 2
    assert "would both become" in capsys.readouterr().err


def test_quiet_says_nothing_of_what_went_well(model: str, prompt: str, tmp_path: Path, capsys) -> None:
    argv = ["continue", prompt, "--model", model, "--notes", "3", "--quiet", "-o", str(tmp_path / "out")]
    assert main(argv) == 0
    assert capsys.readouterr() == ("", "")


def test_a_file_that_is_no_midi_is_one_line(model: str, tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.mid"
    bad.write_bytes(b"no music")
    for path in (bad, tmp_path / "absent.mid"):
        assert main(["continue", str(path), "--model", model]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_gap_is_filled_and_the_rest_of_the_file_stays(filler: str, prompt: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    argv = ["continue", prompt, "--model", filler, "--fill", "8.6:10.3", "--variations", "2", "--plot", "-o", str(out)]
    assert main(["continue", prompt, "--model", filler, "--notes", "3", "-o", str(out)]) == 0
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert len(list(out.glob("*-filled-*"))) == 6
    for k in (1, 2):
        record = json.loads((out / f"étude-filled-{k}.json").read_text(encoding="utf-8"))
        assert record["fill"] == [8.6, 10.3] and "prompt_seconds" not in record
        assert f"étude-filled-{k}.mid: {record['notes']} new notes" in printed
        given, music = Performance.from_midi(prompt), Performance.from_midi(out / f"étude-filled-{k}.mid")
        inside = (music.onset >= 8_600_000_000) & (music.onset < 10_300_000_000)
        assert inside.sum() == record["notes"]
        kept = (given.onset < 8_600_000_000) | (given.onset >= 10_300_000_000)
        for column in ("pitch", "velocity", "onset"):
            assert getattr(music, column)[~inside].tolist() == getattr(given, column)[kept].tolist()
    assert (out / "étude-filled-1.mid").read_bytes() != (out / "étude-filled-2.mid").read_bytes()
    assert main([*argv, "--continuation-only", "--force"]) == 0
    alone = Performance.from_midi(out / "étude-filled-2.mid")
    assert len(alone) == record["notes"] and alone.onset[0] == 0


def test_sampling_is_the_models_own_unless_given(filler: str, model: str, prompt: str, tmp_path: Path) -> None:
    for made_by, flags, expected in (
        (filler, [], (0.9, 0.002, 1.0)),
        (filler, ["--min-p", "0.02", "--top-p", "0.7"], (0.9, 0.02, 0.7)),
        (model, ["--temperature", "0.5"], (0.5, 0.01, 1.0)),
    ):
        argv = ["continue", prompt, "--model", made_by, "--notes", "3", "--force", "-o", str(tmp_path), *flags]
        assert main(argv) == 0
        sampling = json.loads((tmp_path / "étude-1.json").read_text(encoding="utf-8"))["settings"]["sampling"]
        assert (sampling["temperature"], sampling["min_p"], sampling["top_p"]) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fill", "6"], "START:END"),
        (["--fill", "a:b"], "START:END"),
        (["--fill", "9:6"], "behind it"),
        (["--fill", "6:nan"], "behind it"),
        (["--fill", "6:9", "--seconds", "3"], "leave out --seconds"),
        (["--fill", "6:9", "--prompt-seconds", "3"], "leave out --prompt-seconds"),
        (["--fill", "6:9", "--end"], "leave out --end"),
        (["--fill", "6:6.05"], "must last"),
        (["--fill", "6:60"], "continue the file instead"),
    ],
)
def test_gaps_that_cannot_be_filled_are_one_line(filler: str, prompt: str, capsys, arguments, said) -> None:
    assert main(["continue", prompt, "--model", filler, *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_gap_that_cannot_be_filled_leaves_the_folders_as_they_were(filler: str, prompt: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.iterdir())
    for out in ("new/inside", "there"):
        assert main(["continue", prompt, "--model", filler, "--fill", "6:60", "-o", str(tmp_path / out)]) == 2
        assert sorted(tmp_path.iterdir()) == before


def test_a_model_that_was_not_trained_to_fill_is_refused(model: str, prompt: str, capsys) -> None:
    assert main(["continue", prompt, "--model", model, "--fill", "6:9"]) == 2
    error = capsys.readouterr().err
    assert "not trained with infilling" in error and error.count("\n") == 1


def test_a_draft_is_reported_and_another_vocabulary_refused(model: str, prompt: str, tmp_path: Path, capsys) -> None:
    argv = ["continue", prompt, "--model", model, "--notes", "10", "-o", str(tmp_path / "out"), "--draft"]
    assert main([*argv, model]) == 0
    printed = capsys.readouterr().out
    assert "draft: engine: " in printed
    record = json.loads((tmp_path / "out" / "étude-1.json").read_text(encoding="utf-8"))
    assert record["draft"] == model
    assert f", {record['timings']['draft_accepted']:.0%} of the draft accepted" in printed
    v, other = Vocabulary.aria(), tmp_path / "other.safetensors"
    save(other, Transformer(ModelConfig(vocab_size=len(v), d_model=8, n_heads=1, n_layers=1, d_ff=8, context=64)), v)
    assert main([*argv, str(other), "--engine", "torch", "--force"]) == 2
    assert capsys.readouterr().err.strip() == (
        "partimento: the draft speaks another vocabulary of 17,727 tokens, the model one of 2,675; "
        "take a draft with the model's own"
    )


def test_the_commands_of_the_readme_work_one_after_another(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    shell = "".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL))
    commands = [shlex.split(line, comments=True) for line in shell.splitlines()]
    listening = ("studio", "duet")  # which wait for people and their instruments
    commands = [words[1:] for words in commands if words and words[0].endswith("partimento")]
    commands = [words for words in commands if words[0] not in listening]
    assert len(commands) > 3
    for words in commands:
        flags = ["", *words[:-1]]
        assert main([SHORT.get(flag, word) for flag, word in zip(flags, words, strict=True)]) == 0, (
            capsys.readouterr().err
        )
    assert (tmp_path / "demo" / "ballad-filled-1.mid").exists()
