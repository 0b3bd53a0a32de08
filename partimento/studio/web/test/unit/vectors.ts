/** What the Python package made for these tests (tests/studio/test_page.py): music, its sound, recordings. */

/// <reference types="node" />

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { MusicColumns } from "../../src/server/protocol";
import { type Piano, recording } from "../../src/sound/sampler";

const folder = process.env["PARTIMENTO_VECTORS"] ?? "";

if (!existsSync(folder)) {
  throw new Error("run these tests with: python -m pytest tests/studio/test_page.py, which makes what they compare with");
}

export interface Case {
  name: string;
  columns: MusicColumns;
  midi: ArrayBuffer;
  /** Two channels, not interleaved. */
  sound: [Float32Array, Float32Array];
}

function floats(name: string): Float32Array {
  const bytes = readFileSync(join(folder, name));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

function halves(both: Float32Array): [Float32Array, Float32Array] {
  return [both.slice(0, both.length / 2), both.slice(both.length / 2)];
}

export function cases(): Case[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((file) => {
      const name = file.slice(0, -".json".length);
      const midi = readFileSync(join(folder, `${name}.mid`));
      return {
        name,
        columns: JSON.parse(readFileSync(join(folder, file), "utf8")) as MusicColumns,
        midi: midi.buffer.slice(midi.byteOffset, midi.byteOffset + midi.byteLength) as ArrayBuffer,
        sound: halves(floats(`${name}.f32`)),
      };
    });
}

export function piano(): Piano {
  const found = readdirSync(folder).filter((name) => name.startsWith("recording-"));
  return new Map(found.map((name) => [Number(/\d+/.exec(name)![0]), recording(...halves(floats(name)))]));
}
