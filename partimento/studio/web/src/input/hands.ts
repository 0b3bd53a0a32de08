/**
 * Keys that people press: those of MIDI keyboards, and letters of the computer's as two octaves of piano keys.
 *
 * Knows Web MIDI and key codes, and tells both in one way. Refuses to know what comes of it.
 *
 *     const hands = new Hands((kind, number, value, now, instrument) => ...);
 *     await hands.findInstruments();  // the browser asks the user
 *     hands.letters = true;
 */

import { type Kind, SUSTAIN } from "./hand-over";

/** A key or controller; `now`: seconds on the clock of `performance.now()`; `instrument`: not one of the letters. */
export type Hear = (kind: Kind, number: number, value: number, now: number, instrument: boolean) => void;

const LETTERS = ["KeyA", "KeyW", "KeyS", "KeyE", "KeyD", "KeyF", "KeyT", "KeyG", "KeyY", "KeyH", "KeyU", "KeyJ"].concat(
  ["KeyK", "KeyO", "KeyL", "KeyP", "Semicolon", "Quote"],
);
/** Letters know no touch: mezzo-forte. */
const VELOCITY = 76;

export class Hands {
  readonly #hear: Hear;
  readonly #down = new Map<string, number>();
  #octave = 4;
  #letters = false;
  #access: MIDIAccess | null = null;
  /** What is held on each input. */
  readonly #held = new Map<string, Set<number>>();
  /** Called when an instrument comes or goes. */
  onports: () => void = () => undefined;

  constructor(hear: Hear) {
    this.#hear = hear;
  }

  /** Where music can be sent. */
  get outputs(): MIDIOutput[] {
    return [...(this.#access?.outputs?.values() ?? [])].filter((port) => port.state !== "disconnected");
  }

  /** Whether letters are piano keys. */
  get letters(): boolean {
    return this.#letters;
  }

  set letters(on: boolean) {
    this.#letters = on;
    if (on) return;
    const now = performance.now() / 1000;
    for (const pitch of this.#down.values()) this.#hear("off", pitch, 0, now, false);
    this.#down.clear();
    this.#hear("control", SUSTAIN, 0, now, false);
  }

  /** Whether a key of the computer is a piano key now; it has been played then. */
  key(event: KeyboardEvent, down: boolean): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const now = event.timeStamp / 1000;
    if (event.code === "ShiftLeft" || event.code === "ShiftRight") {
      this.#hear("control", SUSTAIN, down ? 127 : 0, now, false);
      return true;
    }
    if (event.code === "KeyZ" || event.code === "KeyX") {
      if (down && !event.repeat) this.#octave = Math.min(7, Math.max(1, this.#octave + (event.code === "KeyX" ? 1 : -1)));
      return true;
    }
    const index = LETTERS.indexOf(event.code);
    if (index < 0) return false;
    if (down && !event.repeat) {
      const pitch = Math.min(108, 12 * (this.#octave + 1) + index);
      this.#down.set(event.code, pitch);
      this.#hear("on", pitch, VELOCITY, now, false);
    }
    const pitch = this.#down.get(event.code);
    if (!down && pitch !== undefined) {
      this.#down.delete(event.code);
      this.#hear("off", pitch, 0, now, false);
    }
    return true;
  }

  /** Whether this key would sound a note. */
  static plays(event: KeyboardEvent): boolean {
    return LETTERS.includes(event.code) && !event.ctrlKey && !event.metaKey && !event.altKey;
  }

  /** Listens to every MIDI keyboard, also those that come later. How many there are; null where the browser has none. */
  async findInstruments(): Promise<number | null> {
    if (!("requestMIDIAccess" in navigator)) return null;
    let access: MIDIAccess;
    try {
      access = this.#access ??= await navigator.requestMIDIAccess();
    } catch {
      return null; // the user said no
    }
    const listen = (): void => {
      for (const port of access.inputs.values()) {
        if (port.onmidimessage) continue;
        port.onmidimessage = (event) => this.#message(port.id, event);
      }
      this.onports();
    };
    listen();
    access.onstatechange = (event) => {
      if (event.port?.state === "disconnected") this.#letGo(event.port.id);
      listen();
    };
    return access.inputs.size;
  }

  #message(id: string, event: MIDIMessageEvent): void {
    const [status, first, second] = [...(event.data ?? [])];
    if (status === undefined || first === undefined || second === undefined) return;
    const now = event.timeStamp / 1000;
    const kind = ({ 0x90: "on", 0x80: "off", 0xb0: "control" } as const)[status & 0xf0];
    const held = this.#held.get(id) ?? new Set();
    this.#held.set(id, held);
    if (kind === "on" && second > 0) {
      held.add(first);
      this.#hear("on", first, second, now, true);
    } else if (kind === "on" || kind === "off") {
      held.delete(first);
      this.#hear("off", first, 0, now, true);
    } else if (kind === "control") this.#hear("control", first, second, now, true);
  }

  /** A cable was pulled: nobody will say that its keys came up. */
  #letGo(id: string): void {
    const now = performance.now() / 1000;
    for (const pitch of this.#held.get(id) ?? []) this.#hear("off", pitch, 0, now, true);
    if (this.#held.delete(id)) this.#hear("control", SUSTAIN, 0, now, true);
  }
}
