"""Small files spelled out as events, and the ids that the published models' tokeniser gives for them.

`token_cases.json` holds them: tracks of [tick, "on" | "off", pitch, velocity, channel], [tick, "cc64", value, channel],
[tick, "pc", program, channel] or [tick, "tempo", us per beat], 500 ticks to the beat, so that one tick is 1 ms at the
standard tempo; names of prefixes; ids between <S> and <E>. In those with `by_hand` the authors' program errs, and what
the tempo map says was worked out.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mido

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def midi(tracks: Sequence[Sequence[Sequence]], ticks_per_beat: int = 500) -> bytes:
    """The tracks written by mido."""
    file = mido.MidiFile(ticks_per_beat=ticks_per_beat)
    for events in tracks:
        track = mido.MidiTrack()
        file.tracks.append(track)
        last = 0
        for tick, what, *rest in events:
            wait, last = tick - last, tick
            if what in ("on", "off"):
                pitch, velocity, channel = rest
                track.append(mido.Message(f"note_{what}", note=pitch, velocity=velocity, channel=channel, time=wait))
            elif what == "cc64":
                track.append(mido.Message("control_change", control=64, value=rest[0], channel=rest[1], time=wait))
            elif what == "pc":
                track.append(mido.Message("program_change", program=rest[0], channel=rest[1], time=wait))
            elif what == "tempo":
                track.append(mido.MetaMessage("set_tempo", tempo=rest[0], time=wait))
            else:
                raise ValueError(f"unknown event {what!r}")
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()
