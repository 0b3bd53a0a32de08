"""Files that readers of MIDI were reported to fail on, each as a few bytes made here, with the right answer.

Knows what was reported and where; nothing in it is taken from the files of the reports. test_reports.py reads them, and
docs/reports.md lists them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.midi.smf_bytes import (
    END_OF_TRACK,
    chunk,
    control,
    meta,
    note_off,
    note_on,
    number,
    program,
    riff,
    smf,
    smpte,
    sysex,
    tempo,
    track,
)

Notes = list[tuple[int, int, int]]
NOTE = b"\x00" + note_on(60) + number(500) + note_off(60)
"""A note of 500 ticks, and the clock behind it; a tick is a millisecond in `file` and `one`."""
END = b"\x00" + END_OF_TRACK
RELEASE = number(500) + b"\x3c\x00"
"""The end of such a note in running status."""
OTHER = track((0, note_on(64)), (500, note_off(64)))
ONE: Notes = [(60, 0, 500)]
BOTH: Notes = [(60, 0, 500), (64, 0, 500)]
KEY, TIME, OFFSET, NUMBER, SPECIFIC, LYRIC = 0x59, 0x58, 0x54, 0x00, 0x7F, 0x05


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report (`owner/name#number`), what its file does, such a file, and what it holds.

    `notes` are (pitch, onset, end of the sound) in milliseconds, by pitch and onset; none: the file is refused with the
    first of `reasons`, which otherwise are those of its repairs.
    """

    where: str
    what: str
    data: bytes
    notes: Notes | None
    reasons: tuple[str, ...] = ()
    truncated: bool = False


def one(*body: bytes) -> bytes:
    """A file of one track with these bytes and an end of track, and nothing else."""
    return smf([chunk(b"MTrk", b"".join(body) + END)], 500)


def file(*tracks: bytes, division: int = 500) -> bytes:
    return smf(list(tracks), division)


def at_0(event: bytes) -> bytes:
    """One track: an event, then the note."""
    return one(b"\x00" + event, NOTE)


def events(*timed: tuple[int, bytes]) -> bytes:
    return file(track(*timed))


def strike(on: int, off: int, *more: tuple[int, bytes]) -> bytes:
    """The note from `on` to `off` and other events, all with times from the start."""
    ordered = sorted([(on, note_on(60)), (off, note_off(60)), *more], key=lambda event: event[0])
    ticks = [0, *(tick for tick, _ in ordered)]
    return events(*((tick - before, event) for before, (tick, event) in zip(ticks[:-1], ordered, strict=True)))


def _report(where: str, what: str, data: bytes, notes: Notes | None = ONE, *reasons: str, cut: bool = False) -> Report:
    return Report(where=where, what=what, data=data, notes=notes, reasons=reasons, truncated=cut)


