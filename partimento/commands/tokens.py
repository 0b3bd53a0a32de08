"""`partimento tokens FILE.mid`: a file as the model reads it, beside other schemes, and ids back into MIDI."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from partimento.commands.flags import parse
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.tokens import display
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

_VOCABULARIES = {"aria": Vocabulary.aria, "piano": Vocabulary.piano}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Show a MIDI file as tokens, one event a line: index, ids, text, time. Or write ids as MIDI."""

    file: Annotated[Path, tyro.conf.Positional]
    """The MIDI file; with --decode a file of ids: JSON (a list, or what --json prints) or plain numbers."""
    json: bool = False
    """Print JSON: vocabulary, ids, tokens."""
    compare: bool = False
    """Print the same notes as Music Transformer, MuseNet and REMI (at 120 beats a minute, 4/4) would write them."""
    decode: bool = False
    """FILE holds ids; write them as MIDI to --out."""
    vocabulary: Literal["aria", "piano"] | None = None
    """17,727 ids of eleven instruments, or 2,675 of piano and pedal. Without it: what --json wrote down, else aria."""
    pedal_tokens: bool = False
    """Spell the pedal out instead of folding it into durations (vocabulary piano)."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The MIDI file that --decode writes."""
    force: bool = False
    """Let --decode replace an existing file."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="tokens")
    if options.json + options.compare + options.decode > 1:
        raise UserError("--json, --compare and --decode exclude each other")
    if options.out is not None and not options.decode:
        raise UserError("-o is for --decode; listings go to standard output")
    if options.decode:
        _decode(options)
        return 0
    name = options.vocabulary or "aria"
    tokenizer = Tokenizer(_VOCABULARIES[name]())
    performance = Performance.from_midi(options.file)
    ids = tokenizer.encode(performance, pedal_tokens=options.pedal_tokens)
    if options.json:
        tokens = [tokenizer.vocabulary.token(id) for id in ids.tolist()]
        print(json.dumps({"vocabulary": name, "ids": ids.tolist(), "tokens": tokens}, ensure_ascii=False))
    elif options.compare:
        _compare(tokenizer, performance, [tokenizer.vocabulary.token(id) for id in ids.tolist()])
    else:
        print("\n".join(display.listing(tokenizer.vocabulary, ids)))
    return 0


def _compare(tokenizer: Tokenizer, performance: Performance, ours: list[str]) -> None:
    notes = Notes.from_performance(performance, instruments=tokenizer.vocabulary.instruments)
    schemes = {"ours (Aria)": ours, **display.comparison(notes)}
    for name, tokens in schemes.items():
        assumed = f", at {display.REMI_TEMPO:g} beats a minute in 4/4" if name == "REMI-like" else ""
        print(f"{name}: {len(tokens)} tokens for {len(notes)} notes{assumed}")
        print("  " + " | ".join(tokens) + "\n")


def _decode(options: Options) -> None:
    if options.out is None:
        raise UserError("--decode needs -o OUT.mid")
    if options.out.exists() and not options.force:
        raise UserError(f"{options.out}: already exists; choose another name or give --force")
    ids, written_with = _read_ids(options.file)
    name = options.vocabulary or written_with
    performance = Tokenizer(_VOCABULARIES[name]()).decode(ids)
    performance.write_midi(options.out)
    print(f"{len(performance)} notes, {performance.seconds:.2f} s in {options.out}")


def _read_ids(path: Path) -> tuple[list[int], str]:
    """The ids in a file, and the name of the vocabulary it says they belong to, else 'aria'."""
    name = "aria"
    try:
        text = path.read_text(encoding="utf-8").strip()
        if text.startswith(("{", "[")):
            found = json.loads(text)
            if isinstance(found, dict):
                name, found = found.get("vocabulary", name), found["ids"]
        else:
            found = [int(word) for word in text.replace(",", " ").split()]
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}: holds no token ids ({type(error).__name__}: {error})") from error
    if not isinstance(name, str) or name not in _VOCABULARIES:
        raise UserError(f"{path}: unknown vocabulary {name!r}; there are {', '.join(_VOCABULARIES)}")
    if not isinstance(found, list) or any(type(id) is not int for id in found):
        raise UserError(f"{path}: token ids are whole numbers in one list")
    outside = next((id for id in found if not 0 <= id < 2**31), None)
    if outside is not None:
        raise UserError(f"{path}: {outside} is no token id")
    return found, name
