/**
 * One request to the server in the making: its variations grow by messages until each is complete.
 *
 * Knows messages and music. Refuses to know the page, the sound and who keeps takes.
 *
 *     const making = new Making("a1", ["t1", "t2"], prompt, 12.5);
 *     making.notes(message);
 *     making.music(0); making.until(0);
 */

import { addNote, addPedal, copyMusic, type Music, merged } from "../music/music";
import { type Message, toMusic } from "../server/protocol";

type Of<Type extends Message["type"]> = Extract<Message, { type: Type }>;

export class Making {
  readonly id: string;
  /** The takes that become of it, one for each variation. */
  readonly takes: readonly string[];
  /** What the variations have in common, and the second at which the new begins. */
  readonly base: Music;
  readonly from: number;
  #music: Music[];
  #until: number[];

  constructor(id: string, takes: readonly string[], base: Music, from: number) {
    this.id = id;
    this.takes = takes;
    this.base = base;
    this.from = from;
    this.#music = takes.map(() => copyMusic(base));
    this.#until = takes.map(() => from);
  }

  music(variation: number): Music {
    return this.#music[variation]!;
  }

  /** Nothing new will come before this second; Infinity where all is there. */
  until(variation: number): number {
    return this.#until[variation]!;
  }

  /** Whether a variation has anything new. */
  grown(variation: number): boolean {
    return this.music(variation).onset.length > this.base.onset.length;
  }

  /** More notes of one variation. */
  notes({ variation, notes, pedal, until }: Of<"notes">): void {
    const music = this.#music[variation];
    if (!music) return;
    notes.onset.forEach((onset, i) => {
      addNote(music, {
        pitch: notes.pitch[i]!,
        velocity: notes.velocity[i]!,
        onset,
        duration: notes.duration[i]!,
        channel: notes.channel?.[i] ?? 0,
      });
    });
    pedal.down.forEach((down, i) => addPedal(music, down, pedal.up[i]!));
    this.#until[variation] = Math.max(this.#until[variation]!, until);
  }

  /** A variation as it stays, instead of what was streamed. */
  complete({ variation, music }: Of<"take">): void {
    if (!this.#music[variation]) return;
    this.#music[variation] = merged(this.base, toMusic(music));
    this.#until[variation] = Infinity;
  }

  /** No more will come. */
  end(): void {
    this.#until.fill(Infinity);
  }
}
