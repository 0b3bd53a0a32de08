"""`partimento tokens FILE.mid`: a file as the model reads it, beside other schemes, and tokens back into MIDI."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from partimento.commands.flags import parse
from partimento.commands.reading import read_midi
from partimento.errors import UserError
from partimento.files import refuse_existing
from partimento.midi.performance import Performance
from partimento.tokens import display
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

_VOCABULARIES = {"aria": Vocabulary.aria, "piano": Vocabulary.piano}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Show a MIDI file as tokens, one event a line: index, tokens, text, time. Or write tokens as MIDI."""

    file: Annotated[Path, tyro.conf.Positional]
    """The MIDI file; with --decode a file of token numbers: JSON (a list, or what --json prints) or plain numbers."""
    json: bool = False
    """Print JSON: vocabulary, tokens as numbers and as text."""
    compare: bool = False
    """Print the same notes as Music Transformer, MuseNet and REMI (at 120 beats a minute, 4/4) would write them."""
    decode: bool = False
    """FILE holds tokens; write them as MIDI to --out."""
    vocabulary: Literal["aria", "piano"] | None = None
    """17,727 tokens of eleven instruments, or 2,675 of piano and pedal. Without it: what --json wrote down, else
    aria.
    """
    pedal_tokens: bool = False
    """Spell the pedal out instead of folding it into durations (vocabulary piano)."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The MIDI file that --decode writes."""
    strict: bool = False
    """Refuse a damaged file instead of reading what can be read."""
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
    performance = read_midi(options.file, strict=options.strict)
    tokens = tokenizer.encode(performance, pedal_tokens=options.pedal_tokens)
    texts = [tokenizer.vocabulary.text_of(token) for token in tokens.tolist()]
    if options.json:
        print(json.dumps({"vocabulary": name, "ids": tokens.tolist(), "tokens": texts}, ensure_ascii=False))
    elif options.compare:
        _compare(tokenizer, performance, texts)
    else:
        print("\n".join(display.listing(tokenizer.vocabulary, tokens)))
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
    refuse_existing(options.out, force=options.force)
    tokens, written_with = _read_tokens(options.file)
    name = options.vocabulary or written_with
    performance = Tokenizer(_VOCABULARIES[name]()).decode(tokens)
    performance.write_midi(options.out)
    print(f"{len(performance)} notes, {performance.seconds:.2f} s in {options.out}")


def _read_tokens(path: Path) -> tuple[list[int], str]:
    """The tokens in a file, and the name of the vocabulary it says they belong to, else 'aria'."""
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
        raise UserError(f"{path}: holds no tokens ({type(error).__name__}: {error})") from error
    if not isinstance(name, str) or name not in _VOCABULARIES:
        raise UserError(f"{path}: unknown vocabulary {name!r}; there are {', '.join(_VOCABULARIES)}")
    if not isinstance(found, list) or any(type(token) is not int for token in found):
        raise UserError(f"{path}: tokens are whole numbers in one list")
    outside = next((token for token in found if not 0 <= token < 2**31), None)
    if outside is not None:
        raise UserError(f"{path}: {outside} is no token")
    return found, name
