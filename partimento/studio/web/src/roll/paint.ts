/**
 * Draws the roll: what stays (notes, lines, pedal), and what moves (the playhead and what sounds under it).
 *
 * Knows a canvas and a view. Refuses to know the pointer, the page and where music comes from. Beats are not assumed: the
 * grid is of octaves and seconds.
 *
 *     paintScore(context, view, picture, colours);
 *     paintMoment(context, view, picture, colours, 12.5);
 */

import { clock, firstAtLeast, type Music, pitchName } from "../music/music";
import type { Span } from "../takes/tree";
import { type Colours, loudness } from "./colours";
import { KEYS, PEDAL, rulerStep, type View } from "./view";

/** What is to be seen. `until`: music is decided up to there; later than `promptEnd`, what is not the model's is dim. */
export interface Picture {
  music: Music;
  /** When each note has died away, and the longest time that one sounds. */
  ends: Float64Array;
  longest: number;
  spans: readonly Span[];
  promptEnd: number | null;
  selection: Span | null;
}

type Context = CanvasRenderingContext2D;
const BLACK = new Set([1, 3, 6, 8, 10]);
const BODY = 0.82;
const MOST_ROUNDED = 1000;

export function paintScore(context: Context, view: View, picture: Picture, colours: Colours): void {
  const { width, height } = view.size;
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, height);
  paintRows(context, view, colours);
  paintRuler(context, view, colours);
  context.save();
  context.beginPath();
  context.rect(KEYS, 0, width - KEYS, height);
  context.clip();
  paintPedal(context, view, picture, colours);
  paintNotes(context, view, picture, colours);
  paintSelection(context, view, picture, colours);
  context.restore();
  paintKeys(context, view, colours, new Map());
}

function paintRows(context: Context, view: View, colours: Colours): void {
  const { width } = view.size;
  for (let pitch = view.lowest; pitch <= view.highest; pitch++) {
    const y = view.y(pitch);
    if (BLACK.has(pitch % 12)) {
      context.fillStyle = colours.dusk;
      context.fillRect(KEYS, y, width - KEYS, view.row);
    }
    if (pitch % 12 === 0) {
      context.fillStyle = colours.line;
      context.fillRect(KEYS, Math.round(y + view.row) - 1, width - KEYS, 1);
    }
  }
}

function paintRuler(context: Context, view: View, colours: Colours): void {
  const step = rulerStep(view.zoom);
  context.font = `11px ${fontOf(context)}`;
  context.textBaseline = "middle";
  for (let i = Math.max(0, Math.ceil(view.start / step)); i * step <= view.end; i++) {
    const x = Math.round(view.x(i * step));
    context.fillStyle = colours.faint;
    context.fillRect(x, view.top, 1, view.bottom - view.top);
    context.fillStyle = colours.quiet;
    context.fillText(clock(i * step, step < 1 ? 1 : 0), x + 5, view.top / 2);
    context.fillStyle = colours.line;
    context.fillRect(x, view.top - 7, 1, 7);
  }
  context.fillStyle = colours.line;
  context.fillRect(0, view.top - 1, view.size.width, 1);
}

function paintPedal(context: Context, view: View, picture: Picture, colours: Colours): void {
  const { music } = picture;
  const top = view.bottom;
  context.fillStyle = colours.dusk;
  context.fillRect(KEYS, top, view.size.width - KEYS, PEDAL);
  context.fillStyle = colours.line;
  context.fillRect(KEYS, top, view.size.width - KEYS, 1);
  music.pedalDown.forEach((down, i) => {
    const up = music.pedalUp[i]!;
    if (up < view.start || down > view.end) return;
    const x = view.x(down);
    context.fillStyle = colours.quiet;
    context.globalAlpha = picture.promptEnd !== null && down >= picture.promptEnd && !isMade(picture, down) ? 0.14 : 0.42;
    context.beginPath();
    context.roundRect(x, top + 8, Math.max(2, view.x(up) - x - 1.5), PEDAL - 14, 3);
    context.fill();
  });
  context.globalAlpha = 1;
}

