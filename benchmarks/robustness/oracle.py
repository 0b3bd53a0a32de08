"""What mido, symusic and the slow reference reader make of a file: a process of its own, because they may crash.

Reads requests from standard input (a kind, a length, the bytes) and answers each with one line of JSON. Started by
run.py; not meant for people.
"""

from __future__ import annotations

import io
import json
import struct
import sys

import mido
import symusic

from partimento.midi.performance import Performance
from tests.midi import reference_reader


def with_mido(data: bytes) -> int:
    """Number of notes struck; raises where mido does."""
    file = mido.MidiFile(file=io.BytesIO(data))
    return sum(m.type == "note_on" and m.velocity > 0 for track in file.tracks for m in track)


def with_symusic(data: bytes) -> int:
    """Number of notes; raises where symusic does."""
    return sum(len(track.notes) for track in symusic.Score.from_midi(data, ttype="tick").tracks)


def against_rules(data: bytes) -> str:
    """Our reading beside that of the slow rules on mido's parsing: "same" or what differs first."""
    expected, found = reference_reader.read(data), Performance.from_midi(data)
    if len(expected.notes) != len(found):
        return f"{len(found)} notes, the rules say {len(expected.notes)}"
    for i, note in enumerate(expected.notes):
        onset, end = note.start * 10**9, note.end * 10**9
        mine = (int(found.pitch[i]), int(found.velocity[i]), int(found.channel[i]))
        if mine != (note.pitch, note.velocity, note.channel) or abs(int(found.onset[i]) - onset) >= 1:
            return f"note {i} differs"
        if abs(int(found.onset[i] + found.duration[i]) - end) >= 1 and end - onset >= 2:
            return f"note {i} ends at {found.onset[i] + found.duration[i]} ns, the rules say {float(end):.0f}"
    if len(expected.pedals) != len(found.pedal_down):
        return f"{len(found.pedal_down)} pedals, the rules say {len(expected.pedals)}"
    return "same"


KINDS = {b"m": with_mido, b"s": with_symusic, b"r": against_rules}


def main() -> None:
    while len(request := sys.stdin.buffer.read(5)) == 5:
        kind, size = request[:1], struct.unpack(">I", request[1:])[0]
        data = sys.stdin.buffer.read(size)
        try:
            answer = {"ok": KINDS[kind](data)}
        except Exception as error:  # noqa: BLE001 - whatever another library raises is the answer
            answer = {"error": f"{type(error).__name__}: {error}"[:120]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
