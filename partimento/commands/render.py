"""`partimento render`: a MIDI file in, its sound out.

Knows the flags and how progress looks. Refuses to know how sound is made (`partimento.audio`). Everything that can be
refused is refused before the first note is played.

    partimento render nocturne.mid -o nocturne.flac
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Force, Strict, VerbOptions
from partimento.commands.common.outputs import file_to_write
from partimento.commands.common.reading import tell_repairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Make the sound of a MIDI file: a piano whose pedal is the file's, at 48 kHz in stereo, its peak at -1 dBFS.

    All notes but drums are played, whatever their instrument. The piano is the Salamander Grand Piano by Alexander
    Holm, CC BY 3.0 (https://creativecommons.org/licenses/by/3.0/).
    """

    file: tyro.conf.Positional[Path]
    """The MIDI file."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The file to write: .wav, .flac or .ogg (unless given, the MIDI file's name with .wav)."""
    soundfont: Path | None = None
    """Play with this soundfont (.sf2) instead, through fluidsynth where it is installed; then all instruments sound."""
    strict: Strict = False
    force: Force = False


def main(argv: list[str]) -> None:
    """Run the verb with the arguments after its name."""
    options = parse(Options, argv, verb="render")
    from partimento.audio.files import FORMATS

    out = options.file.with_suffix(".wav") if options.out is None else options.out
    file_to_write(out, *FORMATS, force=options.force)
    if options.soundfont is not None:
        from partimento.audio.soundfont import check_soundfont

        check_soundfont(options.soundfont)
    began = time.perf_counter()
    seconds = sound_file(options, options.file, out, soundfont=options.soundfont, strict=options.strict)
    took = time.perf_counter() - began
    facts = {"file": out, "seconds": seconds, "took_seconds": took}
    options.report(facts, f"{out}: {seconds:.1f} s of sound, made {seconds / took:.0f} times as fast as it plays")


def sound_file(
    options: VerbOptions, midi: Path, out: Path, *, soundfont: Path | None = None, strict: bool = False
) -> float:
    """The sound of a MIDI file into another file, with progress for people; returns its seconds."""
    from partimento.audio.files import write_sound
    from partimento.audio.sampler import blocks
    from partimento.audio.samples import RATE
    from partimento.audio.soundfont import rendered
    from partimento.audio.voices import Pedal
    from partimento.midi.performance import Performance
    from partimento.midi.reader import bytes_of, read

    data = bytes_of(midi)
    file = read(data, name=str(midi), strict=strict)
    tell_repairs(file)
    performance = Performance.of(file)
    with options.counted("seconds of sound", total=round(performance.seconds)) as advance:

        def progress(frames: int) -> None:
            advance(frames // RATE)

        if soundfont is None:
            return write_sound(out, blocks(performance, Pedal.read(file)), progress=progress)
        with rendered(data, soundfont) as played:
            return write_sound(out, played, progress=progress)