function isMade(picture: Picture, seconds: number): boolean {
  return picture.spans.some((span) => seconds >= span.from && seconds < span.to);
}

/** A look: whose note, how loud, dim or not; and the rectangles of its keys and of what sounds on. */
interface Look {
  colour: string;
  alpha: number;
  keys: number[];
  tails: number[];
}

/** Notes of one look are filled together, since thousands of them have to fit into a frame. */
function paintNotes(context: Context, view: View, picture: Picture, colours: Colours): void {
  const { music, ends } = picture;
  const looks = new Map<number, Look>();
  const thick = Math.max(2, view.row * BODY);
  for (let i = firstAtLeast(music.onset, view.start - picture.longest); i < music.onset.length; i++) {
    const onset = music.onset[i]!;
    if (onset > view.end) break;
    if (ends[i]! < view.start) continue;
    const made = isMade(picture, onset);
    const dim = !made && picture.promptEnd !== null && onset >= picture.promptEnd;
    const loud = loudness(music.velocity[i]!);
    const key = (loud * 2 + Number(made)) * 2 + Number(dim);
    let look = looks.get(key);
    if (!look) {
      look = { colour: (made ? colours.model : colours.people)[loud]!, alpha: dim ? 0.25 : 1, keys: [], tails: [] };
      looks.set(key, look);
    }
    const x = view.x(onset);
    const keyUp = Math.max(x + 2, view.x(onset + music.duration[i]!) - 1);
    const y = view.y(music.pitch[i]!) + (view.row - thick) / 2;
    look.keys.push(x, y, keyUp - x);
    const silent = view.x(ends[i]!);
    if (silent > keyUp + 1) look.tails.push(keyUp, y + thick * 0.3, silent - keyUp);
  }
  const all = [...looks.values()];
  for (const { colour, alpha, tails } of all) {
    context.fillStyle = colour;
    context.globalAlpha = 0.34 * alpha;
    fillAll(context, tails, Math.max(1, thick * 0.4), 0);
  }
  // Corners are rounded where there are few enough notes for them to be seen.
  const round = all.reduce((count, { keys }) => count + keys.length / 3, 0) < MOST_ROUNDED;
  for (const { colour, alpha, keys } of all) {
    context.fillStyle = colour;
    context.globalAlpha = alpha;
    fillAll(context, keys, thick, round ? Math.min(2.5, thick / 3) : 0);
  }
  context.globalAlpha = 1;
}

/** Rectangles as x, y, width after each other, all of one height. */
function fillAll(context: Context, places: readonly number[], height: number, radius: number): void {
  if (radius < 1) {
    for (let i = 0; i < places.length; i += 3) context.fillRect(places[i]!, places[i + 1]!, places[i + 2]!, height);
    return;
  }
  context.beginPath();
  for (let i = 0; i < places.length; i += 3) context.roundRect(places[i]!, places[i + 1]!, places[i + 2]!, height, radius);
  context.fill();
}

function paintSelection(context: Context, view: View, picture: Picture, colours: Colours): void {
  const { selection } = picture;
  if (!selection) return;
  const [x, end] = [view.x(selection.from), view.x(selection.to)];
  context.fillStyle = colours.accent;
  context.globalAlpha = 0.13;
  context.fillRect(x, view.top, end - x, view.bottom - view.top);
  context.globalAlpha = 0.8;
  context.fillRect(x, view.top, 1, view.bottom - view.top);
  context.fillRect(end - 1, view.top, 1, view.bottom - view.top);
  context.globalAlpha = 1;
}

