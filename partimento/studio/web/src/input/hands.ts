/**
 * Keys that people press: those of MIDI keyboards, and letters of the computer's as two octaves of piano keys.
 *
 * Knows Web MIDI and key codes, and tells both in one way. Refuses to know what comes of it.
 *
 *     const hands = new Hands({ press, release, pedal });
 *     await hands.findKeyboards();  // the browser asks the user
 *     hands.letters = true;
 */

export interface Touch {
  /** `now`: seconds on the clock of `performance.now()`. */
  press(pitch: number, velocity: number, now: number): void;
  release(pitch: number, now: number): void;
  pedal(down: boolean, now: number): void;
}

const LETTERS = ["KeyA", "KeyW", "KeyS", "KeyE", "KeyD", "KeyF", "KeyT", "KeyG", "KeyY", "KeyH", "KeyU", "KeyJ"].concat(
  ["KeyK", "KeyO", "KeyL", "KeyP", "Semicolon", "Quote"],
);
/** Letters know no touch: mezzo-forte. */
const VELOCITY = 76;

export class Hands {
  readonly #touch: Touch;
  readonly #down = new Map<string, number>();
  #octave = 4;
  #letters = false;
  #ports = new Set<MIDIInput>();

  constructor(touch: Touch) {
    this.#touch = touch;
  }

  /** Whether letters are piano keys. */
  get letters(): boolean {
    return this.#letters;
  }

  set letters(on: boolean) {
    this.#letters = on;
    if (on) return;
    const now = performance.now() / 1000;
    for (const pitch of this.#down.values()) this.#touch.release(pitch, now);
    this.#down.clear();
    this.#touch.pedal(false, now);
  }

  /** Whether a key of the computer is a piano key now; it has been played then. */
  key(event: KeyboardEvent, down: boolean): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const now = event.timeStamp / 1000;
    if (event.code === "ShiftLeft" || event.code === "ShiftRight") {
      this.#touch.pedal(down, now);
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
      this.#touch.press(pitch, VELOCITY, now);
    }
    const pitch = this.#down.get(event.code);
    if (!down && pitch !== undefined) {
      this.#down.delete(event.code);
      this.#touch.release(pitch, now);
    }
    return true;
  }

  /** Whether this key would sound a note. */
  static plays(event: KeyboardEvent): boolean {
    return LETTERS.includes(event.code) && !event.ctrlKey && !event.metaKey && !event.altKey;
  }

  /** Listens to every MIDI keyboard, also those that come later. How many there are; null where the browser has none. */
  async findKeyboards(): Promise<number | null> {
    if (!("requestMIDIAccess" in navigator)) return null;
    let access: MIDIAccess;
    try {
      access = await navigator.requestMIDIAccess();
    } catch {
      return null; // the user said no
    }
    const listen = (): void => {
      for (const port of access.inputs.values()) {
        if (this.#ports.has(port)) continue;
        this.#ports.add(port);
        port.onmidimessage = (event) => this.#message(event);
      }
    };
    listen();
    access.onstatechange = listen;
    return access.inputs.size;
  }

  #message(event: MIDIMessageEvent): void {
    const [status, first, second] = [...(event.data ?? [])];
    if (status === undefined || first === undefined || second === undefined) return;
    const now = event.timeStamp / 1000;
    const kind = status & 0xf0;
    if (kind === 0x90 && second > 0) this.#touch.press(first, second, now);
    else if (kind === 0x80 || kind === 0x90) this.#touch.release(first, now);
    else if (kind === 0xb0 && first === 64) this.#touch.pedal(second >= 64, now);
  }
}
