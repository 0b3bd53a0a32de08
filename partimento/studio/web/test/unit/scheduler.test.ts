import { beforeEach, describe, expect, test } from "vitest";
import { emptyMusic, type Music } from "../../src/music/music";
import { Mixer, type Piano, recording } from "../../src/sound/sampler";
import { RATE, scoreOf } from "../../src/sound/score";
import { type Output, Scheduler } from "../../src/sound/scheduler";

const wave = Float32Array.from({ length: 20 * RATE }, (_, i) => 0.5 * Math.cos(i / 50));
const piano: Piano = new Map([[60, recording(wave, wave)]]);

function notes(...onsets: number[]): Music {
  const same = (value: number): number[] => onsets.map(() => value);
  return { ...emptyMusic(), pitch: same(60), velocity: same(80), onset: onsets, duration: same(0.4), channel: same(0) };
}

/** A clock that a test turns, and all that was to be sounded. */
class Tape implements Output {
  time = 0;
  blocks: { run: number; left: Float32Array; when: number }[] = [];
  ended: { run: number; when: number }[] = [];

  now(): number {
    return this.time;
  }

  sound(run: number, left: Float32Array, _: Float32Array, when: number): void {
    this.blocks.push({ run, left, when });
  }

  end(run: number, when: number): void {
    this.ended.push({ run, when });
  }
}

let tape: Tape;
let scheduler: Scheduler;

function pass(seconds: number): void {
  for (let i = 0; i < Math.round(seconds * 10); i++) {
    tape.time += 0.1;
    scheduler.tick();
  }
}

beforeEach(() => {
  tape = new Tape();
  scheduler = new Scheduler(piano, tape);
});

describe("playing", () => {
  test("blocks follow each other without a gap, and are what the mixer makes", () => {
    scheduler.start(notes(0, 1), 0);
    pass(2);
    const whole = new Float32Array(2 * RATE);
    new Mixer(piano, scoreOf(notes(0, 1)), 0).add(whole, new Float32Array(2 * RATE));
    let frame = 0;
    for (const { left, when } of tape.blocks) {
      expect(when).toBeCloseTo(tape.blocks[0]!.when + frame / RATE, 9);
      const length = Math.min(left.length, whole.length - frame);
      expect(left.slice(0, length)).toEqual(whole.slice(frame, frame + length));
      frame += left.length;
      if (frame >= whole.length) break;
    }
  });

  test("the position is what is heard, from the second that was asked for", () => {
    scheduler.start(notes(0, 1, 2, 3), 1.5);
    const begin = tape.blocks[0]!.when;
    pass(1);
    expect(scheduler.position()).toBeCloseTo(1.5 + 1 - begin, 6);
  });

  test("it ends when the last string is silent", () => {
    scheduler.start(notes(0), 0);
    pass(0.3);
    expect(scheduler.playing).toBe(true);
    pass(4);
    expect(scheduler.playing).toBe(false);
  });

  test("sound is made ahead, but not far ahead", () => {
    scheduler.start(notes(0, 1, 2, 3), 0);
    pass(1);
    const last = tape.blocks.at(-1)!;
    const made = last.when + last.left.length / RATE - tape.time;
    expect(made).toBeGreaterThan(0.5);
    expect(made).toBeLessThan(1.1);
  });
});

describe("music in the making", () => {
  test("nothing is sounded beyond what is decided, and it waits there", () => {
    scheduler.start(notes(0), 0, 1);
    pass(3);
    expect(scheduler.position()).toBeCloseTo(1, 6);
    expect(scheduler.waiting).toBe(true);
  });

  test("more of it goes on where it waited", () => {
    scheduler.start(notes(0), 0, 1);
    pass(3);
    scheduler.switch(notes(0, 1.2), Infinity);
    pass(0.5);
    expect(scheduler.position()).toBeGreaterThan(1.3);
    expect(scheduler.position()).toBeLessThan(1.51);
  });

  test("more of it in time changes nothing of what was to be heard", () => {
    scheduler.start(notes(0, 1), 0, 2);
    pass(0.5);
    scheduler.switch(notes(0, 1, 2.5), 4);
    pass(0.5);
    expect(new Set(tape.blocks.map((block) => block.run)).size).toBe(1);
    expect(tape.ended).toEqual([]);
  });
});

test("another variation is heard at once, at the same musical time", () => {
  scheduler.start(notes(0, 0.5, 1, 3), 0);
  pass(1.5);
  const before = scheduler.position();
  scheduler.switch(notes(0, 0.5, 0.9, 1.4, 3));
  expect(tape.ended).toHaveLength(1);
  const first = tape.blocks.findLast((block, i, all) => block.run !== all[i - 1]?.run)!;
  expect(first.when - tape.time).toBeLessThan(0.06);
  tape.time = first.when;
  expect(scheduler.position()).toBeCloseTo(before + first.when - 1.5, 2);
});

test("after a stop nothing more is made", () => {
  scheduler.start(notes(0, 1), 0);
  scheduler.stop();
  const made = tape.blocks.length;
  pass(1);
  expect(tape.blocks).toHaveLength(made);
  expect(tape.ended).toHaveLength(1);
});
