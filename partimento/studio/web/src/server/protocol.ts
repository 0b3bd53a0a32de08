/** The messages of docs/studio.md as types, and its columns <-> `Music`. */

import { emptyMusic, type Music } from "../music/music";
import type { Timed } from "../sound/instrument";

export interface NoteColumns {
  onset: number[];
  duration: number[];
  pitch: number[];
  velocity: number[];
  channel?: number[];
  sounding_end?: number[];
}

export interface MusicColumns {
  notes: NoteColumns;
  pedal?: { down: number[]; up: number[]; channel?: number[] };
  programs?: [number, number][];
}

export interface Uploaded {
  performance: string;
  title: string;
  seconds: number;
  music: MusicColumns;
  /** How many tokens a prompt has that ends behind note i. */
  tokens: number[];
}

export interface KnobStep {
  temperature: number;
  min_p: number;
}

export interface Model {
  name: string;
  engine: string;
  parameters: number;
  context: number;
  fills: boolean;
  knob: KnobStep[];
}

/** The library that the studio was given. */
export interface LibraryFacts {
  name: string;
  files: number;
}

export interface Settings {
  seconds?: number;
  seed: number;
  variations: number;
  temperature?: number;
  min_p?: number;
  end?: boolean;
  candidates?: number;
}

export interface Prompt extends MusicColumns {
  end?: number;
}

/** What a take shares with what the model learned from. */
export interface Originality {
  verdict: "copy" | "repertoire" | "own";
  /** In words, with the source. */
  text: string;
}

export type Request =
  | { type: "continue"; id: string; prompt: Prompt; settings: Settings; heard?: number; at_once?: boolean }
  | { type: "fill"; id: string; prompt: Prompt; start: number; end: number; settings: Settings }
  | { type: "read"; id: string; prompt: Prompt }
  | { type: "heard"; id: string; seconds: number }
  | { type: "stop"; id: string };

export type Message =
  | { type: "hello"; protocol: number; model: Model; library: LibraryFacts | null }
  | { type: "state"; id: string; state: "queued" | "reading" | "running" | "asleep"; text: string }
  | {
      type: "notes";
      id: string;
      variation: number;
      notes: NoteColumns;
      pedal: { down: number[]; up: number[] };
      until: number;
      ahead: number | null;
      messages: Timed[] | null;
    }
  | {
      type: "take";
      id: string;
      variation: number;
      music: MusicColumns;
      tokens: number;
      ended: boolean | null;
      fallback: string | null;
      retries: number;
      originality: Originality | null;
      messages: Timed[] | null;
    }
  | { type: "done"; id: string; stopped: boolean; settings: Record<string, unknown>; model: string; seconds: number }
  | { type: "error"; id: string | null; message: string; field: string | null };

export function toMusic(columns: MusicColumns): Music {
  const { notes, pedal, programs } = columns;
  return {
    ...emptyMusic(),
    pitch: notes.pitch,
    velocity: notes.velocity,
    onset: notes.onset,
    duration: notes.duration,
    channel: notes.channel ?? notes.pitch.map(() => 0),
    pedalDown: pedal?.down ?? [],
    pedalUp: pedal?.up ?? [],
    pedalChannel: pedal?.channel ?? pedal?.down.map(() => 0) ?? [],
    programs: programs ?? [],
  };
}

export function toColumns(music: Music): MusicColumns {
  return {
    notes: {
      onset: music.onset,
      duration: music.duration,
      pitch: music.pitch,
      velocity: music.velocity,
      channel: music.channel,
    },
    pedal: { down: music.pedalDown, up: music.pedalUp, channel: music.pedalChannel },
    programs: music.programs,
  };
}
