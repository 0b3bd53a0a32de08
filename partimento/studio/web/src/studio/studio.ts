/**
 * What one can do in the studio, without a page: open, play, continue, branch, fill, record, choose.
 *
 * Knows the shelf of takes, the player and what the server makes (`maker.ts`), and tells the page by `onchange` what to
 * show anew. Refuses to know elements, keys and pixels.
 *
 *     const studio = new Studio(shelf, player, server);
 *     studio.continue(12.5, { seed: 1, variations: 4 });
 */

import { Recorder } from "../input/recorder";
import { emptied, endOf, firstAtLeast, gaps, latest, type Music, nearestGap, slice } from "../music/music";
import type { Server } from "../server/connection";
import { type Settings, toColumns } from "../server/protocol";
import type { Player } from "../sound/player";
import { alternatives, freshTake, pruned, type Span, type Take, takeOf } from "../takes/tree";
import { Maker } from "./maker";
import type { Shelf } from "./shelf";

/** Seconds of the prompt that are heard before its continuation. */
const LEAD_IN = 1.5;
/** Of files longer than this, the prompt is at first about as long as that. */
const LONG_PROMPT = 45;
const USUAL_PROMPT = 20;
/** Who waits for an answer waits less for fewer candidates (benchmarks/live/latency.md). */
const CANDIDATES_AT_ONCE = 4;
/** In turns, of so many notes or up to twice as many the model is told. */
const REMEMBERED = 160;
/** Milliseconds: what was opened is seen before its recordings are decoded. */
const SEEN_FIRST = 250;

export class Studio {
  readonly shelf: Shelf;
  readonly player: Player;
  readonly server: Server;
  readonly maker: Maker;
  recorder: Recorder | null = null;
  /** What becomes of the recording: in turns a branch of what was answered. */
  recorded: Take = freshTake("played", "");
  selection: Span | null = null;
  #at = 0;
  /** Where people put the end of each take's prompt. */
  readonly #promptEnds = new Map<string, number>();
  /** Called when something is to be shown anew; `fit`: other music, to be looked at as a whole. */
  onchange: (fit: boolean) => void = () => undefined;
  onnote: (text: string) => void = () => undefined;

  constructor(shelf: Shelf, player: Player, server: Server) {
    this.shelf = shelf;
    this.player = player;
    this.server = server;
    this.maker = new Maker(shelf, player, server);
    this.maker.onchange = () => this.onchange(false);
    this.maker.onnote = (text) => this.onnote(text);
    this.maker.onmade = (takes) => this.#made(takes);
    player.onend = () => {
      this.#at = this.music ? endOf(this.music) : 0;
      this.onchange(false);
    };
  }

  get music(): Music | null {
    const { current } = this.shelf;
    return current ? this.shelf.musicOf(current.id) : null;
  }

  /** The moment that is heard, or from which playing would begin. */
  get position(): number {
    return this.player.playing ? this.player.position() : this.#at;
  }

  /** Music of the current take is decided up to there; Infinity where it is complete. */
  get limit(): number {
    return this.maker.limitOf(this.shelf.current);
  }

  /** Notes of the current take before a second. */
  notesBefore(seconds: number): number {
    return this.music ? firstAtLeast(this.music.onset, seconds) : 0;
  }

  /** Where the prompt of the next continuation ends; null where there is no take. */
  get promptEnd(): number | null {
    const { current } = this.shelf;
    if (!current) return null;
    const put = this.#promptEnds.get(current.id);
    if (put !== undefined) return put;
    const music = this.shelf.musicOf(current.id);
    const end = endOf(music);
    const usual = !current.made && end > LONG_PROMPT ? nearestGap(gaps(music), USUAL_PROMPT) : end;
    this.#promptEnds.set(current.id, usual);
    return usual;
  }

  set promptEnd(seconds: number) {
    if (this.shelf.current) this.#promptEnds.set(this.shelf.current.id, seconds);
  }

  // -- takes -----------------------------------------------------------------------------------------------------------

  /** Adds what somebody played, here or elsewhere, and shows it. */
  add(take: Take, music: Music): void {
    this.maker.stop();
    this.pause();
    this.shelf.add([{ take, music }]);
    this.#show(take.id, true);
  }

  /** Shows the take that was shown when this browser was here last. */
  restore(): void {
    if (this.shelf.current) this.#show(this.shelf.current.id, true);
  }

  /** Another take; where it is another variation, at the same musical time. */
  choose(id: string): void {
    const before = this.shelf.current;
    if (!takeOf(this.shelf.forest, id) || id === before?.id) return;
    const related = before !== undefined && alternatives(this.shelf.forest, before).some((other) => other.id === id);
    if (!related) this.pause();
    this.#show(id, !related);
    if (this.player.playing) this.player.switch(this.shelf.musicOf(id), this.limit);
  }

  prune(id: string): void {
    if (this.maker.making?.takes.includes(id)) this.maker.stop();
    const before = this.shelf.current?.id;
    this.shelf.change((forest) => pruned(forest, id));
    if (this.shelf.current?.id !== before) this.#elsewhere();
  }

  undo(back: boolean): void {
    this.maker.stop();
    const before = this.shelf.current?.id;
    if ((back ? this.shelf.undo() : this.shelf.redo()) && this.shelf.current?.id !== before) this.#elsewhere();
  }

