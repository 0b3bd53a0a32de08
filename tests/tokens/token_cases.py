"""Small files spelled out as events, and the ids that the published models' tokeniser gives for them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import mido

Track = tuple[tuple, ...]


@dataclass(frozen=True)
class Case:
    """Tracks of (tick, "on" | "off", pitch, velocity, channel), (tick, "cc64", value, channel), (tick, "pc", program,
    channel) or (tick, "tempo", us per beat), 500 ticks to the beat, so one tick is 1 ms at the standard tempo; prefix
    names; ids between <S> and <E>.
    """

    name: str
    tracks: tuple[Track, ...]
    prefixes: tuple[str, ...]
    body: tuple[int, ...]
    remove_silence: bool = True


def midi(tracks: tuple[Track, ...], ticks_per_beat: int = 500) -> bytes:
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
            else:
                track.append(mido.MetaMessage("set_tempo", tempo=rest[0], time=wait))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


CASES = (
    Case(
        "onset_4995ms",
        (
            (
                (0, "on", 60, 64, 0),
                (100, "off", 60, 0, 0),
                (4995, "on", 61, 64, 0),
                (5095, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 838, 17726, 16736),
    ),
    Case(
        "onset_5000ms",
        (
            (
                (0, "on", 60, 64, 0),
                (100, "off", 60, 0, 0),
                (5000, "on", 61, 64, 0),
                (5100, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 5, 838, 17227, 16736),
    ),
    Case(
        "onset_9999ms",
        (
            (
                (0, "on", 60, 64, 0),
                (100, "off", 60, 0, 0),
                (9999, "on", 61, 64, 0),
                (10099, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 5, 838, 17726, 16736),
    ),
    Case(
        "onset_15003ms",
        (
            (
                (0, "on", 60, 64, 0),
                (100, "off", 60, 0, 0),
                (15003, "on", 61, 64, 0),
                (15103, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 5, 5, 5, 838, 17227, 16736),
    ),
    Case(
        "zero_length_note_dropped",
        (
            (
                (0, "on", 60, 64, 0),
                (0, "off", 60, 0, 0),
                (100, "on", 62, 64, 0),
                (200, "off", 62, 0, 0),
            ),
        ),
        ("piano",),
        (851, 17227, 16736),
    ),
    Case(
        "retrigger_on_before_off_same_tick",
        (
            (
                (0, "on", 60, 64, 0),
                (100, "on", 60, 64, 0),
                (100, "off", 60, 0, 0),
                (200, "off", 60, 0, 0),
                (300, "off", 60, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 825, 17237, 16736),
    ),
    Case(
        "retrigger_off_before_on_same_tick",
        (
            (
                (0, "on", 60, 64, 0),
                (100, "off", 60, 0, 0),
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 825, 17237, 16736),
    ),
    Case(
        "overlap_same_pitch_both_close_on_first_off",
        (
            (
                (0, "on", 60, 50, 0),
                (10, "on", 60, 70, 0),
                (20, "off", 60, 0, 0),
                (30, "off", 60, 0, 0),
            ),
        ),
        ("piano",),
        (824, 17227, 16728, 826, 17228, 16727),
    ),
    Case(
        "never_closed_note_dropped",
        (
            (
                (0, "on", 60, 64, 0),
                (20, "on", 61, 64, 0),
                (30, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (838, 17227, 16727),
    ),
    Case(
        "note_on_velocity_0_is_off",
        (
            (
                (0, "on", 60, 64, 0),
                (100, "on", 60, 0, 0),
                (200, "on", 61, 64, 0),
                (300, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 838, 17247, 16736),
    ),
    Case(
        "chord_ordered_by_note_off",
        (
            (
                (0, "on", 60, 64, 0),
                (0, "on", 64, 64, 0),
                (0, "on", 67, 64, 0),
                (100, "off", 67, 0, 0),
                (110, "off", 60, 0, 0),
                (120, "off", 64, 0, 0),
            ),
        ),
        ("piano",),
        (916, 17227, 16736, 825, 17227, 16737, 877, 17227, 16738),
    ),
    Case(
        "note_off_in_other_track_ignored",
        (
            ((0, "on", 60, 64, 0),),
            (
                (100, "off", 60, 0, 0),
                (200, "on", 62, 64, 0),
                (300, "off", 62, 0, 0),
            ),
        ),
        ("piano",),
        (851, 17227, 16736),
    ),
    Case(
        "drums_out_of_range_unk",
        (
            (
                (0, "on", 34, 64, 9),
                (0, "on", 35, 64, 9),
                (10, "on", 81, 64, 9),
                (20, "on", 82, 64, 9),
                (100, "off", 34, 0, 9),
                (100, "off", 35, 0, 9),
                (100, "off", 81, 0, 9),
                (100, "off", 82, 0, 9),
            ),
        ),
        (
            "drum",
            "piano",
        ),
        (3, 17227, 16679, 17227, 16725, 17228, 3, 17229),
    ),
    Case(
        "program_last_wins_and_unused_in_prefix",
        (
            (
                (0, "pc", 0, 0),
                (0, "pc", 40, 1),
                (0, "pc", 73, 2),
                (0, "on", 60, 64, 0),
                (50, "off", 60, 0, 0),
                (60, "pc", 16, 0),
                (100, "on", 61, 64, 0),
                (200, "off", 61, 0, 0),
            ),
        ),
        (
            "organ",
            "pipe",
            "strings",
        ),
        (2489, 17227, 16731, 2502, 17237, 16736),
    ),
    Case(
        "removed_instrument_removes_channel",
        (
            (
                (0, "pc", 11, 0),
                (0, "on", 60, 64, 0),
                (100, "off", 60, 0, 0),
                (200, "pc", 0, 0),
                (300, "on", 61, 64, 0),
                (400, "off", 61, 0, 0),
            ),
            (
                (0, "pc", 40, 1),
                (0, "on", 50, 64, 1),
                (500, "off", 50, 0, 1),
            ),
        ),
        ("strings",),
        (7351, 17227, 16776),
    ),
    Case(
        "no_program_defaults_piano",
        (
            (
                (0, "on", 60, 64, 3),
                (100, "off", 60, 0, 3),
            ),
        ),
        ("piano",),
        (825, 17227, 16736),
    ),
    Case(
        "drums_only",
        (
            (
                (0, "on", 40, 64, 9),
                (100, "off", 40, 0, 9),
            ),
        ),
        (
            "drum",
            "piano",
        ),
        (16684, 17227),
    ),
    Case(
        "pedal_extends",
        (
            (
                (0, "cc64", 127, 0),
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (1000, "cc64", 0, 0),
                (1100, "on", 61, 64, 0),
                (1200, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16816, 838, 17327, 16736),
    ),
    Case(
        "pedal_start_equals_note_end_no_ext",
        (
            (
                (0, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (200, "cc64", 127, 0),
                (1000, "cc64", 0, 0),
                (1100, "on", 61, 64, 0),
                (1200, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16746, 838, 17337, 16736),
    ),
    Case(
        "pedal_end_equals_note_end",
        (
            (
                (0, "cc64", 127, 0),
                (100, "on", 60, 64, 0),
                (1000, "off", 60, 0, 0),
                (1000, "cc64", 0, 0),
                (1100, "on", 61, 64, 0),
                (1200, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16816, 838, 17327, 16736),
    ),
    Case(
        "pedal_threshold_63",
        (
            (
                (0, "cc64", 63, 0),
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (1000, "cc64", 0, 0),
                (1100, "on", 61, 64, 0),
                (1200, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 838, 17327, 16736),
    ),
    Case(
        "pedal_threshold_64",
        (
            (
                (0, "cc64", 64, 0),
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (1000, "cc64", 63, 0),
                (1100, "on", 61, 64, 0),
                (1200, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16816, 838, 17327, 16736),
    ),
    Case(
        "pedal_restrike_overlaps",
        (
            (
                (0, "cc64", 127, 0),
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (500, "on", 60, 64, 0),
                (600, "off", 60, 0, 0),
                (2000, "cc64", 0, 0),
                (2100, "on", 61, 64, 0),
                (2200, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16916, 825, 17267, 16876, 838, 17427, 16736),
    ),
    Case(
        "pedal_unclosed_ends_at_last_onset_notes_end",
        (
            (
                (0, "cc64", 127, 0),
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (300, "on", 64, 64, 0),
                (900, "on", 61, 64, 0),
                (1000, "off", 61, 0, 0),
                (5000, "off", 64, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16816, 877, 17247, 17196, 838, 17307, 16736),
    ),
    Case(
        "pedal_repedal_same_tick",
        (
            (
                (0, "cc64", 127, 0),
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (1000, "cc64", 0, 0),
                (1000, "cc64", 127, 0),
                (1100, "on", 61, 64, 0),
                (1200, "off", 61, 0, 0),
                (3000, "cc64", 0, 0),
                (3100, "on", 62, 64, 0),
                (3200, "off", 62, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16816, 838, 17327, 16916, 851, 17527, 16736),
    ),
    Case(
        "pedal_other_channel_ignored",
        (
            (
                (0, "cc64", 127, 1),
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (1000, "cc64", 0, 1),
                (1100, "on", 61, 64, 0),
                (1200, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16736, 838, 17327, 16736),
    ),
    Case(
        "pedal_in_other_track_same_channel",
        (
            (
                (0, "cc64", 127, 0),
                (1000, "cc64", 0, 0),
            ),
            (
                (100, "on", 60, 64, 0),
                (200, "off", 60, 0, 0),
                (1100, "on", 61, 64, 0),
                (1200, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16816, 838, 17327, 16736),
    ),
    Case(
        "duration_clamps",
        (
            (
                (0, "on", 60, 64, 0),
                (8000, "off", 60, 0, 0),
                (8000, "on", 61, 64, 0),
                (8001, "off", 61, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 17226, 5, 838, 17527, 16727),
    ),
    Case(
        "silence_removed",
        (
            (
                (7000, "on", 60, 64, 0),
                (7500, "off", 60, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16776),
    ),
    Case(
        "silence_kept",
        (
            (
                (7000, "on", 60, 64, 0),
                (7500, "off", 60, 0, 0),
            ),
        ),
        ("piano",),
        (5, 825, 17427, 16776),
        remove_silence=False,
    ),
)

# Worked out by hand from the tempo map: the authors' program errs in these, the map is right.
TEMPO_CASES = (
    Case(
        # 2000 ticks at 1 ms, the rest at 0.5 ms: 10000 -> 6000 ms (50 ms long), 20000 -> 11000 ms (200 ms long)
        "tempo_doubles",
        (
            (
                (0, "tempo", 500000),
                (0, "on", 60, 64, 0), (400, "off", 60, 0, 0),
                (2000, "tempo", 250000),
                (10000, "on", 62, 64, 0), (10100, "off", 62, 0, 0),
                (20000, "on", 63, 64, 0), (20400, "off", 63, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16726 + 40, 5, 851, 17227 + 100, 16726 + 5, 5, 864, 17227 + 100, 16726 + 20),
    ),
    Case(
        # 2000 ticks at 1 ms, the rest at 2 ms: 3000 -> 4000 ms, 100 ticks -> 200 ms
        "tempo_halves",
        (
            (
                (0, "tempo", 500000),
                (0, "on", 60, 64, 0), (400, "off", 60, 0, 0),
                (2000, "tempo", 1000000),
                (3000, "on", 62, 64, 0), (3100, "off", 62, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16726 + 40, 851, 17227 + 400, 16726 + 20),
    ),
    Case(
        # until the first tempo event 120 beats a minute hold: 1 ms; then 0.5 ms: 3000 -> 2500 ms, 400 ticks -> 200 ms
        "first_tempo_after_the_start",
        (
            (
                (0, "on", 60, 64, 0), (400, "off", 60, 0, 0),
                (1000, "on", 62, 64, 0), (1400, "off", 62, 0, 0),
                (2000, "tempo", 250000),
                (3000, "on", 63, 64, 0), (3400, "off", 63, 0, 0),
            ),
        ),
        ("piano",),
        (825, 17227, 16726 + 40, 851, 17227 + 100, 16726 + 40, 864, 17227 + 250, 16726 + 20),
    ),
)  # fmt: skip
