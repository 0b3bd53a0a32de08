/**
 * Keys that are played at this moment, heard at once: the sampler's sound out of Web Audio's own nodes.
 *
 * What is played from notes goes through `sampler.ts`, which has to be asked some time ahead; fingers do not wait.
 *
 *     const keys = new LiveKeys(context, piano, destination);
 *     keys.press(60, 80); keys.release(60); keys.pedal(true);
 */

import { type Kind, SUSTAIN } from "../input/hand-over";
import { type Piano, recordingOf } from "./sampler";

interface Held {
  source: AudioBufferSourceNode;
  gain: GainNode;
}

export class LiveKeys {
  readonly #context: AudioContext;
  readonly #piano: Piano;
  readonly #out: AudioNode;
  readonly #buffers = new Map<number, AudioBuffer>();
  readonly #held = new Map<number, Held>();
  readonly #sustained = new Map<number, Held>();
  #pedal = false;

  constructor(context: AudioContext, piano: Piano, out: AudioNode) {
    this.#context = context;
    this.#piano = piano;
    this.#out = out;
  }

  /** A key, or a controller, of which the sustain pedal is one. */
  hear(kind: Kind, number: number, value: number): void {
    if (kind === "on") this.press(number, value);
    else if (kind === "off") this.release(number);
    else if (number === SUSTAIN) this.pedal(value >= 64);
  }

  press(pitch: number, velocity: number): void {
    const root = recordingOf(pitch);
    const recorded = this.#piano.get(root);
    if (!recorded) return;
    this.#damp(pitch, this.#held);
    this.#damp(pitch, this.#sustained);
    let buffer = this.#buffers.get(root);
    if (!buffer) {
      buffer = new AudioBuffer({ length: recorded.left.length, numberOfChannels: 2, sampleRate: 48_000 });
      buffer.copyToChannel(recorded.left as Float32Array<ArrayBuffer>, 0);
      buffer.copyToChannel(recorded.right as Float32Array<ArrayBuffer>, 1);
      this.#buffers.set(root, buffer);
    }
    const source = new AudioBufferSourceNode(this.#context, { buffer, playbackRate: 2 ** ((pitch - root) / 12) });
    // The one-pole low-pass and its share of the rest (docs/sound.md), as one filter.
    const cutoff = Math.min(8000, Math.max(300, 5 * 440 * 2 ** ((pitch - 69) / 12)));
    const a = 1 - Math.exp((-2 * Math.PI * cutoff) / this.#context.sampleRate);
    const bright = velocity / 60;
    const filter = new IIRFilterNode(this.#context, {
      feedforward: [(1 - bright) * a + bright, -bright * (1 - a)],
      feedback: [1, -(1 - a)],
    });
    const gain = new GainNode(this.#context, { gain: (velocity / 127) ** 2 });
    source.connect(filter).connect(gain).connect(this.#out);
    source.start(0, recorded.begin / 48_000);
    source.onended = () => gain.disconnect();
    this.#held.set(pitch, { source, gain });
  }

  release(pitch: number): void {
    const held = this.#held.get(pitch);
    if (!held) return;
    if (this.#pedal) {
      this.#held.delete(pitch);
      this.#damp(pitch, this.#sustained);
      this.#sustained.set(pitch, held);
    } else this.#damp(pitch, this.#held);
  }

  pedal(down: boolean): void {
    this.#pedal = down;
    if (!down) for (const pitch of [...this.#sustained.keys()]) this.#damp(pitch, this.#sustained);
  }

  /** Lets everything go. */
  silence(): void {
    this.pedal(false);
    for (const pitch of [...this.#held.keys()]) this.release(pitch);
  }

  #damp(pitch: number, strings: Map<number, Held>): void {
    const held = strings.get(pitch);
    if (!held) return;
    strings.delete(pitch);
    const seconds = 0.42 - 0.0025 * (Math.min(108, Math.max(21, pitch)) - 21);
    const now = this.#context.currentTime;
    held.gain.gain.setTargetAtTime(0, now, seconds / Math.log(1000));
    held.source.stop(now + 2 * seconds);
  }
}
