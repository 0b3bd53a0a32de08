/**
 * What an instrument is sent of a reply: a little before each message is due, and all that ends it, whatever happens.
 *
 * Knows messages with the seconds of the music at which they are due. Refuses to know what a piano can play, which the
 * server has seen to, and where the music is: it is told.
 *
 *     const instrument = new Instrument(port, (pitch) => turns.holds(pitch));
 *     instrument.plan(message.messages);
 *     instrument.tick(player.position());  // every TICK milliseconds
 *     instrument.silence();
 */

/** Seconds of the music, and three bytes. */
export type Timed = readonly [number, number, number, number];

/** A `MIDIOutput`; `at` is a time of `performance.now()`. */
export interface Port {
  send(data: number[], at?: number): void;
}

/** Milliseconds. */
export const TICK = 20;
const AHEAD = 60;
/** By so many seconds a clock of sound may differ from its own course before it counts as another. */
const SAME = 0.05;
const [OFF, ON, CONTROL] = [0x80, 0x90, 0xb0];
const [SUSTAIN, ALL_NOTES_OFF] = [64, 123];

export class Instrument {
  readonly #port: Port;
  readonly #taken: (pitch: number) => boolean;
  readonly #now: () => number;
  readonly #down = new Set<number>();
  #due: Timed[] = [];
  #offset: number | null = null;
  #pedal = false;
  #last = 0;

  /** `taken`: whether a person holds that key, which then is neither struck nor let go. */
  constructor(port: Port, taken: (pitch: number) => boolean, now = (): number => performance.now()) {
    this.#port = port;
    this.#taken = taken;
    this.#now = now;
  }

  /** More of what is to be sent, in the order of time. */
  plan(messages: readonly Timed[]): void {
    this.#due.push(...messages);
  }

  /** Sends what is due soon, if the music is at this second. */
  tick(position: number): void {
    const now = this.#now();
    // Clocks of sound go in steps and never ahead of their steps: the earliest beginning that they tell is the true one.
    const offset = now / 1000 - position;
    this.#offset = this.#offset === null || Math.abs(offset - this.#offset) > SAME ? offset : Math.min(offset, this.#offset);
    while (this.#due.length && (this.#due[0]![0] + this.#offset) * 1000 < now + AHEAD) {
      const [seconds, ...data] = this.#due.shift()!;
      this.#send(data, Math.max(now, (seconds + this.#offset) * 1000));
    }
  }

  /** Nothing more of it, and nothing of it that sounds. */
  silence(): void {
    this.#due = [];
    this.#offset = null;
    const at = Math.max(this.#now(), this.#last) + 1; // behind what has left already
    for (const pitch of this.#down) this.#port.send([OFF, pitch, 0], at);
    this.#down.clear();
    if (this.#pedal) this.#port.send([CONTROL, SUSTAIN, 0], at);
    this.#pedal = false;
  }

  /** Nothing that sounds, whoever began it: nobody knows what was lost with a cable. */
  reset(): void {
    this.silence();
    this.#port.send([CONTROL, SUSTAIN, 0]);
    this.#port.send([CONTROL, ALL_NOTES_OFF, 0]);
    for (let pitch = 21; pitch <= 108; pitch++) this.#port.send([OFF, pitch, 0]);
  }

  #send(data: number[], at: number): void {
    const [status, pitch] = data as [number, number, number];
    if (status === ON) {
      if (this.#taken(pitch)) return;
      this.#down.add(pitch);
    } else if (status === OFF && !this.#down.delete(pitch)) return;
    else if (status === CONTROL) this.#pedal = data[2]! >= 64;
    this.#last = at;
    this.#port.send(data, at);
  }
}
