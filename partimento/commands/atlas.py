"""`partimento atlas LIBRARY -o atlas.html`: a map of a collection, and where a new file stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import AnySeed, Force, VerbOptions
from partimento.commands.common.outputs import file_to_write
from partimento.errors import UserError
from partimento.files import refuse_existing

if TYPE_CHECKING:
    from partimento.library.atlas.map import Atlas, MapSettings
    from partimento.library.atlas.page import MapFiles, Sound
    from partimento.library.library import Library


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Draw a map of a library: files that sound alike stand together (t-SNE of their vectors).

    The page is one file and needs no network: zoom, point at a file, click it for its neighbours, draw around some to
    list them. The map is kept with the library; what has been added since is placed on it, and nothing else moves.
    """

    library: Annotated[Path, tyro.conf.Positional]
    """A library, as 'partimento library add' makes it."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("atlas.html")
    """The page."""
    figure: Path | None = None
    """Draw a picture of the map as well, into this file (.png, .svg or .pdf)."""
    colour: Literal["composer", "period", "collection"] = "composer"
    """What points are coloured by at first; the page can change it."""
    place: tuple[Path, ...] = ()
    """MIDI files that are not in the library: say where they stand and what is nearest, and mark them."""
    music: bool = False
    """Put the music and the piano into the page, so that it plays wherever it is opened: 7 MB and some 20 kB a file."""
    again: bool = False
    """Draw the map anew, though there is one."""
    perplexity: float | None = None
    """How many neighbours count, in the eyes of t-SNE (30 unless the kept map has another; few: small islands)."""
    initialisation: Literal["pca", "random"] | None = None
    """Where files stand before the first step: by their principal components (unless told), or at random."""
    seed: AnySeed = None
    force: Force = False

    def __post_init__(self) -> None:
        if self.figure is not None:
            from partimento.library.atlas.figure import check_suffix

            check_suffix(self.figure)

    def settings(self) -> MapSettings | None:
        """What the flags say of the map; None if they say nothing."""
        from partimento.library.atlas.map import MapSettings

        told = {"perplexity": self.perplexity, "initialisation": self.initialisation, "seed": self.seed}
        given = {name: value for name, value in told.items() if value is not None}
        return MapSettings(**given) if given else None  # type: ignore[arg-type]


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="atlas")
    file_to_write(options.out, ".html", force=options.force)
    if options.figure is not None:
        refuse_existing(options.figure, force=options.force)
    from partimento.library.atlas.figure import write_figure
    from partimento.library.atlas.kept import files_of, library_map
    from partimento.library.atlas.page import write_page
    from partimento.library.library import Library

    settings = options.settings()
    script = _script()
    library = Library(options.library)
    atlas = library_map(library, settings, again=options.again, say=options.remark)
    files = files_of(library, atlas.names)
    first = {options.colour: files.kinds[options.colour]}
    files = replace(files, kinds=first | dict(files.kinds))
    sound = _inside(library, atlas, options.place) if options.music else None
    options.say(atlas.about)
    near: dict[str, Any] = {}
    if options.place:
        atlas, files, near = _placed(options, library, atlas, files)
    title = options.library.resolve().name.removesuffix(".library")
    write_page(options.out, atlas, files, script=script, title=title, sound=sound)
    lines = [f"page: {options.out}"]
    if options.figure is not None:
        named = {at: path.stem for at, path in enumerate(options.place, len(atlas) - len(options.place))}
        write_figure(options.figure, atlas, files, title=title, named=named)
        lines.append(f"figure: {options.figure}")
    told = {"files": len(atlas) - len(options.place), "about": atlas.about, "placed": near}
    options.report(told | {"page": options.out, "figure": options.figure}, *lines)
    return 0


def _placed(
    options: Options, library: Library, atlas: Atlas, files: MapFiles
) -> tuple[Atlas, MapFiles, dict[str, Any]]:
    """The map with the files of --place on it, which are said on the way, and where they stand."""
    from partimento.library.atlas.kept import place_in, with_placed

    placed = place_in(library, atlas, options.place)
    title = dict(zip(atlas.names, files.titles, strict=True))
    composer = dict(zip(atlas.names, files.kinds["composer"], strict=True))
    near: dict[str, Any] = {}
    for path, one in zip(options.place, placed, strict=True):
        near[str(path)] = {"xy": [float(place) for place in one.xy], "near": dict(one.near)}
        if options.json:
            continue
        print(f"{path}: at ({one.xy[0]:.1f}, {one.xy[1]:.1f}); nearest:")
        for id_, cosine in one.near:
            print(f"  {cosine:.3f}  {title[id_]}" + (f" ({composer[id_]})" if composer[id_] else ""))
    return *with_placed(atlas, files, options.place, placed), near


def _inside(library: Library, atlas: Atlas, placed: Sequence[Path]) -> Sound:
    """The music of the map's files, of those placed on it, and the piano, for the page to hold."""
    from partimento.audio.fetch import FOLDER
    from partimento.library.atlas.page import Sound
    from partimento.midi.performance import Performance

    piano = {path.name: path.read_bytes() for path in sorted(FOLDER.glob("*.ogg"))}
    if not piano:
        raise UserError("--music: the piano's recordings are missing; get them with: python -m partimento.audio.fetch")
    performances = [*map(library.performance, atlas.names), *map(Performance.from_midi, placed)]
    return Sound(music=[performance.to_midi() for performance in performances], piano=piano)


def _script() -> str:
    """What draws the page; made when the package is built."""
    from partimento.studio.build import HOW, PAGE

    path = PAGE / "atlas.js"
    if not path.is_file():
        raise UserError(f"the map's page was not built when this copy of partimento was installed; get it with: {HOW}")
    return path.read_text(encoding="utf-8")
