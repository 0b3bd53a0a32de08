"""One name, one meaning: the options of all verbs beside each other, what each refuses, and completion by a shell."""

import json
import re
import subprocess
import typing
import warnings
from collections import defaultdict

import pytest
import tyro

from partimento.cli import VERBS, main
from partimento.commands import completion
from partimento.commands.common.verbs import every
from partimento.midi.performance import Performance

OF_EACH_VERB = {
    "--out": "what a verb writes is its own",
    "--library": "a collection; originality takes others than those of 'partimento library', too",
    "--candidates": "what answers in a duet has to be there in time, so there are fewer",
    "--recipe": "each kind of recipe has its own names",
}
"""Flags whose text says what they are for this verb, and why."""


def parsers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name, options in ((name, verb.options()) for name, verb in every(VERBS) if verb.options()):
            yield name, options, tyro.extras.get_parser(options, config=(tyro.conf.FlagCreatePairsOff,))


def test_a_flag_of_several_verbs_has_one_text_and_every_verb_speaks_less_when_asked():
    texts = defaultdict(lambda: defaultdict(list))
    for name, options, parser in parsers():
        flags = {flag for action in parser._actions for flag in action.option_strings}
        assert {"--json", "--quiet"} <= flags, name
        recipe = typing.get_type_hints(options).get("settings")
        of_recipe = completion.flags(recipe) if recipe else {}  # the words of a recipe's file
        for action in parser._actions:
            for flag in (flag for flag in action.option_strings if flag.startswith("--") and flag not in of_recipe):
                text = re.sub(r"\[[^]]*\]|\((?:default|required)[^)]*\)", "", str(action.help)).strip()
                texts[flag.replace("--no-", "--")][text].append(name)
    unlike = {flag: dict(said) for flag, said in texts.items() if len(said) > 1 and flag not in OF_EACH_VERB}
    assert not unlike


def test_completion_knows_the_flags_that_tyro_reads():
    for name, options, parser in parsers():
        read = {flag for action in parser._actions for flag in action.option_strings} - {"-h"}
        known = completion.flags(options)
        assert read <= set(known), name
        assert {flag.replace("no-", "") for flag in set(known) - read} <= {flag.replace("no-", "") for flag in read}
        for action in parser._actions:
            for flag in action.option_strings:
                choices = set(action.choices or ()) - {"None", "True", "False"}  # a recipe says which a switch is
                assert not choices or set(known[flag]) == choices, (name, flag)


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """What bash offers for a line that is being typed, a blank at its end meaning a new word."""
    script = tmp_path_factory.mktemp("completion") / "partimento.bash"
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr("builtins.print", lambda *words, **_: said.append(" ".join(map(str, words))))
        assert main(["completion", "bash"]) == 0
    script.write_text("\n".join(said))

    def offered(line: str) -> list[str]:
        *before, word = line.split(" ")
        words = " ".join(f"'{one}'" for one in [*before, word])
        asked = f"source {script}; complete -p partimento >&2; COMP_WORDS=({words}); COMP_CWORD={len(before)}"
        command = [asked, "_partimento", 'printf "%s\\n" "${COMPREPLY[@]}"']
        done = subprocess.run(["bash", "-c", "; ".join(command)], capture_output=True, text=True, check=True)
        assert "-F _partimento" in done.stderr
        return done.stdout.split()

    return offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("partimento con", ["continue"]),
        ("partimento finetune c", ["continuation", "contrastive", "classifier"]),
        ("partimento continue a.mid --see", ["--seed"]),
        ("partimento continue a.mid --engine onnx-", ["onnx-int8", "onnx-int4"]),
        ("partimento continue continue --model bundled-e", ["bundled-embedding"]),
        ("partimento finetune contrastive store --loop.peak", ["--loop.peak-lr"]),
        ("partimento finetune contrastive store --track w", ["wandb"]),
        ("partimento render ", []),
    ],
)
def test_bash_completes(complete, line, offered):
    assert complete(line) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same_words(shell, capsys):
    assert main(["completion", shell, "--json"]) == 0
    script = json.loads(capsys.readouterr().out)["script"]
    words = {re.sub(r"^-l ", "--", word) for word in re.findall(r"-l [\w.-]+|--[\w.-]+", script)}
    assert {"--loop.peak-lr", "--over-time", "--keep-index"} <= words
    assert main(["completion", "tcsh"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        "continue a.mid -o x.wav",
        "render a.mid -o x.mid",
        "tokens a.json --decode -o x.wav",
        "survey midi -o x.parquet",
        "store midi -o x.parquet",
        "publish store -o x.parquet",
        "overlap midi store -o x.parquet",
        "pretrain store -o x.safetensors",
        "finetune continuation midi -o x.safetensors",
        "finetune contrastive store -o x.safetensors",
        "finetune classifier --task form --data midi -o x.safetensors",
        "plot run -o x.pdf",
        "embed midi -o x.csv",
        "evaluate table2 --data midi -o x.md",
        "evaluate retrieval --data midi -o x.md",
        "evaluate continuation --data midi -o x.md",
        "export bundled --format onnx -o x.onnx",
    ],
)
def test_an_output_of_another_kind_is_refused_first(words, tmp_path, monkeypatch, capsys):
    """Nothing that is named exists: whoever looks at that first complains of something else."""
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "-o" in error and words.split()[-1] in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ("continue a.mid", "a-1.mid"),
        ("render a.mid", "a.wav"),
        ("tokens a.json --decode -o b.mid", "b.mid"),
        ("tokens a.mid --compare --plot -o b.png", "b.png"),
        ("store midi -o store", "store"),
        ("publish store -o out", "out"),
        ("overlap midi store -o found.csv", "found.csv"),
        ("overlap midi store --keep-index index", "index"),
        ("plot run -o curves.png", "curves.png"),
        ("export bundled --format onnx -o out", "out"),
    ],
)
def test_what_exists_is_kept_unless_forced_in_the_same_words(words, taken, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Performance.from_notes(pitch=60, velocity=60, onset=0, duration=1).write_midi("a.mid")
    (tmp_path / "a.json").write_text("[6, 0, 1]")
    (tmp_path / taken).write_text("mine") if "." in taken else (tmp_path / taken).mkdir()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(words.split()) == 2
    said = f"partimento: {taken} exists already; give --force to replace it, or another name with -o\n"
    assert capsys.readouterr().err == said
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
