/**
 * A Standard MIDI File -> music, for the player on other people's pages, which have no server beside them.
 *
 * Knows notes, tempi, programs and the sustain pedal of files of type 0 and 1, and is strict: what it cannot read it refuses. The
 * package's own reader (partimento/midi) decides everywhere else.
 *
 *     const music = readMidi(await (await fetch("x.mid")).arrayBuffer());
 */

import { addPedal, emptyMusic, type Music } from "../music/music";

interface Event {
  tick: number;
  status: number;
  first: number;
  second: number;
}

interface Tempo {
  tick: number;
  /** Microseconds a quarter. */
  quarter: number;
}

/** Raises `Error` in words for people. */
export function readMidi(bytes: ArrayBuffer): Music {
  const data = new DataView(bytes);
  if (bytes.byteLength < 14 || chunkName(data, 0) !== "MThd") throw new Error("this is no MIDI file");
  const type = data.getUint16(8);
  const division = data.getInt16(12);
  if (type > 1) throw new Error(`a MIDI file of type ${type} cannot be played; types 0 and 1 can`);
  if (division <= 0) throw new Error("a MIDI file in frames of film cannot be played");
  const events: Event[] = [];
  const tempi: Tempo[] = [];
  let at = 8 + data.getUint32(4);
  while (at + 8 <= bytes.byteLength) {
    const length = data.getUint32(at + 4);
    const end = Math.min(bytes.byteLength, at + 8 + length);
    if (chunkName(data, at) === "MTrk") readTrack(data, at + 8, end, events, tempi);
    at += 8 + length;
  }
  events.sort((a, b) => a.tick - b.tick);
  tempi.sort((a, b) => a.tick - b.tick);
  return toNotes(events, secondsOf(tempi, division));
}

function chunkName(data: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => data.getUint8(at + i)));
}

function readTrack(data: DataView, start: number, end: number, events: Event[], tempi: Tempo[]): void {
  let at = start;
  let tick = 0;
  let running = 0;
  const byte = (): number => {
    if (at >= end) throw new Error("a track of this MIDI file is cut off");
    return data.getUint8(at++);
  };
  const quantity = (): number => {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const next = byte();
      value = value * 128 + (next & 0x7f);
      if (next < 128) return value;
    }
    throw new Error("a time in this MIDI file is too long");
  };
  while (at < end) {
    tick += quantity();
    let status = byte();
    if (status < 0x80) {
      if (!running) throw new Error("this MIDI file has data where a message should begin");
      at--;
      status = running;
    }
    if (status === 0xff) {
      const kind = byte();
      const length = quantity();
      if (kind === 0x51 && length === 3) tempi.push({ tick, quarter: byte() * 65536 + byte() * 256 + byte() });
      else if (kind === 0x2f) return;
      else at += length;
    } else if (status >= 0xf0) {
      running = 0;
      at += quantity();
    } else {
      running = status;
      const one = (status & 0xe0) === 0xc0;
      events.push({ tick, status, first: byte(), second: one ? 0 : byte() });
    }
  }
}

/** Ticks -> seconds, through all changes of tempo. */
function secondsOf(tempi: readonly Tempo[], division: number): (tick: number) => number {
  const points = [{ tick: 0, seconds: 0, quarter: 500_000 }];
  for (const { tick, quarter } of tempi) {
    const last = points.at(-1)!;
    const seconds = last.seconds + ((tick - last.tick) / division) * (last.quarter / 1e6);
    points.push({ tick, seconds, quarter });
  }
  return (tick) => {
    const point = points.findLast((each) => each.tick <= tick)!;
    return point.seconds + ((tick - point.tick) / division) * (point.quarter / 1e6);
  };
}

function toNotes(events: readonly Event[], seconds: (tick: number) => number): Music {
  const notes: { pitch: number; velocity: number; onset: number; duration: number; channel: number }[] = [];
  const held = new Map<number, (typeof notes)[number][]>();
  const foot = new Map<number, number>();
  const programs = new Map<number, number>();
  const music = emptyMusic();
  let now = 0;
  for (const { tick, status, first, second } of events) {
    now = seconds(tick);
    const [kind, channel] = [status & 0xf0, status & 0x0f];
    const key = channel * 128 + first;
    if (kind === 0x90 && second > 0) {
      const note = { pitch: first, velocity: second, onset: now, duration: 0, channel };
      notes.push(note);
      held.set(key, [...(held.get(key) ?? []), note]);
    } else if (kind === 0x80 || kind === 0x90) {
      const note = held.get(key)?.shift();
      if (note) note.duration = now - note.onset;
    } else if (kind === 0xc0) programs.set(channel, first);
    else if (kind === 0xb0 && first === 64) {
      const down = foot.get(channel);
      if (second >= 64 && down === undefined) foot.set(channel, now);
      else if (second < 64 && down !== undefined) {
        addPedal(music, down, now, channel);
        foot.delete(channel);
      }
    }
  }
  for (const [channel, down] of foot) addPedal(music, down, now, channel);
  for (const left of held.values()) for (const note of left) note.duration = now - note.onset;
  for (const note of notes.filter((each) => each.duration > 0)) {
    music.pitch.push(note.pitch);
    music.velocity.push(note.velocity);
    music.onset.push(note.onset);
    music.duration.push(note.duration);
    music.channel.push(note.channel);
  }
  music.programs = [...programs];
  return music;
}