/** The keyboard on the left; `lit`: a colour for each key that sounds. */
function paintKeys(context: Context, view: View, colours: Colours, lit: ReadonlyMap<number, string>): void {
  context.fillStyle = colours.paper;
  context.fillRect(0, view.top, KEYS, view.size.height - view.top);
  const [left, right] = [18, KEYS - 4];
  context.fillStyle = colours.whiteKey;
  context.fillRect(left, view.top, right - left, view.bottom - view.top);
  context.font = `10px ${fontOf(context)}`;
  context.textBaseline = "middle";
  for (let pitch = view.lowest; pitch <= view.highest; pitch++) {
    const [y, row] = [view.y(pitch), view.row];
    const colour = lit.get(pitch);
    const black = BLACK.has(pitch % 12);
    if (black || colour) {
      context.fillStyle = colour ?? colours.blackKey;
      context.fillRect(left, y, black ? (right - left) * 0.64 : right - left, row);
    }
    if (pitch % 12 === 0 || pitch % 12 === 5) {
      context.fillStyle = colours.line;
      context.fillRect(left, Math.round(y + row) - 0.5, right - left, 1);
    }
    if (pitch % 12 === 0) {
      context.fillStyle = colours.quiet;
      context.textAlign = "right";
      context.fillText(pitchName(pitch), left - 3, y + row / 2 - 1);
      context.textAlign = "left";
    }
  }
  context.fillStyle = colours.quiet;
  context.fillText("Ped.", 8, view.bottom + PEDAL / 2);
}

/** The playhead, notes and keys that sound at that moment, and the pedal if it is down. */
export function paintMoment(
  context: Context,
  view: View,
  picture: Picture,
  colours: Colours,
  seconds: number,
  playing: boolean,
): void {
  context.clearRect(0, 0, view.size.width, view.size.height);
  const { music, ends } = picture;
  const lit = new Map<number, string>();
  if (playing) {
    const thick = Math.max(2, view.row * BODY);
    for (let i = firstAtLeast(music.onset, seconds - picture.longest); i < music.onset.length; i++) {
      const onset = music.onset[i]!;
      if (onset > seconds) break;
      if (ends[i]! <= seconds) continue;
      const colour = isMade(picture, onset) ? colours.modelPlain : colours.peoplePlain;
      const held = onset + music.duration[i]! > seconds;
      if (held || !lit.has(music.pitch[i]!)) lit.set(music.pitch[i]!, colour);
      context.globalAlpha = held ? 1 : 0.5;
      context.fillStyle = colour;
      const x = Math.max(KEYS, view.x(onset));
      const end = held ? view.x(onset + music.duration[i]!) - 1 : view.x(ends[i]!);
      context.fillRect(x, view.y(music.pitch[i]!) + (view.row - thick) / 2, Math.max(1, end - x), thick);
    }
    context.globalAlpha = 1;
    const foot = music.pedalDown.findLastIndex((down) => down <= seconds);
    if (foot >= 0 && music.pedalUp[foot]! > seconds) {
      const x = Math.max(KEYS, view.x(music.pedalDown[foot]!));
      context.fillStyle = colours.accent;
      context.beginPath();
      context.roundRect(x, view.bottom + 8, Math.max(2, view.x(music.pedalUp[foot]!) - x - 1.5), PEDAL - 14, 3);
      context.fill();
      context.beginPath();
      context.arc(4, view.bottom + PEDAL / 2, 2.5, 0, 2 * Math.PI);
      context.fill();
    }
    if (lit.size) paintKeys(context, view, colours, lit);
  }
  const x = view.x(seconds);
  if (x < KEYS) return;
  context.fillStyle = colours.ink;
  context.globalAlpha = playing ? 0.9 : 0.55;
  context.fillRect(Math.round(x) - 0.5, view.top - 6, 1.5, view.size.height - view.top + 6);
  context.beginPath();
  context.moveTo(x - 5, view.top - 11);
  context.lineTo(x + 5, view.top - 11);
  context.lineTo(x, view.top - 4);
  context.fill();
  context.globalAlpha = 1;
}

function fontOf(context: Context): string {
  return context.canvas.dataset["font"] ?? "sans-serif";
}
