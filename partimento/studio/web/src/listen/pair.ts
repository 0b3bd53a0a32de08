/**
 * Two clips that run together, of which one is heard: switching changes what one hears and not where one is.
 *
 * Knows Web Audio, and for how many seconds of the continuation each clip was heard. Refuses to know what they are.
 *
 *     const pair = await Pair.load(context, { a: bytes, b: bytes }, 15);
 *     pair.play();
 *     pair.hear("b");
 */

export type Side = "a" | "b";
export const SIDES = ["a", "b"] as const;

/** Seconds: short enough to be at once, long enough not to click. */
const SWITCH = 0.008;

export class Pair {
  readonly #context: AudioContext;
  readonly #buffers: Record<Side, AudioBuffer>;
  readonly #gains: Record<Side, GainNode>;
  readonly #from: number;
  #sources: AudioBufferSourceNode[] = [];
  #side: Side = "a";
  /** Seconds into the clips, at the context's time `#since` if they play. */
  #at = 0;
  #since: number | null = null;
  readonly #heard: Record<Side, number> = { a: 0, b: 0 };
  /** Called when the clips are over. */
  onend: () => void = () => undefined;

  private constructor(context: AudioContext, buffers: Record<Side, AudioBuffer>, from: number) {
    this.#context = context;
    this.#buffers = buffers;
    this.#from = from;
    const gain = (side: Side): GainNode => {
      const node = new GainNode(context, { gain: side === "a" ? 1 : 0 });
      node.connect(context.destination);
      return node;
    };
    this.#gains = { a: gain("a"), b: gain("b") };
  }

  /** Decodes both; `from` is where the continuation begins. */
  static async load(context: AudioContext, bytes: Record<Side, ArrayBuffer>, from: number): Promise<Pair> {
    const [a, b] = await Promise.all([context.decodeAudioData(bytes.a), context.decodeAudioData(bytes.b)]);
    return new Pair(context, { a, b }, from);
  }

  get playing(): boolean {
    return this.#since !== null;
  }

  get side(): Side {
    return this.#side;
  }

  get seconds(): number {
    return Math.min(this.#buffers.a.duration, this.#buffers.b.duration);
  }

  get position(): number {
    return this.#since === null ? this.#at : Math.min(this.seconds, this.#at + Math.max(0, this.#context.currentTime - this.#since));
  }

  /** Seconds of the continuation during which each clip was the one that is heard. */
  get heard(): Record<Side, number> {
    const now = { ...this.#heard };
    now[this.#side] += this.#running();
    return now;
  }

  play(): void {
    if (this.playing) return;
    if (this.#at >= this.seconds) this.#at = 0;
    void this.#context.resume();
    // Both on one clock, at one moment that has not passed when the second one is told.
    const when = this.#context.currentTime + 0.03;
    this.#sources = SIDES.map((side) => {
      const source = new AudioBufferSourceNode(this.#context, { buffer: this.#buffers[side] });
      source.connect(this.#gains[side]);
      source.start(when, this.#at);
      return source;
    });
    this.#since = when;
    this.#sources[0]!.onended = () => {
      this.pause();
      this.onend();
    };
  }

  pause(): void {
    if (!this.playing) return;
    this.#count();
    this.#at = this.position;
    this.#since = null;
    for (const source of this.#sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.#sources = [];
  }

  seek(seconds: number): void {
    const goesOn = this.playing;
    this.pause();
    this.#at = Math.max(0, Math.min(seconds, this.seconds));
    if (goesOn) this.play();
  }

  hear(side: Side): void {
    this.#count();
    this.#side = side;
    for (const each of SIDES) this.#gains[each].gain.setTargetAtTime(each === side ? 1 : 0, this.#context.currentTime, SWITCH / 3);
  }

  /** Stops, for good. */
  close(): void {
    this.pause();
    for (const side of SIDES) this.#gains[side].disconnect();
  }

  /** What was heard since the last count belongs to the side that is heard. */
  #count(): void {
    this.#heard[this.#side] += this.#running();
    if (this.#since === null) return;
    this.#at = this.position;
    this.#since = Math.max(this.#since, this.#context.currentTime);
  }

  #running(): number {
    return this.#since === null ? 0 : Math.max(0, this.position - Math.max(this.#at, this.#from));
  }
}