DAMAGED = (
    _report("mido/mido#476", "a track begins with an event without status",
            file(chunk(b"MTrk", b"\x00\x3c\x50" + NOTE + END), OTHER), BOTH, "no-status"),
    _report("mido/mido#480", "tracks are some bytes shorter than they declare",
            file(chunk(b"MTrk", NOTE + END, len(NOTE + END) + 5), OTHER), BOTH, "track-length-too-long"),
    _report("vishnubob/python-midi#125", "a track declares no length and has one",
            file(chunk(b"MTrk", NOTE + END, 0), OTHER), BOTH, "track-length-too-short"),
    _report("craigsapp/midifile#31", "tempo events between the end of a track and the next",
            file(chunk(b"MTrk", NOTE + END) + b"\x00" + tempo(400_000) + b"\x10" + tempo(300_000), OTHER),
            BOTH, "stray-bytes"),
    _report("craigsapp/midifile#44", "two letters of MTrk stand twice, so that its length is wrong",
            file(b"MTrkrk\x00\x00\x00\x11" + NOTE + END, OTHER), BOTH, "no-status", "track-length-too-long"),
    _report("craigsapp/midifile#27", "a delta time of five bytes",
            one(b"\x81\x80\x80\x80\x00" + control(7, 90), NOTE), ONE, "bad-variable-length"),
    _report("craffel/pretty-midi#263", "delta times written as numbers of 64 bits",
            one(b"\x82" + b"\x80" * 5 + b"\x80\x84\x00" + program(0), NOTE), [(60, 512, 1012)], "bad-variable-length"),
    _report("mido/mido#63", "velocities above 127",
            one(b"\x00\x90\x3c\xff" + number(500) + note_off(60)), ONE, "bad-data-byte"),
    _report("mido/mido#391", "a controller with value 255", at_0(b"\xb0\x07\xff"), ONE, "bad-data-byte"),
    _report("craffel/pretty-midi#34", "notes with pitches above 127",
            one(b"\x00\x97\xfd\x4b\x10\x97\xfd\x00", NOTE), [(60, 16, 516)], "bad-data-byte"),
    _report("mmontag/chip-player-js#49", "a track declares more bytes than the file has",
            file(OTHER, chunk(b"MTrk", NOTE + END, 9999)), BOTH, cut=True),
    _report("FluidSynth/fluidsynth#91", "the file ends inside its first event",
            file(OTHER) + chunk(b"MTrk", b"\x00\x90\x3c", 40), [(64, 0, 500)], cut=True),
    _report("jazz-soft/test-midi-files#13", "the last byte is missing", one(NOTE)[:-1], ONE, cut=True),
    _report("melanchall/drywetmidi#180", "an unknown chunk that declares more than the rest of the file",
            file(chunk(b"MTrk", NOTE + END), b"SLIB\x00\x01\x00\x00abc", OTHER), BOTH, "stray-bytes"),
    _report("craffel/pretty-midi#182", "a delta time of days before the last event",
            one(*[number(0x0FFF_FFFF) + control(7, 0)] * 9, NOTE), None, "too-long"),
    _report("craffel/pretty-midi#173", "a time division that is no SMPTE rate",
            file(OTHER, division=0xD890), None, "bad-division"),
)  # fmt: skip

RUNNING_STATUS = (
    _report("gomidi/midi#20", "running status goes on behind a text",
            one(b"\x00" + note_on(60), b"\x04" + meta(1, b"%+"), number(496) + b"\x3c\x00")),
    _report("naudio/NAudio#205", "the same behind a marker, in several tracks",
            file(OTHER, chunk(b"MTrk", b"\x00" + note_on(60) + b"\x00" + meta(6, b"A") + RELEASE + END)), BOTH),
    _report("PolyMeilex/Neothesia#245", "running status goes on behind a system exclusive",
            one(b"\x00" + note_on(60), b"\x00" + sysex(b"\x41\xf7"), RELEASE)),
    _report("FluidSynth/fluidsynth#1329", "a system exclusive in two packets between messages in running status",
            one(b"\x00" + note_on(60), b"\x00" + sysex(b"\x43"), b"\x00" + sysex(b"\x12\xf7", 0xF7), RELEASE)),
    _report("craigsapp/midifile#32", "running status right behind the first meta event of a track",
            one(b"\x00" + program(0), b"\x00" + meta(3, b"x"), b"\x00\x05", NOTE)),
    _report("ddiakopoulos/modern-midi#14", "drums in running status",
            one(b"\x00\x99\x23\x50\x00\x31\x50\x77\x23\x00\x01\x31\x00"), [(35, 0, 119), (49, 0, 120)]),
    _report("abique/midi-parser#6", "messages with one data byte between those with two",
            one(b"\x00" + note_on(60) + b"\x00\xd0\x40\x00\x41\x00\xc0\x05" + number(500) + note_off(60))),
    _report("kshoji/javax.sound.midi-for-Android#15", "real-time and common messages in a track",
            one(b"\x00" + note_on(60), b"\x00\xf8\x00\xf2\x01\x02\x00\xfe", RELEASE)),
)  # fmt: skip

