r"""What is known about a file beyond its notes: who composed it, which work, what kind of music.

Rules that a reader can check, over names and texts, in the tables of `names.py`; and tables that somebody made. It
refuses to listen: nothing here is guessed from notes. Every value says where it is from; where several speak, the
first of `PROVENANCES` counts.

- Words are lower case without accents; what is not a letter or digit divides them, and so does a change between letters
  and digits ("op10" is "op 10").
- composer: a folder that is called nothing but a composer's name; else the first spelling that stands in the file name,
  a folder's name (the innermost first), or a text of the file.
- opus: op. 10, BWV 846, K. 331, D. 960, S. 139, HWV, WoO, Hob. XVI:50. Catalogues of one letter, only beside their
  composer. piece: the number that follows one ("op. 10 no. 4", "op10/4"), or "no. 4" anywhere behind it; for folders
  named as a work, a number that begins the folder or file inside it.
- form: the first word that names one, if a composer or an opus is known: "Prelude to a Kiss" is none.
- period: the composer's. genre: classical for a known composer, else the name of a folder (jazz, pop, game ...).
- performer and title: "Title--Performer" or "@PERFORMER: ..." in a text; or the file's name as the title, if it has two
  words of letters and no number in its first word.

    >>> found = of_names("Chopin/Etudes_op_10/4/Dulu02.mid", texts=())
    >>> found["composer"], found["opus"], found["piece"], found["form"]
    (('chopin', 'folder'), ('op. 10', 'folder'), ('4', 'folder'), ('etude', 'folder'))
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import Final

from partimento.corpus.archives import MEMBER
from partimento.corpus.survey.manifest import METADATA
from partimento.corpus.survey.names import CATALOGUES, COMPOSER_OF, FORM_OF, GENRE_OF, PERIOD_OF

CSV: Final = "csv"
ARIA_MIDI: Final = "aria-midi"
FILE_NAME: Final = "file name"
FOLDER: Final = "folder"
MIDI_TEXT: Final = "midi text"
PROVENANCES: Final = (CSV, ARIA_MIDI, FILE_NAME, FOLDER, MIDI_TEXT)

Found = dict[str, tuple[str, str]]
"""Name of a value -> (value, provenance)."""

_MOST_WORDS: Final = max(len(words) for words in COMPOSER_OF)
_WORD: Final = re.compile(r"[a-z]+|\d+")
_HOBOKEN: Final = re.compile(r"\b(?:hob(?:oken)?)?[\s._]*([ivx]+)\s*[:/_.]\s*(\d+)", re.IGNORECASE)
_NUMBER_SIGNS: Final = frozenset({"no", "nr", "n", "num", "number", "nummer", "nro"})
_TEXT_FIELD: Final = re.compile(r"@(PERFORMER|TITLE|COMPOSER)\s*:\s*(.+)", re.IGNORECASE)
_TITLE_AND_PERFORMER: Final = re.compile(r"(\S.*?)\s*--\s*(\S.*?)\s*")
_MAX_TEXTS: Final = 8


def words(text: str) -> list[str]:
    """Lower case, no accents, letters and digits apart."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
        text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _WORD.findall(text.lower())


