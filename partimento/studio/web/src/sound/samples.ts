/**
 * The piano's recordings: fetched, decoded and kept, the middle of the keyboard first.
 *
 * Knows their names and Web Audio's decoder. Refuses to know what is done with them.
 *
 *     const piano = await loadPiano(context, fromFolder("/samples/"), pitchesOf(music));
 */

import { type Piano, recording, recordingOf } from "./sampler";
import { RATE } from "./score";

export type Source = (name: string) => Promise<ArrayBuffer>;

/** "D#4v8.ogg" for 63. */
export function fileOf(root: number): string {
  return `${["C", "D#", "F#", "A"][Math.floor(root / 3) % 4]}${Math.floor(root / 12) - 1}v8.ogg`;
}

export function fromFolder(address: string): Source {
  return async (name) => {
    const answer = await fetch(address + encodeURIComponent(name));
    if (!answer.ok) throw new Error(`the piano's recording ${name} is not there (${answer.status})`);
    return answer.arrayBuffer();
  };
}

const ROOTS = Array.from({ length: 30 }, (_, i) => 21 + 3 * i).sort((a, b) => Math.abs(a - 62) - Math.abs(b - 62));

/** Recordings that these pitches need (all, if none are given) into `piano`; those that it has are not loaded again. */
export async function loadPiano(piano: Piano, source: Source, pitches?: Iterable<number>): Promise<void> {
  const needed = new Set(pitches ? [...pitches].map(recordingOf) : ROOTS);
  const decoder = new OfflineAudioContext(2, 1, RATE);
  await Promise.all(
    ROOTS.filter((root) => needed.has(root) && !piano.has(root)).map(async (root) => {
      const buffer = await decoder.decodeAudioData(await source(fileOf(root)));
      const left = buffer.getChannelData(0);
      piano.set(root, recording(left, buffer.numberOfChannels > 1 ? buffer.getChannelData(1) : left));
    }),
  );
}
