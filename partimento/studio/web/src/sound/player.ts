/**
 * The sound of a page: one audio context, the piano, what is played from notes and what is played by hand.
 *
 * Browsers let a page sound only after a click or a key, so the context is made at the first `start`.
 *
 *     const player = new Player(fromFolder("/samples/"));
 *     await player.start(music, 0);
 *     player.position();
 */

import type { Music } from "../music/music";
import { type Instrument, TICK } from "./instrument";
import { LiveKeys } from "./live";
import { type Piano } from "./sampler";
import { RATE } from "./score";
import { loadPiano, type Source } from "./samples";
import { type Output, Scheduler } from "./scheduler";

/** In place of the scale to -1 dBFS of a file, whose loudest moment is known: of 28 performances the loudest came to 0.85. */
const LOUDNESS = 1;
const FADE = 0.02;

export class Player {
  readonly piano: Piano = new Map();
  readonly #source: Source;
  #context: AudioContext | null = null;
  #scheduler: Scheduler | null = null;
  #keys: LiveKeys | null = null;
  #mix: GainNode | null = null;
  #instrument: Instrument | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #beat: ReturnType<typeof setInterval> | undefined;
  #loading: Promise<void> | null = null;
  #asked = 0;
  #starting = 0;
  /** Called when all has been heard. */
  onend: () => void = () => undefined;

  constructor(source: Source) {
    this.#source = source;
  }

  get playing(): boolean {
    return this.#scheduler?.playing ?? false;
  }

  /** Whether it will play as soon as the recordings are there. */
  get starting(): boolean {
    return this.#starting === this.#asked && this.#asked > 0;
  }

  get waiting(): boolean {
    return this.#scheduler?.waiting ?? false;
  }

  /** What plays in place of this page's piano; keys played by hand still sound here. */
  get instrument(): Instrument | null {
    return this.#instrument;
  }

  set instrument(instrument: Instrument | null) {
    this.#instrument?.silence();
    this.#instrument = instrument;
    if (this.#mix) this.#mix.gain.value = instrument ? 0 : 1;
  }

  /** Decodes recordings before they are needed; those of `pitches` first, then all others. */
  async prepare(pitches?: Iterable<number>): Promise<void> {
    if (pitches) await loadPiano(this.piano, this.#source, pitches);
    else await (this.#loading ??= loadPiano(this.piano, this.#source));
  }

  /** Plays from a second on, up to `limit` (`Scheduler`). */
  async start(music: Music, from: number, limit = Infinity): Promise<void> {
    const asked = (this.#starting = ++this.#asked);
    const scheduler = this.#ready();
    const running = this.#context!.resume();
    try {
      await this.prepare(new Set(music.pitch));
      await running;
      if (asked !== this.#asked) return; // stopped, or started elsewhere, meanwhile
    } finally {
      if (asked === this.#asked) this.#starting = 0;
    }
    scheduler.start(music, from, limit);
    this.#rest();
    this.#beat = setInterval(() => this.#instrument?.tick(scheduler.position()), TICK);
    this.#timer = setInterval(() => {
      if (scheduler.tick()) return;
      this.#rest();
      this.#instrument?.silence();
      this.onend();
    }, 100);
  }

  /** Other or more music at the same musical time. */
  switch(music: Music, limit = Infinity): void {
    this.#scheduler?.switch(music, limit);
  }

  stop(): void {
    this.#asked++;
    this.#rest();
    this.#scheduler?.stop();
    this.#instrument?.silence();
  }

  #rest(): void {
    clearInterval(this.#timer);
    clearInterval(this.#beat);
  }

  position(): number {
    return this.#scheduler?.position() ?? 0;
  }

  /** Keys played by hand; all recordings are loaded for them. */
  async keys(): Promise<LiveKeys> {
    this.#ready();
    await Promise.all([this.#context!.resume(), this.prepare()]);
    return this.#keys!;
  }

  #ready(): Scheduler {
    if (this.#scheduler) return this.#scheduler;
    const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    const master = new GainNode(context, { gain: LOUDNESS });
    master.connect(context.destination);
    const mix = new GainNode(context, { gain: this.#instrument ? 0 : 1 });
    mix.connect(master);
    this.#context = context;
    this.#mix = mix;
    this.#keys = new LiveKeys(context, this.piano, master);
    this.#scheduler = new Scheduler(this.piano, webAudioOutput(context, mix));
    return this.#scheduler;
  }
}

function webAudioOutput(context: AudioContext, master: AudioNode): Output {
  const runs = new Map<number, GainNode>();
  return {
    now: () => context.currentTime,
    sound(run, left, right, when) {
      let gain = runs.get(run);
      if (!gain) {
        gain = new GainNode(context, { gain: 0 });
        gain.gain.setValueAtTime(0, when);
        gain.gain.linearRampToValueAtTime(1, when + 0.005);
        gain.connect(master);
        runs.set(run, gain);
      }
      const buffer = new AudioBuffer({ length: left.length, numberOfChannels: 2, sampleRate: RATE });
      buffer.copyToChannel(left as Float32Array<ArrayBuffer>, 0);
      buffer.copyToChannel(right as Float32Array<ArrayBuffer>, 1);
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(gain);
      source.start(when);
    },
    end(run, when) {
      const gain = runs.get(run);
      if (!gain) return;
      runs.delete(run);
      gain.gain.cancelScheduledValues(when);
      gain.gain.setValueAtTime(1, when);
      gain.gain.linearRampToValueAtTime(0, when + FADE);
      setTimeout(() => gain.disconnect(), (when - context.currentTime + FADE + 0.1) * 1000);
    },
  };
}