META_EVENTS = (
    _report("mido/mido#105", "a key signature with eight sharps", at_0(meta(KEY, b"\x08\x00"))),
    _report("mido/mido#235", "a key signature of mode 255", at_0(meta(KEY, b"\xfe\xff"))),
    _report("craffel/pretty-midi#165", "a key signature with 18 flats", at_0(meta(KEY, b"\xee\x01"))),
    _report("mido/mido#358", "a key signature without its bytes", at_0(meta(KEY, b""))),
    _report("kovaxis/midly#32", "a key signature of one byte", at_0(meta(KEY, b"\x01"))),
    _report("FluidSynth/fluidsynth#1387", "a key signature of three bytes", at_0(meta(KEY, b"\x00\x00\x00"))),
    _report("melanchall/drywetmidi#285", "tracks of nothing but a bad key signature",
            file(track((0, meta(KEY, b"\x00\xff"))), chunk(b"MTrk", NOTE + END))),
    _report("FluidSynth/fluidsynth#28", "a time signature of two bytes", at_0(meta(TIME, b"\x04\x02"))),
    _report("craffel/pretty-midi#88", "a time signature over 2 to the 33rd", at_0(meta(TIME, b"\x02\x21\x18\x08"))),
    _report("colxi/midi-parser-js#7", "an SMPTE offset", at_0(meta(OFFSET, b"\x60\x00\x03\x00\x00"))),
    _report("mido/mido#144", "a sequence number without its bytes and sequencer-specific data",
            one(b"\x00" + meta(NUMBER, b"") + b"\x00" + meta(SPECIFIC, b"\x24\x24\xff\x80"), NOTE)),
    _report("cuthbertLab/music21#606", "a track name that is not UTF-8", at_0(meta(3, b"\xa9 2008"))),
    _report("wyskoj/midis2jam2#271", "karaoke texts and lyrics",
            one(b"\x00" + meta(1, b"@KMIDI KARAOKE FILE") + b"\x00" + meta(LYRIC, b"\\La"), NOTE)),
    _report("mido/mido#230", "a byte of 255 inside a system exclusive", at_0(sysex(b"PS\x00\x00\xff\x04\x01\xf7"))),
    _report("AlexCharlton/midi-msg#27", "a system exclusive of nothing but its end", at_0(sysex(b"\xf7"))),
    _report("celtera/libremidi#21", "a long system exclusive", at_0(sysex(bytes(200) + b"\xf7"))),
)  # fmt: skip

TIME_AND_TRACKS = (
    _report("mido/mido#457", "a division in SMPTE frames", file(OTHER, division=smpte(25, 40)), [(64, 0, 500)]),
    _report("craffel/pretty-midi#112", "32,767 ticks a quarter",
            file(track((0, note_on(64)), (32_767, note_off(64))), division=32_767), [(64, 0, 500)]),
    _report("craffel/pretty-midi#228", "eleven million ticks",
            file(track((11_222_570, note_on(64)), (500, note_off(64))), division=5_000), [(64, 1_122_257, 1_122_307)]),
    _report("Tonejs/Midi#116", "the tempo stands in the last track",
            file(OTHER, track((0, tempo(250_000)))), [(64, 0, 250)]),
    _report("Tonejs/Midi#67", "notes in the first track of type 1", file(chunk(b"MTrk", NOTE + END), OTHER), BOTH),
    _report("wyskoj/midis2jam2#163", "the first tempo comes late",
            file(track((250, tempo(1_000_000))), chunk(b"MTrk", NOTE + END)), [(60, 0, 750)]),
    _report("gasman/jasmid#15", "a tempo whose bytes are above 127", at_0(tempo(0x0FA0F0)), [(60, 0, 1024)]),
    _report("mudcube/MIDI.js#134", "a tempo of 0", at_0(tempo(0))),
    _report("g200kg/midi-dump#1", "delta times of two bytes", strike(944, 1444), [(60, 944, 1444)]),
    _report("OpenTTD/OpenTTD#8125", "numbers with a byte more than they need",
            one(b"\x80\x7f" + note_on(60), b"\x80\x80\x10" + note_off(60)), [(60, 127, 143)]),
    _report("muse-sequencer/muse#458", "an empty track between others", file(OTHER, chunk(b"MTrk", b""),
            chunk(b"MTrk", NOTE + END)), BOTH),
    _report("newlandsvalley/purescript-midi#5", "a track of nothing but its end", file(track(), OTHER), [(64, 0, 500)]),
    _report("stuerp/foo_midi#38", "the header counts other tracks than there are",
            smf([OTHER, chunk(b"MTrk", NOTE + END)], 500, declared=1), BOTH),
    _report("dusk-audio/dusk-studio#502", "the header counts a chunk that is no track",
            smf([chunk(b"XFIH", b"abc"), OTHER], 500, declared=2), [(64, 0, 500)]),
    _report("Mindwerks/wildmidi#183", "no end of track", file(chunk(b"MTrk", NOTE))),
    _report("Mindwerks/wildmidi#176", "a massive delta time before the end of track",
            file(chunk(b"MTrk", NOTE + number(0x0FFF_FFFF) + END_OF_TRACK))),
    _report("grimmdude/MidiPlayerJS#57", "a byte behind the last track", one(NOTE) + b"\n"),
    _report("orchetect/swift-midi#177", "a line end behind the last track", one(NOTE) + b"\r\n"),
    _report("carter-thaxton/midi-file#17", "RIFF under the name of a MIDI file", riff(one(NOTE))),
    _report("naudio/NAudio#1236", "RIFF with other chunks of odd lengths before the music",
            riff(one(NOTE), before=b"LIST\x05\x00\x00\x00INFOx\x00")),
)  # fmt: skip

