/**
 * Notes -> sound, frame by frame: the algorithm of docs/sound.md, which `partimento render` runs too.
 *
 * Knows recordings, voices and the pedal. Refuses to know Web Audio, time and the page; so it also runs in tests. The
 * names in the code are those of the document.
 *
 *     const mixer = new Mixer(piano, scoreOf(music), 0);
 *     mixer.add(left, right);  // the first left.length frames; call again for the next
 */

import type { Music } from "../music/music";
import { RATE, type Score, scoreOf, type Stroke } from "./score";

const SILENT = 1e-4;
const FADE_IN = 96;
const WARM_UP = 4096;

/** One recording: two channels, and the frame `b` at which reading begins. */
export interface Recording {
  left: Float32Array;
  right: Float32Array;
  begin: number;
}

/** Recordings by the pitch that they are of; those not loaded yet are missing, and their notes silent. */
export type Piano = Map<number, Recording>;

/** The pitch of the recording that a pitch is played from. */
export function recordingOf(pitch: number): number {
  return 21 + 3 * Math.round((clamp(pitch, 21, 108) - 21) / 3);
}

export function recording(left: Float32Array, right: Float32Array): Recording {
  let peak = 0;
  for (let i = 0; i < left.length; i++) peak = Math.max(peak, Math.abs(left[i]!), Math.abs(right[i]!));
  let q = 0;
  while (q < left.length && Math.abs(left[q]!) < peak / 10 && Math.abs(right[q]!) < peak / 10) q++;
  return { left, right, begin: Math.max(1, q - 240) };
}

/** How firmly the damper lies on the string, by the pedal's value. */
function damper(pedal: number): number {
  if (pedal >= 64) return 0;
  return pedal > 20 ? ((64 - pedal) / 64) ** 2 : 1;
}

/** One string in motion. */
class Voice {
  readonly stroke: Stroke;
  readonly #recording: Recording;
  readonly #speed: number;
  readonly #a: number;
  readonly #bright: number;
  readonly #loud: number;
  readonly #decay: number;
  #k = 0;
  #g = 1;
  #rests = false;
  #lowLeft = 0;
  #lowRight = 0;
  #pedal = 0;

  constructor(stroke: Stroke, recorded: Recording) {
    const { pitch, velocity } = stroke;
    this.stroke = stroke;
    this.#recording = recorded;
    this.#speed = 2 ** ((pitch - recordingOf(pitch)) / 12);
    const cutoff = clamp(5 * 440 * 2 ** ((pitch - 69) / 12), 300, 8000);
    this.#a = 1 - Math.exp((-2 * Math.PI * cutoff) / RATE);
    this.#bright = velocity / 60;
    this.#loud = (velocity / 127) ** 2;
    this.#decay = 10 ** (-3 / (RATE * (0.42 - 0.0025 * (clamp(pitch, 21, 108) - 21))));
  }