  /** The take that was shown is no longer there. */
  #elsewhere(): void {
    this.pause();
    if (this.shelf.current) return this.#show(this.shelf.current.id, true);
    this.selection = null;
    this.onchange(true);
  }

  #show(id: string, fit: boolean): void {
    this.shelf.show(id);
    if (fit) {
      setTimeout(() => this.#prepare(this.shelf.musicOf(id).pitch), SEEN_FIRST);
      this.#at = 0;
      this.selection = null;
    }
    this.onchange(fit);
  }

  // -- playing ---------------------------------------------------------------------------------------------------------

  /** Plays from a second on, or from where it stands. */
  async play(from = this.#at): Promise<void> {
    const { music } = this;
    if (!music) return;
    this.#at = from >= endOf(music) - 0.05 && this.limit === Infinity ? 0 : from;
    try {
      await this.player.start(music, this.#at, this.limit);
    } catch (error) {
      this.onnote(error instanceof Error ? error.message : String(error));
    }
    this.onchange(false);
  }

  pause(): void {
    this.#at = this.position;
    this.player.stop();
    this.onchange(false);
  }

  seek(seconds: number): void {
    const { playing } = this.player;
    this.#at = seconds;
    if (playing) void this.play(seconds);
    else this.onchange(false);
  }

  /** Recordings are decoded before they are to be heard: those of some pitches, or all. */
  #prepare(pitches?: Iterable<number>): void {
    this.player.prepare(pitches).catch((error: unknown) => this.onnote(error instanceof Error ? error.message : String(error)));
  }

  // -- making ----------------------------------------------------------------------------------------------------------

  /**
   * Plays on from a moment of the current take; every variation becomes a take of its own, a branch of this one.
   * `lead`: somebody plays in turns, so it goes on from that moment, which comes in so many seconds, and not from the
   * last note before it.
   */
  continue(at: number, settings: Settings, lead: number | null = null): void {
    const [take, music] = [this.shelf.current, this.music];
    if (!take || !music) return;
    const prompt = slice(music, 0, at);
    const last = prompt.onset.at(-1);
    if (last === undefined) return this.onnote("There are no notes before this moment to play on from.");
    // A reply may begin as soon as the last note of the prompt has: it need not wait until that is silent.
    const from = Math.round((lead !== null ? at : last + 0.001) * 1e6) / 1e6;
    const whole = music.onset.length === prompt.onset.length;
    const making = this.maker.begin(take, "continued", { from, to: null }, whole ? music : prompt, settings);
    const begin = this.player.playing && this.position <= from ? null : Math.max(0, from - (lead ?? LEAD_IN));
    this.#prepare();
    for (const id of making.takes) this.#promptEnds.set(id, at);
    this.selection = null;
    const columns = toColumns(lead !== null ? latest(making.base, REMEMBERED) : making.base);
    const heard = begin ?? this.position;
    const turns = lead !== null ? { at_once: true, settings: { ...settings, candidates: CANDIDATES_AT_ONCE } } : { settings };
    if (!this.maker.ask({ type: "continue", id: making.id, prompt: { ...columns, end: at }, heard, ...turns })) return;
    if (begin === null) this.player.switch(making.music(0), this.limit);
    else void this.play(begin);
  }

  /** Makes a marked span anew. It is heard when it is whole. */
  fill(span: Span, settings: Settings): void {
    const [take, music, { model }] = [this.shelf.current, this.music, this.maker];
    if (!take || !music) return;
    if (model && !model.fills) {
      return this.onnote("This model cannot fill gaps; start the studio with one that was trained to.");
    }
    this.pause();
    const making = this.maker.begin(take, "filled", span, emptied(music, span.from, span.to), settings);
    this.#prepare();
    this.#at = Math.max(0, span.from - LEAD_IN);
    this.selection = null;
    const { seconds: _length, end: _ending, ...filling } = settings;
    const { from: start, to: end } = span;
    this.maker.ask({ type: "fill", id: making.id, prompt: toColumns(music), start, end, settings: filling });
    this.onchange(false);
  }

  #made(takes: readonly string[]): void {
    for (const id of takes) this.#promptEnds.delete(id); // one goes on from the end of what was made
    if (!this.shelf.current) return this.#elsewhere();
    // Where nothing came of what was shown, its parent is shown again.
    if (this.player.playing && takes.some((id) => !takeOf(this.shelf.forest, id))) this.pause();
    this.onchange(false);
  }

  // -- recording -------------------------------------------------------------------------------------------------------

  record(): void {
    this.maker.stop();
    this.pause();
    this.recorder = new Recorder();
    this.recorded = freshTake("played", "");
    this.onchange(false);
  }

  /** In turns: the answer ends where it is, and what is played now goes on from there. */
  listen(): void {
    const { music, position } = this;
    this.record();
    const { current } = this.shelf;
    if (!music || !current) return;
    this.recorder = new Recorder(slice(music, 0, position), position);
    this.recorded = { ...this.recorded, parent: current.id, from: position };
  }

  /** In turns: what was played is answered, from the moment on that comes in `lead` seconds. */
  answer(settings: Settings, lead: number): void {
    const at = (this.recorder?.elapsed(performance.now() / 1000) ?? this.position) + lead;
    this.endRecording(lead);
    if (this.music && at) this.continue(at, settings, lead);
  }

  /** In turns: what has ended of what was played is read already, so that an answer comes sooner. */
  readAhead(): void {
    const ended = this.recorder?.certain() ?? this.music;
    if (!ended?.onset.length || this.maker.making) return;
    this.server.send({ type: "read", id: "in turns", prompt: toColumns(latest(ended, REMEMBERED)) });
  }

  /** What was played becomes a take; nothing, if nothing was. Keys that are down last for so many seconds more. */
  endRecording(lead = 0): void {
    const { recorder } = this;
    this.recorder = null;
    if (!recorder || recorder.empty) return this.onchange(true);
    const number = this.shelf.forest.takes.filter((take) => take.kind === "played").length + 1;
    const parent = takeOf(this.shelf.forest, this.recorded.parent)?.id ?? null;
    this.add({ ...this.recorded, parent, name: `Played ${number}` }, recorder.sofar(performance.now() / 1000 + lead));
  }
}
