/**
 * What is played by hand -> music: keys and pedal with their times, beginning at the first key.
 *
 * Knows no MIDI port, no sound and no page; times are whatever clock the caller has, in seconds.
 *
 *     const recorder = new Recorder();  // or behind what there is: new Recorder(music, 12.5)
 *     recorder.press(60, 80, 1.5); recorder.release(60, 2.1);
 *     const music = recorder.sofar(3.0);
 */

import { addNote, addPedal, copyMusic, emptyMusic, type Music, slice } from "../music/music";

/** Keys that are hardly touched sound, too: no model and no file knows a note without length. */
const LEAST = 0.02;

export class Recorder {
  readonly #from: number;
  #music: Music;
  #began: number | null = null;
  #held = new Map<number, { velocity: number; at: number }>();
  #foot: number | null = null;

  /** The first key comes at `from`, behind what was before. */
  constructor(before: Music = emptyMusic(), from = 0) {
    this.#music = copyMusic(before);
    this.#from = from;
  }

  get empty(): boolean {
    return this.#began === null;
  }

  /** Where one is: the seconds since the first key, behind what was before. */
  elapsed(now: number): number {
    return this.#began === null ? this.#from : this.#from + now - this.#began;
  }

  press(pitch: number, velocity: number, now: number): void {
    this.#began ??= now;
    this.release(pitch, now);
    this.#held.set(pitch, { velocity, at: now });
  }

  release(pitch: number, now: number): void {
    const held = this.#held.get(pitch);
    if (!held) return;
    this.#held.delete(pitch);
    this.#note(this.#music, pitch, held, now);
  }

  pedal(down: boolean, now: number): void {
    if (down) this.#foot ??= now;
    else if (this.#foot !== null) {
      this.#pedal(this.#music, now);
      this.#foot = null;
    }
  }

  /** What has ended for good: what stands before the first note whose end is open, with the pedal as it was. */
  certain(): Music {
    const music = this.#music;
    const foot = this.#foot === null ? Infinity : this.elapsed(this.#foot);
    const ringing = music.onset.filter((onset, i) => onset + music.duration[i]! > foot);
    const open = Math.min(Infinity, ...ringing, ...[...this.#held.values()].map(({ at }) => this.elapsed(at)));
    const { pedalDown, pedalUp, pedalChannel } = music;
    return { ...slice(music, 0, open), pedalDown, pedalUp, pedalChannel };
  }

  /** As it stands: keys that are down last until now. */
  sofar(now: number): Music {
    const music = copyMusic(this.#music);
    for (const [pitch, held] of this.#held) this.#note(music, pitch, held, now);
    this.#pedal(music, now);
    return music;
  }

  #note(music: Music, pitch: number, held: { velocity: number; at: number }, now: number): void {
    const onset = this.elapsed(held.at);
    addNote(music, { pitch, velocity: held.velocity, onset, duration: Math.max(LEAST, now - held.at) });
  }

  /** A pedal that was down before the first key is down from the beginning on. */
  #pedal(music: Music, now: number): void {
    if (this.#foot === null || this.#began === null) return;
    addPedal(music, Math.max(this.#from, this.elapsed(this.#foot)), this.elapsed(now));
  }
}