NOTES = (
    _report("Yikai-Liao/symusic#38", "a note without length, before another of the same key",
            events((0, note_on(60)), (0, note_off(60)), (100, note_on(60)), (50, note_off(60))), [(60, 100, 150)]),
    _report("craffel/pretty-midi#131", "two strikes of one key, then two releases",
            events((0, note_on(60)), (100, note_on(60)), (100, note_off(60)), (50, note_off(60))),
            [(60, 0, 200), (60, 100, 200)]),
    _report("Tonejs/Midi#1", "a key is struck again before the release of its first note, at the same time",
            events((0, note_on(60)), (100, note_on(60)), (0, note_off(60)), (50, note_off(60))),
            [(60, 0, 100), (60, 100, 150)]),
    _report("frescobaldi/frescobaldi#1042", "strikes of velocity 0 are releases",
            events((0, note_on(60)), (500, note_on(60, 0)))),
    _report("zynthian/zynthian-issue-tracking#461", "releases on another channel end nothing",
            events((0, note_on(60, 64, 3)), (100, note_on(60, 0)), (400, note_on(60, 0, 3)))),
    _report("craffel/pretty-midi#130", "the sustain pedal holds notes",
            strike(0, 200, (100, control(64, 127)), (500, control(64, 0)))),
    _report("csound/csound#815", "a pedal that comes up ends no key that is down",
            strike(20, 400, (0, control(64, 127)), (150, control(64, 0))), [(60, 20, 400)]),
    _report("Cacodemon345/VSBHDASF#2", "Reset All Controllers lifts the pedal",
            strike(0, 200, (0, control(64, 127)), (500, control(121, 0)))),
    _report("amsynth/amsynth#73", "All Notes Off ends a note without a release",
            events((0, note_on(60)), (500, control(123, 0)))),
    _report("asb2m10/dexed#110", "notes that All Notes Off ends go on sounding under the pedal",
            events((0, note_on(60)), (0, control(64, 127)), (300, control(123, 0)), (200, control(64, 0)))),
    _report("surge-synthesizer/surge#4256", "All Sound Off ends notes and what the pedal holds",
            events((0, note_on(60)), (0, control(64, 127)), (500, control(120, 0)), (500, control(64, 0)))),
)  # fmt: skip

REPORTS = (*DAMAGED, *RUNNING_STATUS, *META_EVENTS, *TIME_AND_TRACKS, *NOTES)
