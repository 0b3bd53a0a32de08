"""What musicians call things: composers with their periods and spellings, forms, and catalogues of works.

Tables for `metadata.py` to look words up in, for a reader to check and to extend. All spellings are in lower case
without accents, as `metadata.words` writes them. It refuses to guess: family names that are everyday words (Field,
Price, Glass) or many people's (Strauss, Bach's sons) stand only with the first name.
"""

from __future__ import annotations

from typing import Final

_COMPOSERS: Final = {
    "baroque": """
        couperin, rameau, telemann, vivaldi, purcell, pachelbel, buxtehude, froberger, sweelinck, frescobaldi
        bach: j s bach, js bach, johann sebastian bach, bach
        handel: haendel
        scarlatti: domenico scarlatti
        soler: antonio soler, padre soler
    """,
    "classical": """
        beethoven, mozart, haydn, clementi, kuhlau, dussek, diabelli, cimarosa
        cpe-bach: c p e bach, cpe bach, carl philipp emanuel bach
        jc-bach: j c bach, jc bach, johann christian bach
        hummel: johann nepomuk hummel, j n hummel
    """,
    "romantic": """
        liszt, schubert, brahms, grieg, borodin, glinka, medtner, arensky, albeniz, granados, moszkowski,
        paderewski, godowsky, leschetizky, thalberg, alkan, czerny, chaminade, chabrier, gounod, dvorak,
        smetana, sinding, macdowell, gottschalk
        chopin: szopen
        schumann: robert schumann
        clara-schumann: clara schumann, clara wieck
        mendelssohn: mendelssohn bartholdy
        fanny-hensel: fanny hensel, fanny mendelssohn
        rachmaninoff: rachmaninov, rachmaninow, rakhmaninov, rachmaninof
        scriabin: skryabin, skrjabin, scriabine, skriabin
        tchaikovsky: tschaikowsky, tchaikowsky, chaikovsky, tschaikowski, tchaikovski
        mussorgsky: moussorgsky, mussorgskij, musorgsky, mussorgski
        balakirev: balakirew
        rimsky-korsakov: rimsky korsakov, rimski korsakow
        rubinstein: anton rubinstein
        lyadov: liadov, ljadow
        lyapunov: liapunov
        glazunov: glazounov
        burgmuller: burgmueller
        heller: stephen heller
        raff: joachim raff
        weber: carl maria von weber, c m v weber
        field: john field
        franck: cesar franck
        saint-saens: saint saens
        faure: gabriel faure
        strauss: johann strauss, josef strauss, johann strauss ii
        wagner: richard wagner
        verdi: giuseppe verdi
    """,
    "impressionist": """
        debussy, ravel, mompou
        satie: erik satie
        ibert: jacques ibert
    """,
    "modern": """
        bartok, kapustin, ginastera, messiaen, hindemith, poulenc, ligeti, szymanowski, janacek, respighi
        prokofiev: prokofieff, prokofjew, prokofjev
        shostakovich: schostakowitsch, shostakovitch
        stravinsky: strawinsky
        kabalevsky: kabalewski
        khachaturian: chatschaturjan
        richard-strauss: richard strauss
        villa-lobos: villa lobos
    """,
}
"""Period -> its composers: a line of those whom a family name tells, then one for each who has other spellings."""

# A family name alone is a spelling too, unless it is one of these: everyday words and names of several people.
_NEVER_ALONE: Final = frozenset(
    {"field", "heller", "weber", "soler", "raff", "franck", "wagner", "verdi", "hummel", "strauss", "cpe-bach",
     "jc-bach", "clara-schumann", "fanny-hensel", "richard-strauss"}
)  # fmt: skip

_SPELLINGS: Final = {
    (period, composer.strip()): [spelling.strip() for spelling in others.split(",") if spelling]
    for period, lines in _COMPOSERS.items()
    for line in lines.strip().splitlines()
    for composers, _, others in [line.partition(":")]
    for composer in composers.split(",")
    if composer.strip()
}

PERIOD_OF: Final = {composer: period for period, composer in _SPELLINGS}
"""Composer -> period."""

COMPOSER_OF: Final = {
    tuple(spelling.split()): composer
    for (_, composer), others in _SPELLINGS.items()
    for spelling in [*([] if composer in _NEVER_ALONE else [composer.replace("-", " ")]), *others]
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
