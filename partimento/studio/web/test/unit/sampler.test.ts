import { describe, expect, test } from "vitest";
import { emptyMusic, type Music } from "../../src/music/music";
import { readMidi } from "../../src/player/smf";
import { toMusic } from "../../src/server/protocol";
import { Mixer, normalise, recording, renderAll } from "../../src/sound/sampler";
import { RATE, scoreOf } from "../../src/sound/score";
import { cases, piano } from "./vectors";

const recorded = piano();

function difference(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < Math.max(one.length, other.length); i++) sum += ((one[i] ?? 0) - (other[i] ?? 0)) ** 2;
  return Math.sqrt(sum / Math.max(one.length, other.length));
}

describe.each(cases())("$name", ({ columns, midi, sound }) => {
  test("sounds as in `partimento render`", async () => {
    const made = await renderAll(recorded, toMusic(columns));
    normalise(made);
    expect(difference(made[0], sound[0])).toBeLessThan(1e-4);
    expect(difference(made[1], sound[1])).toBeLessThan(1e-4);
  });

  test("a player that begins in the middle sounds what the whole would", async () => {
    const music = toMusic(columns);
    const whole = await renderAll(recorded, music);
    const from = Math.round(0.4 * music.onset.at(-1)! * RATE);
    const part: [Float32Array, Float32Array] = [new Float32Array(RATE), new Float32Array(RATE)];
    new Mixer(recorded, scoreOf(music), from).add(...part);
    expect(difference(part[0], whole[0].slice(from, from + RATE))).toBeLessThan(1e-4);
  });

  test("the player's own reader finds the same notes and pedals as the package's", () => {
    const [read, music] = [readMidi(midi), toMusic(columns)];
    expect(read.pitch).toEqual(music.pitch);
    expect(read.velocity).toEqual(music.velocity);
    for (const name of ["onset", "duration", "pedalDown", "pedalUp"] as const) {
      expect(read[name].length).toBe(music[name].length);
      read[name].forEach((seconds, i) => expect(seconds).toBeCloseTo(music[name][i]!, 5));
    }
  });
});

const flat = recording(new Float32Array(20 * RATE).fill(0.5), new Float32Array(20 * RATE).fill(0.5));

function oneNote(changes: Partial<Music>): Music {
  return { ...emptyMusic(), pitch: [60], velocity: [80], onset: [0], duration: [0.2], channel: [0], ...changes };
}

async function loudnessAt(music: Music, seconds: number): Promise<number> {
  const [left] = await renderAll(new Map([[60, flat]]), music);
  return Math.abs(left[Math.round(seconds * RATE)] ?? 0);
}

test("a key that is let go under the pedal sounds until the pedal is", async () => {
  const music = oneNote({ pedalDown: [0.1], pedalUp: [3], pedalChannel: [0] });
  expect(await loudnessAt(music, 2.9)).toBeCloseTo(await loudnessAt(music, 1), 5);
  expect(await loudnessAt(music, 3.5)).toBeLessThan(1e-3);
  expect(await loudnessAt(oneNote({}), 1)).toBeLessThan(1e-3);
});

test("another channel's pedal holds nothing", async () => {
  expect(await loudnessAt(oneNote({ pedalDown: [0.1], pedalUp: [3], pedalChannel: [1] }), 1)).toBeLessThan(1e-3);
});

test("notes that are added behind what sounds interrupt nothing, others are refused", () => {
  const music = oneNote({ duration: [5] });
  const mixer = new Mixer(new Map([[60, flat]]), scoreOf(music), 0);
  mixer.add(new Float32Array(RATE), new Float32Array(RATE));
  const more = { ...music, pitch: [60, 64], velocity: [80, 80], onset: [0, 2], duration: [5, 1], channel: [0, 0] };
  expect(mixer.replace(scoreOf(more))).toBe(true);
  expect(mixer.replace(scoreOf({ ...more, onset: [0, 0.5] }))).toBe(false);
});
