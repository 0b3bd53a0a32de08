/**
 * Playing in turns: when keys have been up for a while, it is the other one's turn.
 *
 * Knows keys and silence. Refuses to know what either side plays, and takes timers as they are handed to it.
 *
 *     const turns = new Turns(() => studio.answer());
 *     turns.on = true;
 *     turns.press(60); turns.release(60);  // and a second and a half later it is handed over
 */

export interface Timer {
  /** Calls once after so many milliseconds; what is returned takes it back. */
  after(milliseconds: number, call: () => void): () => void;
}

/** Milliseconds without a key that is down. */
export const SILENCE = 1500;

const BROWSER: Timer = {
  after(milliseconds, call) {
    const timer = setTimeout(call, milliseconds);
    return () => clearTimeout(timer);
  },
};

export class Turns {
  readonly #handOver: () => void;
  readonly #timer: Timer;
  readonly #down = new Set<number>();
  #takeBack: () => void = () => undefined;
  #on = false;

  constructor(handOver: () => void, timer: Timer = BROWSER) {
    this.#handOver = handOver;
    this.#timer = timer;
  }

  get on(): boolean {
    return this.#on;
  }

  set on(on: boolean) {
    this.#on = on;
    this.#takeBack();
    this.#down.clear();
  }

  press(pitch: number): void {
    this.#takeBack();
    this.#down.add(pitch);
  }

  release(pitch: number): void {
    if (!this.#down.delete(pitch) || this.#down.size || !this.#on) return;
    this.#takeBack();
    this.#takeBack = this.#timer.after(SILENCE, this.#handOver);
  }
}
