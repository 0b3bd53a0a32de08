/**
 * Music -> what each note asks of the piano, in frames: when it is struck, let go, struck again; and the pedal of each channel.
 *
 * The first half of docs/sound.md ("Time", "Which notes"). Refuses to know waves.
 *
 *     const { strokes, pedals } = scoreOf(music);
 */

import { DRUMS, type Music } from "../music/music";

/** Frames a second. */
export const RATE = 48_000;

/** Frame of a time in seconds that was whole nanoseconds once. */
export function frameOf(seconds: number): number {
  const microseconds = Math.round(seconds * 1e6);
  return Math.floor((6 * microseconds * 1000 + 62_500) / 125_000);
}

/** One note as the sampler sees it. */
export interface Stroke {
  channel: number;
  pitch: number;
  velocity: number;
  n0: number;
  n1: number;
  n2: number;
}

/** A channel's pedal: frames of its changes, and the values (0..127) that it has from there on. */
interface Pedal {
  frame: number[];
  value: number[];
}

/** Strokes in the order of the performance, and the pedal of each channel that has one. */
export interface Score {
  strokes: Stroke[];
  pedals: Map<number, Pedal>;
}

export function scoreOf(music: Music): Score {
  const strokes: Stroke[] = [];
  const latest = new Map<number, Stroke>();
  for (let i = 0; i < music.onset.length; i++) {
    const [pitch, velocity, channel] = [music.pitch[i]!, music.velocity[i]!, music.channel[i]!];
    if (channel === DRUMS) continue;
    const n0 = frameOf(music.onset[i]!);
    const n1 = Math.max(n0 + 1, frameOf(music.onset[i]! + music.duration[i]!));
    const key = channel * 128 + pitch;
    const before = latest.get(key);
    if (before && before.n0 === n0) {
      before.velocity = Math.max(before.velocity, velocity);
      before.n1 = Math.max(before.n1, n1);
      continue;
    }
    if (before) {
      before.n2 = n0;
      before.n1 = Math.min(before.n1, n0);
    }
    const stroke = { channel, pitch, velocity, n0, n1, n2: Infinity };
    latest.set(key, stroke);
    strokes.push(stroke);
  }
  const pedals = new Map<number, Pedal>();
  const change = (channel: number, seconds: number, value: number): void => {
    const pedal = pedals.get(channel) ?? { frame: [], value: [] };
    pedals.set(channel, pedal);
    const frame = frameOf(seconds);
    if (pedal.frame.at(-1) === frame) pedal.value[pedal.value.length - 1] = value;
    else {
      pedal.frame.push(frame);
      pedal.value.push(value);
    }
  };
  music.pedalDown.forEach((down, i) => {
    change(music.pedalChannel[i]!, down, 127);
    change(music.pedalChannel[i]!, music.pedalUp[i]!, 0);
  });
  return { strokes, pedals };
}
