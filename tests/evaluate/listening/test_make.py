import hashlib
import json
import shutil
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from partimento.audio.loudness import loudness
from partimento.audio.samples import RATE
from partimento.cli import main
from partimento.errors import UserError
from partimento.evaluate.continuation.prompts import Span, choose
from partimento.evaluate.listening.checks import CENTRE_HZ, WIDTH, dichotic_noise, headphone_question
from partimento.evaluate.listening.make import make
from partimento.evaluate.listening.manifest import Manifest, sound_file
from partimento.evaluate.listening.study import read_study
from partimento.evaluate.listening.votes import VOTES, VoteLog
from partimento.evaluate.systems import systems_of
from partimento.generate.engine import Engine
from tests.evaluate.listening.world import STUDY, write_study
from tests.evaluate.small_world import base_model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """STUDY.toml and the folder that was made of it; tests copy what they change."""
    folder = tmp_path_factory.mktemp("study")
    path = write_study(folder)
    make(path, folder / "out")
    return path, folder / "out"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_clips_are_equally_long_and_loud_and_named_by_nothing(made):
    _, out = made
    manifest = Manifest.read(out)
    assert len(manifest.clips) == 2 * (2 + 1 + 1 + 2)
    names = {name.lower() for name in [*manifest.study.names, *manifest.prompts]}
    for id_, sha256 in manifest.files.items():
        path = sound_file(out, id_)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
        sound, rate = soundfile.read(path)
        assert rate == RATE and sound.shape[1] == 2 and np.abs(sound).max() <= 10 ** (-1 / 20) + 1e-4
        assert loudness(sound) == pytest.approx(-23.0, abs=0.05)
        assert not any(name in path.name for name in names)
    of_music = [*manifest.clips, *(clip for check in manifest.attention for clip in (check.good, check.bad))]
    assert {soundfile.info(sound_file(out, clip.id)).frames for clip in of_music} == {2 * RATE}


