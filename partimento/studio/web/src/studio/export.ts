/**
 * A take -> files to take home. MIDI and sound are written by the server, which writes all such files.
 *
 *     save(await exported("mid", take, music, server), "nocturne.mid");
 */

import { type Music, shifted, slice } from "../music/music";
import { type Uploaded, toColumns, toMusic, type MusicColumns } from "../server/protocol";
import { Refused, type Server } from "../server/connection";
import { fileOf } from "../sound/samples";
import { recordingOf } from "../sound/sampler";
import type { Span, Take } from "../takes/tree";

export type Format = "mid" | "reply" | "wav" | "json" | "html";

const VERSION = 1;

/** A take as JSON: what the server's messages call music, and where the take came from. */
interface TakeFile {
  format: "partimento take";
  version: number;
  name: string;
  made: Take["made"];
  from: number;
  to: number | null;
  music: MusicColumns;
}

/** The new part alone, from its own beginning. */
export function replyOf(take: Take, music: Music): Music {
  return shifted(slice(music, take.from, take.to ?? Infinity), take.from);
}

export async function exported(
  format: Format,
  take: Take,
  music: Music,
  spans: readonly Span[],
  server: Server,
): Promise<[Blob, string]> {
  const name = take.name.replace(/[\\/:*?"<>|]+/g, "-").replace(/\.midi?$/i, "");
  switch (format) {
    case "mid":
      return [await server.export("mid", toColumns(music), name), `${name}.mid`];
    case "reply":
      return [await server.export("mid", toColumns(replyOf(take, music)), name), `${name} - reply.mid`];
    case "wav":
      return [await server.export("wav", toColumns(music), name), `${name}.wav`];
    case "json":
      return [new Blob([takeFile(take, music)], { type: "application/json" }), `${name}.json`];
    case "html":
      return [await pageOf(take, music, spans), `${name}.html`];
  }
}

function takeFile(take: Take, music: Music): string {
  const { name, made, from, to } = take;
  const file: TakeFile = { format: "partimento take", version: VERSION, name, made, from, to, music: toColumns(music) };
  return JSON.stringify(file);
}

/** What was exported as JSON. Raises `Refused` for anything else. */
export function readTakeFile(text: string): { name: string; music: Music } {
  let file: Partial<TakeFile>;
  try {
    file = JSON.parse(text) as Partial<TakeFile>;
  } catch {
    throw new Refused("this file is no JSON");
  }
  const notes = file?.music?.notes;
  if (file?.format !== "partimento take" || !notes || !Array.isArray(notes.onset)) {
    throw new Refused("this JSON is no take of the studio; export one with Export, Take (JSON)");
  }
  if (file.version !== VERSION) throw new Refused(`this take is of version ${String(file.version)}; this page reads ${VERSION}`);
  return { name: String(file.name ?? "take"), music: toMusic(file.music!) };
}

/** One file that plays the take anywhere: the player, the notes and the recordings that they need. */
async function pageOf(take: Take, music: Music, spans: readonly Span[]): Promise<Blob> {
  const player = await (await fetch("player.js")).text();
  const samples: Record<string, string> = {};
  for (const root of new Set(music.pitch.map(recordingOf))) {
    const name = fileOf(root);
    samples[name] = await base64(await (await fetch(`samples/${encodeURIComponent(name)}`)).blob());
  }
  const data = JSON.stringify({ title: take.name, music: toColumns(music), spans, samples }, (_, value: unknown) =>
    value === Infinity ? null : value,
  ).replaceAll("<", "\\u003c");
  const title = take.name.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  const parts = [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">`,
    `<title>${title}</title><style>:root{color-scheme:light dark}body{margin:0;font-family:system-ui,sans-serif;`,
    `display:grid;min-height:100dvh;align-content:center;padding:4vmin;box-sizing:border-box}`,
    `partimento-player{height:min(70vh,520px)}p{opacity:.65;font-size:13px}</style></head><body>`,
    `<partimento-player><script type="application/json">${data}</script></partimento-player>`,
    `<p>${title}. Made with partimento. Piano: Salamander Grand Piano by Alexander Holm, CC BY 3.0.</p>`,
    `<script>${player.replaceAll("</script", "<\\/script")}</script></body></html>`,
  ];
  return new Blob(parts, { type: "text/html" });
}

function base64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve((reader.result as string).split(",", 2)[1]!);
    reader.onerror = () => reject(reader.error ?? new Error("a recording could not be read"));
    reader.readAsDataURL(blob);
  });
}

/** Hands a file to the browser's downloads. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Where the tokens of a prompt end behind each note: those of a file that holds this music. */
export async function tokensOf(music: Music, title: string, server: Server): Promise<Uploaded["tokens"]> {
  return (await server.read(await server.export("mid", toColumns(music), title), title)).tokens;
}