def of_names(path: str, texts: Sequence[str]) -> Found:
    """What the path of a file and its texts say, by the rules above."""
    *folders, stem = path.replace(MEMBER, "/").rpartition(".")[0].split("/")
    spoken: list[tuple[str, str]] = [(stem, FILE_NAME), *((folder, FOLDER) for folder in reversed(folders))]
    spoken += [(text, MIDI_TEXT) for text in texts[:_MAX_TEXTS] if not text.startswith("@")]
    in_words = [(words(text), provenance) for text, provenance in spoken]

    found: Found = {}
    named_so = ((COMPOSER_OF.get(tuple(text)), FOLDER) for text, provenance in in_words if provenance == FOLDER)
    mentioned = ((composer_in(text), provenance) for text, provenance in in_words)
    _first(found, "composer", chain(named_so, mentioned))
    composer = found.get("composer", ("", ""))[0]
    for place, (text, provenance) in enumerate(in_words):
        opus, piece = work_in(text, composer) if provenance != MIDI_TEXT or composer else ("", "")
        if not opus and composer == "haydn":
            opus = _hoboken(spoken[place][0])
        if opus:
            found["opus"] = opus, provenance
            if not piece and provenance == FOLDER:
                piece = _leading_number(in_words[:place])
            if piece:
                found["piece"] = piece, provenance
            break
    if composer or "opus" in found:
        _first(found, "form", ((_form_in(text), provenance) for text, provenance in in_words))
    if composer:
        provenance = found["composer"][1]
        found["period"] = PERIOD_OF[composer], provenance
        found["genre"] = "classical", provenance
    else:
        genres = (GENRE_OF.get("".join(text)) for text, provenance in in_words if provenance == FOLDER)
        _first(found, "genre", ((genre, FOLDER) for genre in genres))
    _performer_and_title(found, stem, texts)
    return found


def composer_in(text: Sequence[str]) -> str | None:
    """The composer named first; of names that begin at one word the longest."""
    for start in range(len(text)):
        for length in range(min(_MOST_WORDS, len(text) - start), 0, -1):
            composer = COMPOSER_OF.get(tuple(text[start : start + length]))
            if composer:
                return composer
    return None


def work_in(text: Sequence[str], composer: str) -> tuple[str, str]:
    """(opus, piece) named first: a sign of a catalogue and a number, and the number after that; "" where unsaid."""
    for i, sign in enumerate(text[:-1]):
        if sign not in CATALOGUES:
            continue
        written, whose = CATALOGUES[sign]
        if len(sign) == 1 and composer not in whose:
            continue
        at = i + 2 if text[i + 1] in ("posth", "post", "no") and i + 2 < len(text) else i + 1
        if not text[at].isdigit():
            continue
        return f"{written}{int(text[at])}", _piece_after(text, at + 1)
    return "", ""


def _piece_after(text: Sequence[str], at: int) -> str:
    """A number here, or after "no." from here on."""
    if at < len(text) and text[at].isdigit():
        return str(int(text[at]))
    for sign, number in pairwise(text[at:]):
        if sign in _NUMBER_SIGNS and number.isdigit():
            return str(int(number))
    return ""


def _leading_number(inside: Iterable[tuple[Sequence[str], str]]) -> str:
    """The number that begins the name of the file or a folder inside a work's folder, the outermost first."""
    for text, _ in reversed(list(inside)):
        if text and text[0].isdigit():
            return str(int(text[0]))
    return ""


def _hoboken(text: str) -> str:
    match = _HOBOKEN.search(text)
    return f"Hob. {match[1].upper()}:{int(match[2])}" if match else ""


def _form_in(text: Sequence[str]) -> str | None:
    return next((FORM_OF[word] for word in text if word in FORM_OF), None)


def _performer_and_title(found: Found, stem: str, texts: Sequence[str]) -> None:
    for text in texts:
        field = _TEXT_FIELD.match(text)
        if field:
            found.setdefault(field[1].lower(), (field[2].strip(), MIDI_TEXT))
            continue
        both = _TITLE_AND_PERFORMER.fullmatch(text)
        if both:
            found.setdefault("title", (both[1], MIDI_TEXT))
            found.setdefault("performer", (both[2], MIDI_TEXT))
    spoken = stem.replace("_", " ").split()
    if sum(word.strip(",.()'!?&-").isalpha() for word in spoken) >= 2 and not any(c.isdigit() for c in spoken[0]):
        found["title"] = " ".join(spoken), FILE_NAME


def _first(found: Found, name: str, candidates: Iterable[tuple[str | None, str]]) -> None:
    for value, provenance in candidates:
        if value:
            found[name] = value, provenance
            return


def columns(found: Found) -> dict[str, str | None]:
    """As the manifest's columns: each value and its `_from`, null where nothing is known."""
    row: dict[str, str | None] = {}
    for name in METADATA:
        row[name], row[f"{name}_from"] = found.get(name, (None, None))
    return row
