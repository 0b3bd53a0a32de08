"""`partimento tokens FILE.mid`: a file as the model reads it, beside other schemes, and tokens back into MIDI."""

from __future__ import annotations

import json as json_library
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Force, Plot, Strict, VerbOptions
from partimento.commands.common.outputs import file_to_write
from partimento.commands.common.reading import read_midi
from partimento.errors import UserError

if TYPE_CHECKING:
    from partimento.midi.performance import Performance
    from partimento.tokens.notes import Notes
    from partimento.tokens.tokenizer import Tokenizer

_VOCABULARIES = ("aria", "piano")
_BARS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Show a MIDI file as tokens, one event a line: index, tokens, text, time. Or write tokens as MIDI."""

    file: Annotated[Path, tyro.conf.Positional]
    """The MIDI file; with --decode a file of token numbers: JSON (a list, or what --json prints) or plain numbers."""
    compare: bool = False
    """Print the same notes as Music Transformer, MuseNet and REMI (at 120 beats a minute, 4/4) would write them."""
    bars: int | None = None
    """How many bars of 2 s --compare shows; 0: all of them (2 unless given)."""
    plot: Plot = False
    decode: bool = False
    """FILE holds tokens; write them as MIDI to --out."""
    vocabulary: Literal["aria", "piano"] | None = None
    """17,727 tokens of eleven instruments, or 2,675 of piano and pedal. Without it: what --json wrote down, else
    aria.
    """
    pedal_tokens: bool = False
    """Spell the pedal out instead of folding it into durations (vocabulary piano)."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The MIDI file that --decode writes, or the picture of --compare --plot (the file's name and -tokens.png)."""
    strict: Strict = False
    force: Force = False

    def __post_init__(self) -> None:
        if self.compare and self.decode:
            raise UserError("--compare and --decode exclude each other")
        if self.json and self.decode:
            raise UserError("--json and --decode exclude each other")
        if not self.compare and (self.plot or self.bars is not None):
            raise UserError("--bars and --plot are for --compare")
        if self.compare and self.pedal_tokens:
            raise UserError("the schemes of --compare have no tokens of the pedal; leave out --pedal-tokens")
        if self.bars is not None and self.bars < 0:
            raise UserError(f"--bars is {self.bars}; give 0 or more")
        if self.decode and self.out is None:
            raise UserError("--decode needs -o OUT.mid")
        if self.out is not None and not (self.decode or self.plot):
            raise UserError("-o is for --decode and --plot; listings go to standard output")


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="tokens")
    if options.decode:
        _decode(options)
        return 0
    picture = None
    if options.plot:
        picture = options.out or Path(f"{options.file.stem}-tokens.png")
        file_to_write(picture, ".png", force=options.force)
    # Only now: they take longer than all else that --help needs.
    from partimento.tokens import display

    name = options.vocabulary or "aria"
    tokenizer = _tokenizer(name)
    performance = read_midi(options.file, strict=options.strict)
    tokens = tokenizer.encode(performance, pedal_tokens=options.pedal_tokens)
    if options.compare:
        _compare(options, tokenizer, performance, picture)
    elif options.json:
        texts = _texts(tokenizer, tokens.tolist())
        print(json_library.dumps({"vocabulary": name, "ids": tokens.tolist(), "tokens": texts}, ensure_ascii=False))
    else:
        print("\n".join(display.listing(tokenizer.vocabulary, tokens)))
    return 0


def _compare(options: Options, tokenizer: Tokenizer, performance: Performance, picture: Path | None) -> None:
    import numpy as np

    from partimento.tokens import display
    from partimento.tokens.notes import Notes

    notes = Notes.from_performance(performance, instruments=tokenizer.vocabulary.instruments)
    bar_ms = round(display.BEATS_IN_BAR * 60_000 / display.REMI_TEMPO)
    whole = _schemes(tokenizer, performance, notes)
    bars = _BARS if options.bars is None else options.bars
    shown = int(np.searchsorted(notes.onset_ms, bars * bar_ms)) if bars else len(notes)
    first = notes.slice(0, shown)
    schemes = whole if shown == len(notes) else _schemes(tokenizer, performance, first)
    counts = {name: len(tokens) for name, tokens in whole.items()}
    if not options.json:
        for name, count in counts.items():
            assumed = f", at {display.REMI_TEMPO:g} beats a minute in 4/4" if name == "REMI-like" else ""
            print(f"{name}: {count} tokens for {len(notes)} notes{assumed}")
        print("", *display.side_by_side(schemes, shutil.get_terminal_size().columns), sep="\n")
        if shown < len(notes):
            options.say(f"\nthe first {shown} of {len(notes)} notes, which begin in {bars} bars; --bars shows more")
    if picture is not None:
        from partimento.tokens.figure import draw_comparison

        draw_comparison(first, schemes, picture)
    facts = {"notes": len(notes), "counts": counts, "notes_shown": shown, "schemes": schemes, "picture": picture}
    options.report(facts, *([] if picture is None else [str(picture)]))


def _schemes(tokenizer: Tokenizer, performance: Performance, notes: Notes) -> dict[str, list[str]]:
    """The notes in our own scheme and in others; what the performance begins with is ours alone."""
    from partimento.tokens import display

    v = tokenizer.vocabulary
    ours = [*tokenizer.prefixes(performance), v.start, *tokenizer.encode_notes(notes), v.end]
    return {"ours (Aria)": _texts(tokenizer, ours), **display.comparison(notes)}


def _tokenizer(vocabulary: str) -> Tokenizer:
    from partimento.tokens.tokenizer import Tokenizer
    from partimento.tokens.vocabulary import Vocabulary

    return Tokenizer(Vocabulary.aria() if vocabulary == "aria" else Vocabulary.piano())


def _texts(tokenizer: Tokenizer, tokens: Iterable[int]) -> list[str]:
    return [tokenizer.vocabulary.text_of(int(token)) for token in tokens]


def _decode(options: Options) -> None:
    assert options.out is not None, "the options say so"
    file_to_write(options.out, ".mid", ".midi", force=options.force)
    tokens, written_with = _read_tokens(options.file)
    name = options.vocabulary or written_with
    performance = _tokenizer(name).decode(tokens)
    performance.write_midi(options.out)
    options.say(f"{len(performance)} notes, {performance.seconds:.2f} s in {options.out}")


def _read_tokens(path: Path) -> tuple[list[int], str]:
    """The tokens in a file, and the name of the vocabulary it says they belong to, else 'aria'."""
    name = "aria"
    try:
        text = path.read_text(encoding="utf-8").strip()
        if text.startswith(("{", "[")):
            found = json_library.loads(text)
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
