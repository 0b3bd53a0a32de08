"""What musicians call things: composers with their periods and spellings, forms, and catalogues of works.

Tables for `metadata.py` to look words up in, for a reader to check and to extend. All spellings are in lower case
without accents, as `metadata.words` writes them. It refuses to guess: family names that are everyday words (Field,
Price, Glass) or many people's (Strauss, Bach's sons) stand only with the first name.
"""

from __future__ import annotations

from typing import Final

_COMPOSERS: Final[dict[str, dict[str, str]]] = {
    "baroque": {
        "bach": "j s bach, js bach, johann sebastian bach, bach",
        "handel": "haendel",
        "scarlatti": "domenico scarlatti",
        "couperin": "",
        "rameau": "",
        "telemann": "",
        "vivaldi": "",
        "purcell": "",
        "pachelbel": "",
        "buxtehude": "",
        "froberger": "",
        "sweelinck": "",
        "frescobaldi": "",
        "soler": "antonio soler, padre soler",
    },
    "classical": {
        "beethoven": "",
        "mozart": "",
        "haydn": "",
        "clementi": "",
        "cpe-bach": "c p e bach, cpe bach, carl philipp emanuel bach",
        "jc-bach": "j c bach, jc bach, johann christian bach",
        "kuhlau": "",
        "dussek": "",
        "hummel": "johann nepomuk hummel, j n hummel",
        "diabelli": "",
        "cimarosa": "",
    },
    "romantic": {
        "chopin": "szopen",
        "liszt": "",
        "schubert": "",
        "schumann": "robert schumann",
        "clara-schumann": "clara schumann, clara wieck",
        "brahms": "",
        "mendelssohn": "mendelssohn bartholdy",
        "fanny-hensel": "fanny hensel, fanny mendelssohn",
        "rachmaninoff": "rachmaninov, rachmaninow, rakhmaninov, rachmaninof",
        "scriabin": "skryabin, skrjabin, scriabine, skriabin",
        "grieg": "",
        "tchaikovsky": "tschaikowsky, tchaikowsky, chaikovsky, tschaikowski, tchaikovski",
        "mussorgsky": "moussorgsky, mussorgskij, musorgsky, mussorgski",
        "balakirev": "balakirew",
        "borodin": "",
        "glinka": "",
        "rimsky-korsakov": "rimsky korsakov, rimski korsakow",
        "rubinstein": "anton rubinstein",
        "lyadov": "liadov, ljadow",
        "lyapunov": "liapunov",
        "medtner": "",
        "arensky": "",
        "glazunov": "glazounov",
        "albeniz": "",
        "granados": "",
        "moszkowski": "",
        "paderewski": "",
        "godowsky": "",
        "leschetizky": "",
        "thalberg": "",
        "alkan": "",
        "czerny": "",
        "burgmuller": "burgmueller",
        "heller": "stephen heller",
        "raff": "joachim raff",
        "weber": "carl maria von weber, c m v weber",
        "field": "john field",
        "franck": "cesar franck",
        "saint-saens": "saint saens",
        "faure": "gabriel faure",
        "chaminade": "",
        "chabrier": "",
        "gounod": "",
        "dvorak": "",
        "smetana": "",
        "sinding": "",
        "macdowell": "",
        "gottschalk": "",
        "strauss": "johann strauss, josef strauss, johann strauss ii",
        "wagner": "richard wagner",
        "verdi": "giuseppe verdi",
    },
    "impressionist": {
        "debussy": "",
        "ravel": "",
        "satie": "erik satie",
        "ibert": "jacques ibert",
        "mompou": "",
    },
    "modern": {
        "prokofiev": "prokofieff, prokofjew, prokofjev",
        "shostakovich": "schostakowitsch, shostakovitch",
        "bartok": "",
        "stravinsky": "strawinsky",
        "kapustin": "",
        "ginastera": "",
        "messiaen": "",
        "hindemith": "",
        "poulenc": "",
        "kabalevsky": "kabalewski",
        "khachaturian": "chatschaturjan",
        "ligeti": "",
        "szymanowski": "",
        "janacek": "",
        "richard-strauss": "richard strauss",
        "respighi": "",
        "villa-lobos": "villa lobos",
    },
}

# A family name alone is a spelling too, unless it is one of these: everyday words and names of several people.
_NEVER_ALONE: Final = frozenset(
    {"field", "heller", "weber", "soler", "raff", "franck", "wagner", "verdi", "hummel", "strauss", "cpe-bach",
     "jc-bach", "clara-schumann", "fanny-hensel", "richard-strauss"}
)  # fmt: skip

PERIOD_OF: Final = {composer: period for period, composers in _COMPOSERS.items() for composer in composers}
"""Composer -> period."""

COMPOSER_OF: Final = {
    tuple(spelling.split()): composer
    for composers in _COMPOSERS.values()
    for composer, others in composers.items()
    for spelling in [*([] if composer in _NEVER_ALONE else [composer.replace("-", " ")]), *others.split(", ")]
    if spelling
}
"""Words in a row -> composer; the longest that fits counts."""

_FORMS: Final = {
    "sonata": "sonatas sonate sonaten sonates sonatina sonatine sonatinas sonatinen",
    "prelude": "preludes praeludium praludium preludium preludio praeludien praludien",
    "fugue": "fugues fuga fuge fugen fughetta",
    "etude": "etudes etuden study studies etudentableaux",
    "nocturne": "nocturnes notturno nocturno nocturn",
    "waltz": "waltzes valse valses walzer",
    "mazurka": "mazurkas mazurken mazurek",
    "impromptu": "impromptus",
    "ballade": "ballades balladen",
    "scherzo": "scherzos scherzi",
    "polonaise": "polonaises polonase polonasen polonez",
    "rhapsody": "rhapsodies rhapsodie rhapsodien rapsodie",
    "fantasia": "fantasias fantasie fantasien fantasy fantaisie phantasie",
    "variations": "variation variationen",
    "toccata": "toccatas",
    "rondo": "rondos rondeau",
    "invention": "inventions inventio inventionen sinfonia",
    "barcarolle": "barcarole",
    "berceuse": "",
    "bagatelle": "bagatelles bagatellen",
    "minuet": "minuets menuet menuett",
    "concerto": "concertos",
    "suite": "suites partita partitas",
}
FORM_OF: Final = {word: form for form, words in _FORMS.items() for word in [form, *words.split()]}
"""Word -> form."""

GENRE_OF: Final = {
    "classical": "classical", "klassik": "classical", "jazz": "jazz", "ragtime": "jazz", "blues": "jazz", "pop": "pop",
    "rock": "pop", "game": "game", "games": "game", "videogame": "game", "vgm": "game", "film": "film", "folk": "folk",
}  # fmt: skip
"""Name of a folder -> genre."""

CATALOGUES: Final = {
    "bwv": ("BWV ", ("bach",)),
    "hwv": ("HWV ", ("handel",)),
    "woo": ("WoO ", ()),
    "kv": ("K. ", ("mozart",)),
    "k": ("K. ", ("mozart", "scarlatti")),
    "d": ("D. ", ("schubert",)),
    "s": ("S. ", ("liszt",)),
    "opus": ("op. ", ()),
    "op": ("op. ", ()),
}
"""Sign of a catalogue -> (how it is written here, whose works it lists: any composer's if empty).

A sign of one letter is believed only beside its composer; the others say by themselves whose work it is.
"""
