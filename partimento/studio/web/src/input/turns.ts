/**
 * Playing in turns: who listens and who answers, as keys, pedals and time say.
 *
 * Knows the signs (`hand-over.ts`). Refuses to know what either side plays; time is what it is handed. The same as
 * `partimento/live/duet.py` decides, which tests/live/hand_over.json shows.
 *
 *     const turns = new Turns({ handOver: (lead) => studio.answer(lead), listen: () => studio.listen() });
 *     turns.begin(USUAL);
 *     turns.hear("on", 60, 80, 1.0); turns.hear("off", 60, 0, 1.2);  // and a second and a half later it is handed over
 */

import { type HandOver, type Kind, Signs } from "./hand-over";

export interface Does {
  /** It is the other one's turn; the answer is to begin in `lead` seconds. */
  handOver(lead: number): void;
  /** The answer ends at once. */
  listen(): void;
}

/** Seconds, and a call at one of them; what is returned takes it back. */
export interface Clock {
  now(): number;
  at(seconds: number, call: () => void): () => void;
}

/** Bars are over so much earlier, that the answer's first note is there on the bar line. */
export const LEAD = 0.25;
/** What is struck so shortly after the sign belongs to it. */
const GRACE = 0.08;

const BROWSER: Clock = {
  now: () => performance.now() / 1000,
  at(seconds, call) {
    const timer = setTimeout(call, Math.max(0, seconds * 1000 - performance.now()));
    return () => clearTimeout(timer);
  },
};

export class Turns {
  readonly #does: Does;
  readonly #clock: Clock;
  readonly #down = new Set<number>();
  #signs: Signs | null = null;
  #answering = false;
  #heard = false;
  #began: number | null = null;
  #lastRelease = -Infinity;
  #quietUntil = -Infinity;
  #takeBack: () => void = () => undefined;

  constructor(does: Does, clock: Clock = BROWSER) {
    this.#does = does;
    this.#clock = clock;
  }

  get on(): boolean {
    return this.#signs !== null;
  }

  /** Whether it is the other one's turn. */
  get answering(): boolean {
    return this.#answering;
  }

  /** Whether a person holds this key. */
  holds(pitch: number): boolean {
    return this.#down.has(pitch);
  }

  /** Listens from now on; nothing was heard yet. */
  begin(how: HandOver): void {
    this.end();
    this.#signs = new Signs(how);
  }

  /** Another sign from now on. */
  change(how: HandOver): void {
    if (!this.on) return;
    this.#signs = new Signs(how);
    this.#wait();
  }

  end(): void {
    this.#takeBack();
    this.#signs = null;
    this.#answering = this.#heard = false;
    this.#began = null;
    this.#down.clear();
  }

  /** What somebody plays; whether it is music, and not the sign. */
  hear(kind: Kind, number: number, value: number, now: number): boolean {
    const signs = this.#signs;
    if (!signs) return true;
    if (signs.givenBy(kind, number, value)) {
      this.sign(now);
      return false;
    }
    if (signs.isNoMusic(kind, number)) return false;
    if (kind === "on") {
      if (this.#answering && now >= this.#quietUntil) this.#listen(true);
      if (!this.#answering) this.#began ??= now;
      this.#heard = true;
      this.#down.add(number);
    } else if (kind === "off" && this.#down.delete(number)) this.#lastRelease = now;
    this.#wait();
    return true;
  }

  /** Hands over; while an answer goes on, takes back. */
  sign(now: number): void {
    if (!this.on) return;
    if (this.#answering) this.#listen(true);
    else this.#handOver(now, 0);
  }

  /** The answer is over. */
  answered(): void {
    if (this.#answering) this.#listen(false);
  }

  #handOver(now: number, lead: number): void {
    if (!this.#heard) return;
    this.#answering = true;
    this.#quietUntil = now + Math.max(GRACE, lead);
    this.#takeBack();
    this.#does.handOver(lead);
  }

  #listen(cut: boolean): void {
    this.#answering = false;
    this.#began = null;
    if (cut) this.#does.listen();
    this.#wait();
  }

  /** Waiting, too, may be a sign. */
  #wait(): void {
    this.#takeBack();
    if (this.#answering || !this.#signs) return;
    const bars = this.#signs.how.sign === "bars";
    const due = this.#signs.due(this.#began, this.#down.size ? null : this.#lastRelease, LEAD);
    if (due === Infinity) return;
    this.#takeBack = this.#clock.at(due, () => this.#handOver(Math.max(due, this.#clock.now()), bars ? LEAD : 0));
  }
}