  /**
   * Adds frames up to (not with) frame `to` of the performance to both channels, whose first is frame `from`; false when
   * the note is over.
   */
  add(left: Float32Array, right: Float32Array, from: number, to: number, score: Score): boolean {
    const { n0, n1, n2 } = this.stroke;
    const { left: x, right: z, begin } = this.#recording;
    const last = x.length - 2;
    const [speed, a, bright, loud, decay] = [this.#speed, this.#a, this.#bright, this.#loud, this.#decay];
    let [k, g, lowLeft, lowRight] = [this.#k, this.#g, this.#lowLeft, this.#lowRight];
    let d = 0;
    let change = n0 + k; // the frame from which `d` has to be looked up anew
    let alive = true;
    for (let n = n0 + k; n < to; n++, k++) {
      const place = begin + k * speed;
      const i = Math.floor(place);
      if (i >= last || g < SILENT) {
        alive = false;
        break;
      }
      const f = place - i;
      const gain = loud * g * (k < FADE_IN ? k / FADE_IN : 1);
      let u = cubic(x, i, f);
      lowLeft += a * (u - lowLeft);
      if (n >= from) left[n - from]! += gain * (lowLeft + bright * (u - lowLeft));
      u = cubic(z, i, f);
      lowRight += a * (u - lowRight);
      if (n >= from) right[n - from]! += gain * (lowRight + bright * (u - lowRight));
      if (n + 1 >= n1) {
        if (n + 1 >= change) [d, change] = this.#damping(n + 1, n2, score);
        if (d === 1) g *= decay;
        else if (d > 0) g *= decay ** d;
      }
    }
    [this.#k, this.#g, this.#lowLeft, this.#lowRight] = [k, g, lowLeft, lowRight];
    return alive && g >= SILENT;
  }

  /** Goes to a frame in the middle of the note, as if all before it had sounded; false where it is over by then. */
  skipTo(frame: number, score: Score): boolean {
    const { n0, n1, n2 } = this.stroke;
    let n = Math.max(n0, n1 - 1);
    while (n < frame && this.#g >= SILENT) {
      const [d, change] = this.#damping(n + 1, n2, score);
      const until = Math.min(frame, change - 1);
      this.#g *= this.#decay ** (d * (until - n));
      n = until;
    }
    const warm = Math.max(n0, frame - WARM_UP);
    const g = this.#g;
    this.#k = warm - n0;
    if (warm < frame) this.#warm(frame);
    this.#g = g;
    return g >= SILENT;
  }

  /** Only what the low-pass remembers. */
  #warm(frame: number): void {
    const { left, right, begin } = this.#recording;
    for (; this.stroke.n0 + this.#k < frame; this.#k++) {
      const place = begin + this.#k * this.#speed;
      const i = Math.floor(place);
      if (i >= left.length - 2) {
        this.#k = frame - this.stroke.n0;
        return;
      }
      this.#lowLeft += this.#a * (cubic(left, i, place - i) - this.#lowLeft);
      this.#lowRight += this.#a * (cubic(right, i, place - i) - this.#lowRight);
    }
  }

  /** d at a frame, and the next frame at which it may be another. */
  #damping(frame: number, n2: number, score: Score): [number, number] {
    if (this.#rests) return [1, Infinity];
    if (frame >= n2) {
      this.#rests = true;
      return [1, Infinity];
    }
    const pedal = score.pedals.get(this.stroke.channel);
    if (!pedal) {
      this.#rests = true;
      return [1, Infinity];
    }
    const { frame: at, value } = pedal;
    while (this.#pedal > 0 && !(at[this.#pedal - 1]! <= frame)) this.#pedal--;
    while (this.#pedal < at.length && at[this.#pedal]! <= frame) this.#pedal++;
    const d = damper(this.#pedal ? value[this.#pedal - 1]! : 0);
    if (d === 1) this.#rests = true;
    return [d, Math.min(n2, at[this.#pedal] ?? Infinity)];
  }
}

function cubic(x: Float32Array, i: number, f: number): number {
  const before = x[i - 1]!;
  const here = x[i]!;
  const next = x[i + 1]!;
  const second = x[i + 2]!;
  const c1 = (next - before) / 2;
  const c2 = before - 2.5 * here + 2 * next - second / 2;
  const c3 = (second - before) / 2 + 1.5 * (here - next);
  return ((c3 * f + c2) * f + c1) * f + here;
}

/** Strings that sound, from a frame on; the score may grow or be another one between two calls of `add`. */
export class Mixer {
  readonly #piano: Piano;
  #score: Score;
  #voices: Voice[] = [];
  #next = 0;
  #frame: number;

  constructor(piano: Piano, score: Score, frame: number) {
    this.#piano = piano;
    this.#score = score;
    this.#frame = frame;
    this.#enter(frame);
  }

  /** The frame that the next call of `add` begins at. */
  get frame(): number {
    return this.#frame;
  }

  /** Whether nothing sounds and nothing is to come. */
  get over(): boolean {
    return !this.#voices.length && this.#next >= this.#score.strokes.length;
  }

  /** Adds the next frames to both channels and moves on. */
  add(left: Float32Array, right: Float32Array): void {
    const from = this.#frame;
    const to = from + left.length;
    const { strokes } = this.#score;
    for (; this.#next < strokes.length && strokes[this.#next]!.n0 < to; this.#next++) {
      const voice = this.#voice(strokes[this.#next]!);
      if (voice) this.#voices.push(voice);
    }
    this.#voices = this.#voices.filter((voice) => voice.add(left, right, from, to, this.#score));
    this.#frame = to;
  }

  /** Another score, of which all up to here is the same: strings sound on. Else nothing changes, and false comes back. */
  replace(score: Score): boolean {
    if (!this.#sameSoFar(score)) return false;
    this.#score = score;
    const next = score.strokes.findIndex((stroke) => stroke.n0 >= this.#frame);
    this.#next = next < 0 ? score.strokes.length : next;
    for (const voice of this.#voices) adopt(voice.stroke, score);
    return true;
  }

  #sameSoFar(score: Score): boolean {
    let i = 0;
    for (const stroke of score.strokes) {
      if (stroke.n0 >= this.#frame) break;
      const other = this.#score.strokes[i++];
      if (!other || keyOf(other) !== keyOf(stroke)) return false;
    }
    const next = this.#score.strokes[i];
    return !next || next.n0 >= this.#frame;
  }

  #enter(frame: number): void {
    const { strokes } = this.#score;
    for (this.#next = 0; this.#next < strokes.length; this.#next++) {
      const stroke = strokes[this.#next]!;
      if (stroke.n0 >= frame) break;
      const voice = this.#voice(stroke);
      if (voice?.skipTo(frame, this.#score)) this.#voices.push(voice);
    }
  }

  #voice(stroke: Stroke): Voice | undefined {
    const recorded = this.#piano.get(recordingOf(stroke.pitch));
    return recorded && new Voice(stroke, recorded);
  }
}

function keyOf(stroke: Stroke): number {
  return ((stroke.n0 * 16 + stroke.channel) * 128 + stroke.pitch) * 128 + stroke.velocity;
}

/** When a note that sounds already is let go may only become known while it sounds. */
function adopt(stroke: Stroke, score: Score): void {
  const other = score.strokes.find((each) => keyOf(each) === keyOf(stroke));
  if (other) Object.assign(stroke, { n1: other.n1, n2: other.n2 });
}

/** All of it, not scaled; in pieces of a second so that a page can go on in between. */
export async function renderAll(piano: Piano, music: Music, pause?: () => Promise<void>): Promise<[Float32Array, Float32Array]> {
  const mixer = new Mixer(piano, scoreOf(music), 0);
  const parts: [Float32Array, Float32Array][] = [];
  while (!mixer.over) {
    const part: [Float32Array, Float32Array] = [new Float32Array(RATE), new Float32Array(RATE)];
    mixer.add(...part);
    parts.push(part);
    await pause?.();
  }
  const whole = [0, 1].map((channel) => {
    const joined = new Float32Array(parts.length * RATE);
    parts.forEach((part, index) => joined.set(part[channel] as Float32Array, index * RATE));
    return joined;
  });
  return whole as [Float32Array, Float32Array];
}

/** Scaled so that the largest is -1 dBFS. */
export function normalise(channels: readonly Float32Array[]): void {
  let peak = 0;
  for (const channel of channels) for (const value of channel) peak = Math.max(peak, Math.abs(value));
  if (!peak) return;
  const scale = 10 ** (-1 / 20) / peak;
  for (const channel of channels) for (let i = 0; i < channel.length; i++) channel[i]! *= scale;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
