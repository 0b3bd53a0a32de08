/**
 * What a map holds, as partimento/library/atlas/page.py writes it: columns, packed where they are numbers.
 *
 * Knows the JSON and where a file's music can be had. Refuses to know how points are drawn.
 *
 *     const map = readMap(JSON.parse(text));
 *     map.x[7], map.titles[7], classOf(map.kinds[0], 7)
 */

import { ask } from "../server/connection";
import { fromFolder, type Source } from "../sound/samples";

/** Base64 of little-endian numbers. */
type Packed = string;

/** One way to colour the points: the classes with most files first; one beyond the colours is grey, and so is "". */
interface PackedKind {
  name: string;
  classes: string[];
  of: Packed; // uint16, a class for each point
}

export interface MapJson {
  title: string;
  about: string;
  names: string[];
  titles: string[];
  x: Packed; // float32, from -1 to 1
  y: Packed;
  kinds: PackedKind[];
  colours: { light: string[]; dark: string[] };
  near: Packed; // int32, the nearest by the vectors, `neighbours` for each point
  neighbours: number;
  placed: number[]; // points that were placed on a map of the others
  /** The address that a point's number is put behind to have its file, or null. */
  numbered: string | null;
  /** MIDI files and the piano's recordings inside the page, or null. */
  music: string[] | null;
  piano: Record<string, string> | null;
}

export interface Kind {
  name: string;
  classes: string[];
  of: Uint16Array;
  /** What the legend tells apart: a class, all classes without a colour, what is not known. */
  groups: { name: string; classes: number[]; count: number }[];
}

export interface AtlasMap extends Omit<MapJson, "x" | "y" | "kinds" | "near"> {
  x: Float32Array;
  y: Float32Array;
  kinds: Kind[];
  near: Int32Array;
}

/** A file that is like another one; a server says besides how much (cosine), and which seconds are most alike. */
export interface Near {
  number: number;
  similarity?: number;
  start?: number;
  end?: number;
}

export function bytesOf(packed: Packed): ArrayBuffer {
  return Uint8Array.from(atob(packed), (c) => c.charCodeAt(0)).buffer;
}

export function readMap(json: MapJson): AtlasMap {
  const kinds = json.kinds.map(({ name, classes, of }) => {
    const numbers = new Uint16Array(bytesOf(of));
    return { name, classes, of: numbers, groups: groupsOf(classes, numbers, json.colours.light.length - 1) };
  });
  const [x, y] = [new Float32Array(bytesOf(json.x)), new Float32Array(bytesOf(json.y))];
  return { ...json, x, y, kinds, near: new Int32Array(bytesOf(json.near)) };
}

export function groupsOf(classes: string[], of: Uint16Array, colours: number): Kind["groups"] {
  const counts = new Array<number>(classes.length).fill(0);
  for (const number of of) counts[number]!++;
  const groups: Kind["groups"] = [];
  classes.forEach((name, at) => {
    const last = groups.at(-1);
    const called = name ? (at < colours ? name : "others") : "not known";
    if (called === "others" && last?.name === called && at > colours) {
      last.classes.push(at);
      last.count += counts[at]!;
    } else groups.push({ name: called, classes: [at], count: counts[at]! });
  });
  return groups;
}

/** The points nearest to one by the vectors, the nearest first. */
export function nearestTo(map: AtlasMap, point: number): Near[] {
  return [...map.near.subarray(point * map.neighbours, (point + 1) * map.neighbours)].map((number) => ({ number }));
}

export function classOf(kind: Kind, point: number): string {
  return kind.classes[kind.of[point]!]!;
}

/** What is known of a point besides its title, such as "chopin, romantic, asap". */
export function factsOf(map: AtlasMap, point: number): string {
  const known = map.kinds.map((kind) => classOf(kind, point)).filter(Boolean);
  return [...known, ...(map.placed.includes(point) ? ["placed on it"] : [])].join(", ");
}

/** Points whose title or name has all words of the text, at most so many. */
export function found(map: AtlasMap, text: string, most: number): number[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const points: number[] = [];
  for (let i = 0; words.length && i < map.names.length && points.length < most; i++) {
    const said = `${map.titles[i]} ${map.names[i]}`.toLowerCase();
    if (words.every((word) => said.includes(word))) points.push(i);
  }
  return points;
}

/** Whether this page can play the files: it holds them, or a server does. */
export function plays(map: AtlasMap): boolean {
  return map.music !== null || map.numbered !== null;
}

/** The MIDI file of a point. Raises where it is not near. */
export async function musicOf(map: AtlasMap, point: number): Promise<ArrayBuffer> {
  if (map.music) return bytesOf(map.music[point]!);
  return (await ask(`${map.numbered}${point}`)).arrayBuffer();
}

/** The piano's recordings. */
export function pianoOf(map: AtlasMap): Source {
  const { piano } = map;
  if (!piano) return fromFolder("samples/");
  return async (name) => bytesOf(piano[name] ?? "");
}
