/**
 * The sign by which a player hands over: a pedal, silence, a key, or so many bars.
 *
 * The rule of `partimento/live/hand_over.py`, and shown to be: tests/live/hand_over.json holds what both have to say.
 * Knows which message is a sign, and when waiting is one. Refuses to know what follows.
 *
 *     const signs = new Signs({ ...USUAL, sign: "pedal" });
 *     signs.givenBy("control", SOFT, 127);
 *     signs.due(3.2, 9.0);
 */

export type Sign = "pedal" | "silence" | "key" | "bars";
export type Kind = "on" | "off" | "control";

/** Seconds of `silence`; the `key` that is no note; `bars` of so many `beats`, at `tempo` beats a minute. */
export interface HandOver {
  sign: Sign;
  silence: number;
  key: number;
  bars: number;
  beats: number;
  tempo: number;
}

export const USUAL: HandOver = { sign: "silence", silence: 1.5, key: 21, bars: 4, beats: 4, tempo: 100 };
export const SUSTAIN = 64;
export const SOSTENUTO = 66;
export const SOFT = 67;

/** Seconds of so many bars. */
export function turnOf(how: HandOver): number {
  return (how.bars * how.beats * 60) / how.tempo;
}

/** What a player has to do, in words. */
export function described(how: HandOver): string {
  return {
    pedal: "press the left or middle pedal",
    silence: `let go of all keys for ${how.silence} s`,
    key: `strike key ${how.key}${how.key === USUAL.key ? " (the lowest of 88)" : ""}`,
    bars: `play ${how.bars} bars of ${how.beats} beats at ${how.tempo} a minute`,
  }[how.sign];
}

export class Signs {
  readonly how: HandOver;
  readonly #pressed = new Set<number>();

  constructor(how: HandOver) {
    this.how = how;
  }

  /** Whether this is the sign. A pedal that tells every millimetre of its way gives it once. */
  givenBy(kind: Kind, number: number, value: number): boolean {
    if (this.how.sign === "key") return kind === "on" && number === this.how.key;
    if (this.how.sign !== "pedal" || kind !== "control" || (number !== SOFT && number !== SOSTENUTO)) return false;
    const before = this.#pressed.has(number);
    if (value >= 64) this.#pressed.add(number);
    else this.#pressed.delete(number);
    return value >= 64 && !before;
  }

  /** Whether it belongs to the sign rather than to what is played: its key, up or down. */
  isNoMusic(kind: Kind, number: number): boolean {
    return this.how.sign === "key" && kind !== "control" && number === this.how.key;
  }

  /**
   * When waiting becomes the sign (Infinity: it does not). `turnBegan`: the first note of the turn; `quietSince`: when
   * the last key came up, null while one is down. An answer takes `lead` to come, so that bars are over so much earlier.
   */
  due(turnBegan: number | null, quietSince: number | null, lead = 0): number {
    if (turnBegan === null) return Infinity;
    if (this.how.sign === "bars") return turnBegan + turnOf(this.how) - lead;
    if (this.how.sign === "silence" && quietSince !== null) return quietSince + this.how.silence;
    return Infinity;
  }
}
