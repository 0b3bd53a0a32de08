"""Performances <-> tokens, exactly as the published models speak.

A note is NOTE ONSET DURATION (a drum DRUM ONSET); onsets count from the start of a segment of 5,000 ms, and each
segment boundary crossed is a <T> (section 3.1). Everything is compiled arithmetic over the vocabulary's ranges; no
table of tokens is ever walked. It refuses to know about augmentation and batching.

    >>> tokenizer = Tokenizer(Vocabulary.piano())
    >>> tokens = tokenizer.encode(performance)   # doctest: +SKIP
    >>> tokenizer.decode(tokens)                 # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeAlias, overload

import numpy as np
import numpy.typing as npt
from numba import njit

from partimento.errors import UserError
from partimento.files import replacing
from partimento.midi.columns import Provenance
from partimento.midi.instruments import DRUM, DRUM_CHANNEL, INSTRUMENTS, LEFT_OUT
from partimento.midi.instruments import instrument_of_channels as classes_of
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes, pedal_intervals
from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS, Kind, Vocabulary

Ids = npt.NDArray[np.int32]
Music: TypeAlias = Performance | str | PathLike  # bare, since isinstance takes no parameters

VOCABULARY_FILE: Final = "vocabulary.json"
"""What `save` writes into a folder."""

DRUM_MS: Final = 100
"""Drums have no duration token; this many ms are written for them."""

DIM_MINIMUM_BODY: Final = 150
DIM_TOKENS_LEFT: Final = 100
PROGRAM_OF_INSTRUMENT: Final = (0, 16, 24, 32, 40, 48, 56, 64, 73, 80, 0)
CHANNEL_OF_INSTRUMENT: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, DRUM_CHANNEL)


def nearest_on_grid(values: npt.ArrayLike, entries: int) -> npt.NDArray[np.int64]:
    """Index of the entry of a 10-wide grid from 0 nearest to each value; ties as the published models break them.

    Their quantiser walks the grid by binary search and keeps an entry only if it is strictly closer, so which of two
    equally near entries wins depends on the order of the visit, hence on the number of entries.
    """
    result = []
    for value in np.atleast_1d(np.asarray(values)).tolist():
        low, high = 0, entries - 1
        best, best_distance = 0, float("inf")
        while low <= high:
            middle = (low + high) // 2
            entry = middle * GRID_MS
            if abs(entry - value) < best_distance:
                best, best_distance = middle, abs(entry - value)
            if entry == value:
                break
            low, high = (middle + 1, high) if entry < value else (low, middle - 1)
        result.append(best)
    return np.array(result, np.int64)


_ONSETS = SEGMENT_MS // GRID_MS
ONSET_INDEX: Final = nearest_on_grid(np.arange(SEGMENT_MS), _ONSETS)
DURATION_INDEX: Final = np.maximum(nearest_on_grid(np.arange(SEGMENT_MS + 1), _ONSETS + 1), 1)
VELOCITY_INDEX: Final = np.where(np.arange(128) > 0, np.maximum(nearest_on_grid(np.arange(128), 13), 1), 0)


class Tokenizer:
    """Encodes and decodes with one vocabulary; instruments the vocabulary lacks are left out of the encoding."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._note_bases = vocabulary.note_bases()
        drum_low, drum_high = vocabulary.drum
        self._drum_base = drum_low - int(vocabulary.pitch_of[drum_low]) if drum_high > drum_low else -1
        self._drums = (drum_low, drum_high)
        self._instruments = frozenset(vocabulary.instruments)

    @classmethod
    def load(cls, name: str | PathLike[str] = "bundled") -> Tokenizer:
        """The tokenizer of a model's vocabulary: a bundled one, a file, a folder, or one of the hub.

        Of a folder with a `vocabulary.json` it is the one that `save` wrote there, whether a model is beside it or not.
        """
        saved = Path(name, VOCABULARY_FILE)
        if saved.is_file():
            try:
                return cls(Vocabulary.from_json(saved.read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                raise UserError(f"{saved}: {error}") from error
        from partimento.model.checkpoint import load_any

        return cls(load_any(Path(name) if isinstance(name, PathLike) else name).vocabulary)

    from_pretrained = load
    """Another name of `load`, by which other libraries call it."""

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the vocabulary as `vocabulary.json` into a folder, a model's own or a new one, for `load`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        with replacing(Path(folder, VOCABULARY_FILE)) as part:
            part.write_text(self.vocabulary.to_json() + "\n", encoding="utf-8")

    save_pretrained = save
    """Another name of `save`."""

    def __repr__(self) -> str:
        spoken = ", ".join(INSTRUMENTS[i] for i in self.vocabulary.instruments)
        return f"<Tokenizer: {len(self.vocabulary):,} tokens of {spoken}>"

    def __len__(self) -> int:
        return len(self.vocabulary)

    @overload
    def __call__(self, music: Music, **options: bool) -> Ids: ...

    @overload
    def __call__(self, music: list[Any], **options: bool) -> list[Ids]: ...

    def __call__(self, music: Music | Sequence[Music], **options: bool) -> Ids | list[Ids]:
        """`encode`, as tokenizers are called: of one performance or file its tokens, of several a list of theirs."""
        if isinstance(music, Music):
            return self.encode(music, **options)
        return [self.encode(one, **options) for one in music]

    # -- encoding -----------------------------------------------------------------------------------------------------

    def encode(
        self,
        performance: Music,
        *,
        prefix: bool = True,
        end: bool = True,
        dim: bool = False,
        pedal_tokens: bool = False,
        remove_silence: bool = True,
    ) -> Ids:
        """int32 tokens of a performance or MIDI file: instrument prefixes in vocabulary order, <S>, body, <E>.

        `dim` adds <D> about 100 tokens before the end of bodies of more than 150 tokens (section 3.2, generative
        fine-tuning). `pedal_tokens` spells the pedal out instead of folding it into durations, for vocabularies that
        have it: that of the channels that play the piano, so none without piano notes, as there it holds nothing.
        A performance without notes gives the piano prefix and <S>.
        """
        if pedal_tokens and self.vocabulary.pedal_on is None:
            raise UserError("this vocabulary has no pedal tokens; encode with pedal_tokens=False")
        performance = performance if isinstance(performance, Performance) else Performance.from_midi(performance)
        notes = Notes.from_performance(
            performance,
            instruments=self._instruments,
            remove_silence=remove_silence,
            fold_pedal=not pedal_tokens,
        )
        body = self.encode_notes(notes)
        if dim:
            body = self.insert_dim(body)
        head = [*(self.prefixes(performance) if prefix else ()), self.vocabulary.start]
        tail = [self.vocabulary.end] if end else []
        return np.concatenate([np.array(head, np.int32), body, np.array(tail, np.int32)])

    def prefixes(self, performance: Performance) -> list[int]:
        """Instrument prefixes: one for each class over the channels that have notes or were given a program."""
        counted = set(np.flatnonzero(np.bincount(performance.channel, minlength=16)).tolist()) | {
            channel for channel, _ in performance.programs if channel != DRUM_CHANNEL
        }
        classes = {int(c) for c in classes_of(dict(performance.programs))[sorted(counted)]} - LEFT_OUT
        spoken = sorted(classes & self._instruments) or [0]
        return [self.vocabulary.prefix("instrument", INSTRUMENTS[i]) for i in spoken]

    def encode_notes(self, notes: Notes) -> Ids:
        """The body alone: int32 tokens of the notes (and pedal moves) in order, with <T> at each segment boundary."""
        v = self.vocabulary
        pedal_ids = np.where(notes.pedal_down, v.pedal_on or 0, v.pedal_off or 0)
        return _encode(
            notes.onset_ms, notes.duration_ms, notes.pitch, notes.velocity, notes.instrument,
            notes.pedal_ms, pedal_ids,
            self._note_bases, self._drum_base, self._drums[0], self._drums[1],
            v.onset[0], v.duration[0], v.segment, v.unknown,
            ONSET_INDEX, DURATION_INDEX, VELOCITY_INDEX,
        )  # fmt: skip

    def insert_dim(self, body: Ids) -> Ids:
        """`body` with <D> before the last event that leaves at least 100 tokens, <E> counted, after it."""
        if len(body) <= DIM_MINIMUM_BODY:
            return body
        where = len(body) + 1 - DIM_TOKENS_LEFT
        while self.vocabulary.kind_of[body[where]] in (Kind.ONSET, Kind.DURATION):
            where -= 1
        return np.concatenate([body[:where], np.array([self.vocabulary.dim], np.int32), body[where:]])

    def pad(self, sequences: Sequence[npt.ArrayLike], length: int | None = None) -> dict[str, npt.NDArray[np.int64]]:
        """Sequences side by side: `input_ids` int64 [n, length], filled up with <P>, and `attention_mask`, 1 where not.

        `length` is that of the longest unless it is given; `UserError` if one is longer. The arrays are what language
        models of `transformers` take, as tensors.
        """
        rows = [np.asarray(ids, np.int64).reshape(-1) for ids in sequences]
        longest = max((len(row) for row in rows), default=0)
        if length is not None and longest > length:
            raise UserError(f"a sequence of {longest} tokens does not fit into a length of {length}; cut the music")
        padded = np.full((len(rows), longest if length is None else length), self.vocabulary.pad, np.int64)
        mask = np.zeros_like(padded)
        for number, row in enumerate(rows):
            padded[number, : len(row)], mask[number, : len(row)] = row, 1
        return {"input_ids": padded, "attention_mask": mask}

    # -- decoding -----------------------------------------------------------------------------------------------------

    def decode(self, tokens: Sequence[int] | npt.NDArray[np.integer]) -> Performance:
        """The performance that `tokens` say, on a clock that starts at their first segment.

        Whatever a sampler can emit is accepted: incomplete notes and orphan times are passed over, notes whose
        instrument no prefix names are kept, onsets may run backwards, no notes at all make an empty performance. The
        clock starts anew at each <X>, as where a gap is filled (`infill.py`). Nothing after <E> counts. Raises
        `UserError` only for a token outside the vocabulary.
        """
        v = self.vocabulary
        array = np.asarray(tokens, np.int64).reshape(-1)
        if array.size and (array.min() < 0 or array.max() >= len(v)):
            bad = array[(array < 0) | (array >= len(v))][0]
            raise UserError(f"token {bad} lies outside the vocabulary of {len(v)} tokens")
        heads, onset_ms, duration_ms, pedal_ms, pedal_down = _decode(array, v.kind_of, v.ms_of)
        order = np.argsort(onset_ms, kind="stable")
        heads, onset_ms, duration_ms = heads[order], onset_ms[order], duration_ms[order]
        instrument = v.instrument_of[heads]
        named = [
            i for i in v.instruments if i != DRUM and v.prefix("instrument", INSTRUMENTS[i]) in set(array.tolist())
        ]
        sounding = sorted({*named, *np.unique(instrument).tolist()} - {DRUM})
        up, down = pedal_intervals(pedal_ms, pedal_down, int((onset_ms + duration_ms).max()) if len(heads) else 0)
        return Performance(
            pitch=v.pitch_of[heads],
            velocity=np.where(instrument == DRUM, 60, np.maximum(v.velocity_of[heads], 1)).astype(np.uint8),
            onset=onset_ms * 1_000_000,
            duration=duration_ms * 1_000_000,
            channel=np.array(CHANNEL_OF_INSTRUMENT, np.uint8)[instrument],
            instrument=instrument,
            pedal_down=down * 1_000_000,
            pedal_up=up * 1_000_000,
            pedal_channel=np.zeros(len(down), np.uint8),
            programs=tuple(sorted((CHANNEL_OF_INSTRUMENT[i], PROGRAM_OF_INSTRUMENT[i]) for i in sounding)),
            source=Provenance(),
        )


@njit(cache=True)
def _encode(
    onset_ms, duration_ms, pitch, velocity, instrument, pedal_ms, pedal_ids,
    note_bases, drum_base, drum_low, drum_high, onset_base, duration_base, segment_id, unknown_id,
    onset_index, duration_index, velocity_index,
):  # fmt: skip
    n, k = len(onset_ms), len(pedal_ms)
    latest = max(onset_ms[-1] if n else 0, pedal_ms[-1] if k else 0)
    out = np.empty(3 * n + 2 * k + latest // SEGMENT_MS + 1, np.int32)
    size = 0
    segment = 0
    i = 0
    j = 0
    while i < n or j < k:
        is_pedal = j < k and (i >= n or pedal_ms[j] <= onset_ms[i])
        now = pedal_ms[j] if is_pedal else onset_ms[i]
        this_segment = now // SEGMENT_MS
        while segment < this_segment:
            out[size] = segment_id
            size += 1
            segment += 1
        onset_id = onset_base + onset_index[now - this_segment * SEGMENT_MS]
        if is_pedal:
            out[size] = pedal_ids[j]
            out[size + 1] = onset_id
            size += 2
            j += 1
            continue
        kind = instrument[i]
        if kind == DRUM:
            drum = drum_base + pitch[i]
            out[size] = drum if drum_low <= drum < drum_high else unknown_id
            out[size + 1] = onset_id
            size += 2
        else:
            out[size] = note_bases[kind] + pitch[i] * 13 + velocity_index[velocity[i]]
            out[size + 1] = onset_id
            out[size + 2] = duration_base + duration_index[min(duration_ms[i], SEGMENT_MS)]
            size += 3
        i += 1
    return out[:size]


_PREFIX, _START, _END, _SEGMENT = int(Kind.PREFIX), int(Kind.START), int(Kind.END), int(Kind.SEGMENT)
_NOTE, _DRUM, _ONSET, _DURATION = int(Kind.NOTE), int(Kind.DRUM), int(Kind.ONSET), int(Kind.DURATION)
_PEDAL_ON, _PEDAL_OFF, _DELIMITER = int(Kind.PEDAL_ON), int(Kind.PEDAL_OFF), int(Kind.DELIMITER)


@njit(cache=True)
def _decode(tokens, kind_of, ms_of):
    n = len(tokens)
    heads = np.empty(n, np.int64)
    onsets = np.empty(n, np.int64)
    durations = np.empty(n, np.int64)
    pedal_ms = np.empty(n, np.int64)
    pedal_down = np.empty(n, np.uint8)
    size = 0
    pedals = 0
    segment_start = 0
    head = -1
    onset = -1
    for token in tokens:
        kind = kind_of[token]
        if kind == _END:
            break
        if kind == _ONSET and head >= 0:
            now = segment_start + ms_of[token]
            head_kind = kind_of[head]
            if head_kind == _NOTE:
                onset = now
                continue
            if head_kind == _DRUM:
                heads[size], onsets[size], durations[size] = head, now, DRUM_MS
                size += 1
            else:
                pedal_ms[pedals], pedal_down[pedals] = now, head_kind == _PEDAL_ON
                pedals += 1
        elif kind == _DURATION and onset >= 0:
            heads[size], onsets[size], durations[size] = head, onset, max(ms_of[token], GRID_MS)
            size += 1
        elif kind == _SEGMENT:
            segment_start += SEGMENT_MS
        elif kind == _DELIMITER:
            segment_start = 0
        elif kind == _NOTE or kind == _DRUM or kind == _PEDAL_ON or kind == _PEDAL_OFF:
            head, onset = token, -1
            continue
        head, onset = -1, -1
    return heads[:size], onsets[:size], durations[:size], pedal_ms[:pedals], pedal_down[:pedals]