def test_the_prompt_is_the_same_for_everybody_and_the_rest_is_not(made):
    _, out = made
    manifest = Manifest.read(out)
    heard = {
        clip.id: soundfile.read(sound_file(out, clip.id), frames=RATE * 4 // 5)[0]
        for clip in manifest.clips
        if clip.prompt == manifest.prompts[0]
    }
    loud = {id_: sound / np.abs(sound).max() for id_, sound in heard.items()}
    first = next(iter(loud.values()))
    assert all(np.corrcoef(first.ravel(), other.ravel())[0, 1] > 0.999 for other in loud.values())
    assert len({clip.sha256 for clip in manifest.clips}) == len(manifest.clips)


def test_notes_lie_beside_the_clips_of_systems_that_have_notes(made):
    path, out = made
    manifest = Manifest.read(out)
    for clip in manifest.clips:
        notes = out / "clips" / f"{clip.id}.mid"
        assert notes.is_file() == clip.notes == (clip.system != "a synthesiser")
    title = manifest.prompts[0]
    (pianists,) = manifest.of("pianists", title)
    files = (path.parent / "midi" / f"{title}.mid", out / "clips" / f"{pianists.id}.mid")
    played, copied = ([m.note for m in mido.MidiFile(f) if m.type == "note_on" and m.velocity] for f in files)
    assert copied == played[: len(copied)] and len(copied) == 18


@pytest.fixture
def copy(made, tmp_path):
    """STUDY.toml and a folder of one's own to spoil."""
    path, out = made
    return path, Path(shutil.copytree(out, tmp_path / "out"))


def test_a_study_that_was_killed_goes_on_and_is_the_same(made, copy):
    """Killed while it wrote the third of four clips that were missing, then called again."""
    path, out = copy
    clips = Manifest.read(out).clips
    (out / "manifest.json").unlink()
    for clip in clips[2:10:2]:
        (out / "clips" / f"{clip.id}.json").unlink()
        sound_file(out, clip.id).write_bytes(b"half of it")

    def kill(_done, _total, told=[]):  # noqa: B006
        told.append(1)
        if len(told) == 7:
            raise Killed

    with pytest.raises(Killed):
        make(path, out, progress=kill)
    with pytest.raises(UserError, match="no study that is ready"):
        Manifest.read(out)
    assert len(list((out / "clips").glob("*.json"))) == len(list((made[1] / "clips").glob("*.json"))) - 1
    written = {one: one.stat().st_mtime_ns for one in (out / "clips").glob("*.json")}
    make(path, out)
    assert contents(out) == contents(made[1])
    assert all(one.stat().st_mtime_ns == when for one, when in written.items())


class Killed(Exception):
    pass


def test_a_changed_clip_and_a_changed_rule_are_refused(copy):
    path, out = copy
    manifest = Manifest.read(out)
    victim = sound_file(out, manifest.clips[0].id)
    original = victim.read_bytes()
    victim.write_bytes(original[:-1] + b"\0")
    with pytest.raises(UserError, match="is not the one that was made"):
        Manifest.read(out)
    victim.unlink()
    with pytest.raises(UserError, match="is missing"):
        Manifest.read(out)
    victim.write_bytes(original)
    VoteLog(out / VOTES, digest=manifest.digest).__exit__()
    assert make(path, out) == manifest
    path.with_name("OTHER.toml").write_text(STUDY.replace("attention_right = 1", "attention_right = 0"))
    with pytest.raises(UserError, match="has votes already"):
        make(path.with_name("OTHER.toml"), out)
    record = json.loads((out / "manifest.json").read_text())
    record["study"]["checks"]["attention_right"] = 0
    (out / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="other clips or rules"):
        VoteLog(out / VOTES, digest=Manifest.read(out).digest)


def test_a_changed_study_keeps_what_it_still_uses(copy):
    path, out = copy
    before = Manifest.read(out)
    changed = path.with_name("CHANGED.toml")
    changed.write_text(STUDY.replace("seconds = 0.1", "seconds = 0.08"))
    after = make(changed, out)
    kept = {clip.id for clip in before.clips} & {clip.id for clip in after.clips}
    assert {clip.system for clip in after.clips if clip.id not in kept} == {"shuffled"}
    assert {one.stem for one in (out / "clips").iterdir()} == set(after.files)


def test_the_shuffled_control_plays_the_pianists_notes_in_another_order(made):
    path, _ = made
    study = read_study(path)
    shuffled = systems_of(study.systems, path.parent)[3]
    prompt = choose(path.parent / "midi", study.span)[0]
    again = [shuffled.continuation(prompt, study.span, sample=k, seed=5) for k in (0, 0, 1)]
    truth = prompt.music.slice_time(1.0, 2.0)
    assert again[0] == again[1] != again[2]
    for music in again:
        assert sorted(music.pitch) == sorted(truth.pitch)
        assert music.onset_seconds.min() >= 1.0 and music.onset_seconds.max() < 2.0


WRONG = {
    'consent = "We keep': ('consent = "REPLACE THIS', "consent is not written yet"),
    'consent = "We keep what you answer and nothing else."': ("", "study lacks consent"),
    'reference = "ours"': ('reference = "theirs"', "the systems are ours, a synthesiser"),
    "count = 2": ("count = 9", "holds 3 pieces"),
    "samples = 2": ("samples = 3", "holds no .*-3"),
    "each = 3": ("each = 30", "comparisons in which nobody hears a clip twice"),
    'kind = "shuffled"': ('kind = "shufled"', "perhaps you meant 'shuffled'"),
    'name = "pianists"': ('name = "ours"', "of different names"),
    "seconds = 0.1": ("second = 0.1", "perhaps you meant 'seconds'"),
    "[checks]": ("[checks]\nattentions = 3", "perhaps you meant 'attention'"),
    "attention_right = 1": ("attention_right = 3", r"checks\.attention_right is 3; it must lie in 0\.\.1"),
    "samples_of_each = 1": ("samples_of_each = 2", "holds no"),
    "seed = 5": ("seed = 5\n[clips]\nloudness = -15", "Cannot declare|peaks of a clip"),
}


@pytest.mark.parametrize("right", WRONG)
def test_what_is_wrong_with_a_study_is_said_in_one_line(made, tmp_path, right):
    wrong, said = WRONG[right]
    path = made[0].with_name(f"WRONG-{list(WRONG).index(right)}.toml")
    path.write_text(STUDY.replace(right, wrong, 1))
    with pytest.raises(UserError, match=said) as error:
        make(path, tmp_path / "out")
    assert "\n" not in str(error.value)


def test_huggins_tone_is_between_the_ears_and_in_neither_of_them():
    rng = np.random.default_rng(0)
    noise = np.stack([dichotic_noise(rng, tone=True) for _ in range(40)])
    left, right = (np.fft.rfft(noise[:, :, side], axis=1) for side in (0, 1))
    hertz = np.fft.rfftfreq(noise.shape[1], 1 / RATE)
    near = np.abs(hertz / CENTRE_HZ - 1)
    inside, outside = near < WIDTH * 0.8, (near > 2 * WIDTH) & (near < 6 * WIDTH)
    phase = np.angle((left * right.conj()).sum(axis=0))
    assert np.abs(phase[inside]).min() > 3.0 and np.abs(phase[outside]).max() < 0.1
    for side in (left, right):  # either ear alone: as much in the band as beside it
        power = (np.abs(side) ** 2).mean(axis=0)
        assert power[inside].mean() == pytest.approx(power[outside].mean(), rel=0.1)
    same = dichotic_noise(rng, tone=False)
    assert np.array_equal(same[:, 0], same[:, 1])


def test_the_answer_to_a_headphone_question_is_where_the_sides_differ():
    for seed in range(6):
        sound, answer = headphone_question(np.random.default_rng(seed))
        differs = np.abs(sound[:, 0] - sound[:, 1])
        assert int(np.argmax(differs) / RATE / 1.5 - 0.3) == answer


def test_a_model_goes_on_with_the_seed_of_the_sample(tmp_path):
    model = base_model(tmp_path / "random.safetensors")
    path = write_study(
        tmp_path,
        STUDY.replace(
            'kind = "midi"\nfolder = "ours"', 'kind = "model"\nmodel = "random.safetensors"\ncandidates = 1'
        ).replace("seed = 5", "seed = 7"),
    )
    ours = systems_of(read_study(path).systems, tmp_path)[0]
    prompt = choose(tmp_path / "midi", Span(prompt=1.0, seconds=1.0))[0]
    span = Span(prompt=1.0, seconds=20.0)
    made = [ours.continuation(prompt, span, sample=k, seed=7) for k in (0, 1)]
    engine = Engine.load(str(model))
    direct = engine.continue_(prompt.given, seconds=20.0, seed=8, candidates=1, from_seconds=1.0)
    assert made[1] == direct[0].generated != made[0]


def test_the_command_says_what_it_made(made, capsys):
    path, out = made
    assert main(["listen", "make", str(path), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "12 clips" in said and "power" in said


def test_the_example_is_a_study_but_for_its_consent(tmp_path):
    example = Path(__file__).parents[3] / "examples" / "study.toml"
    with pytest.raises(UserError, match="consent is not written yet"):
        read_study(example)
    written = tmp_path / "study.toml"
    written.write_text(example.read_text().replace("REPLACE THIS by", "This is"))
    study = read_study(written)
    assert len(systems_of(study.systems, tmp_path)) == 5 and len(study.pairs()) == 4
