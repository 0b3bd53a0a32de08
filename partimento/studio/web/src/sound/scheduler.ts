/**
 * Which frames of which music are to be heard when: blocks of sound, made a little ahead of the clock.
 *
 * Knows a clock, a mixer and how far the music is decided. Refuses to know Web Audio: what it makes goes to `Output`, so
 * tests run it on a clock of their own.
 *
 *     scheduler.start(music, 12.5);
 *     setInterval(() => scheduler.tick(), 100);
 *     scheduler.position();  // seconds of the music that are heard now
 */

import type { Music } from "../music/music";
import { Mixer, type Piano } from "./sampler";
import { RATE, scoreOf } from "./score";

export interface Output {
  /** Seconds. */
  now(): number;
  /** Sounds a block whose first frame is due at `when`. Blocks of one `run` follow each other without a gap. */
  sound(run: number, left: Float32Array, right: Float32Array, when: number): void;
  /** Fades out what is left of a run from `when` on. */
  end(run: number, when: number): void;
}

export const BLOCK = 4800;
const AHEAD = 0.9;
const FIRST = 0.03;

/** What is sounded without interruption: frame `frame` at clock `when`, up to `to`. */
interface Stretch {
  when: number;
  frame: number;
  to: number;
}

export class Scheduler {
  readonly #piano: Piano;
  readonly #output: Output;
  #mixer: Mixer | null = null;
  #limit = Infinity;
  #run = 0;
  #stretches: Stretch[] = [];

  constructor(piano: Piano, output: Output) {
    this.#piano = piano;
    this.#output = output;
  }

  get playing(): boolean {
    return this.#mixer !== null;
  }

  /** Whether it stands still because the music is not decided any further. */
  get waiting(): boolean {
    return this.playing && this.position() >= this.#limit - 1e-6 && this.#limit < Infinity;
  }

  /** Plays from a second on. Nothing is sounded beyond `limit` until `switch` moves it. */
  start(music: Music, from: number, limit = Infinity): void {
    const now = this.#output.now();
    if (this.#mixer) this.#output.end(this.#run, now + FIRST);
    this.#run++;
    this.#limit = limit;
    const frame = Math.round(from * RATE);
    this.#mixer = new Mixer(this.#piano, scoreOf(music), frame);
    this.#stretches = [{ when: onGrid(now + FIRST), frame, to: frame }];
    this.tick();
  }

  /** Other music at the same musical time; where it is the same so far, nothing is interrupted. */
  switch(music: Music, limit = Infinity): void {
    if (!this.#mixer) return;
    this.#limit = limit;
    if (this.#mixer.replace(scoreOf(music))) this.tick();
    else this.start(music, this.position() + FIRST, limit);
  }

  stop(): void {
    if (!this.#mixer) return;
    this.#output.end(this.#run, this.#output.now());
    this.#mixer = null;
  }

  /** Seconds of the music that are heard at this moment. */
  position(): number {
    const now = this.#output.now();
    const stretch = this.#stretches.findLast((each) => each.when <= now) ?? this.#stretches[0];
    if (!stretch) return 0;
    const frame = stretch.frame + Math.max(0, now - stretch.when) * RATE;
    return Math.min(frame, stretch.to) / RATE;
  }

  /** Makes the blocks that are due; false when all has been heard. */
  tick(): boolean {
    const mixer = this.#mixer;
    if (!mixer) return false;
    const now = this.#output.now();
    let stretch = this.#stretches.at(-1)!;
    let due = stretch.when + (stretch.to - stretch.frame) / RATE;
    while (due < now + AHEAD && !(mixer.over && this.#limit === Infinity)) {
      const size = Math.min(BLOCK, Math.floor(this.#limit * RATE) - mixer.frame);
      if (size <= 0) break;
      if (due < now) {
        // Late, or the music was not decided yet: go on from here, and the clock of the music with it.
        stretch = { when: onGrid(now + FIRST), frame: mixer.frame, to: mixer.frame };
        this.#stretches = [...this.#stretches.slice(-1), stretch];
        due = stretch.when;
      }
      const [left, right] = [new Float32Array(size), new Float32Array(size)];
      mixer.add(left, right);
      this.#output.sound(this.#run, left, right, due);
      stretch.to += size;
      due += size / RATE;
    }
    if (mixer.over && this.#limit === Infinity && now > due) {
      this.stop();
      return false;
    }
    return true;
  }
}

function onGrid(seconds: number): number {
  return Math.ceil(seconds * RATE) / RATE;
}
