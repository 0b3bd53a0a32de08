/**
 * What one can do in the studio, without a page: open, play, continue, branch, fill, record, choose.
 *
 * Knows the shelf of takes, the player and the server, and tells the page by `onchange` what to show anew. Refuses to
 * know elements, keys and pixels.
 *
 *     const studio = new Studio(shelf, player, server);
 *     studio.continue(12.5, { seed: 1, variations: 4 });
 */

import { emptied, endOf, firstAtLeast, gaps, type Music, nearestGap, slice } from "../music/music";
import { Recorder } from "../input/recorder";
import type { Server } from "../server/connection";
import { type Message, type Model, type Settings, toColumns } from "../server/protocol";
import type { Player } from "../sound/player";
import { alternatives, pruned, type Span, type Take, takeOf } from "../takes/tree";
import { Making } from "./making";
import type { Shelf } from "./shelf";

/** Seconds of the prompt that are heard before its continuation. */
const LEAD_IN = 1.5;
const LONG_PROMPT = 45;
const USUAL_PROMPT = 20;
const SAVED_EVERY = 2000; // milliseconds

export class Studio {
  readonly shelf: Shelf;
  readonly player: Player;
  readonly server: Server;
  model: Model | null = null;
  making: Making | null = null;
  recorder: Recorder | null = null;
  promptEnd: number | null = null;
  selection: Span | null = null;
  /** In words, what the server is at. */
  state = "";
  #at = 0;
  #made = 0;
  #heard = 0;
  #saved = 0;
  #pending = new Set<number>();
  /** Called when something is to be shown anew; `fit`: other music, to be looked at as a whole. */
  onchange: (fit: boolean) => void = () => undefined;
  onnote: (text: string) => void = () => undefined;

  constructor(shelf: Shelf, player: Player, server: Server) {
    this.shelf = shelf;
    this.player = player;
    this.server = server;
    player.onend = () => {
      this.#at = 0;
      this.onchange(false);
    };
  }

  // -- what there is ---------------------------------------------------------------------------------------------------

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
    return this.limitOf(this.shelf.current);
  }

  limitOf(take: Take | undefined): number {
    const variation = take ? (this.making?.takes.indexOf(take.id) ?? -1) : -1;
    return variation >= 0 ? this.making!.until(variation) : Infinity;
  }

  /** Seconds by which the music that is made is ahead of what is heard; null where nothing is made. */
  get ahead(): number | null {
    return this.limit === Infinity ? null : Math.max(0, this.limit - this.position);
  }

  // -- takes -----------------------------------------------------------------------------------------------------------

  /** Adds what somebody played, here or elsewhere, and shows it. */
  add(kind: "opened" | "played", name: string, music: Music): void {
    this.stop();
    const take: Take = { ...this.#new(), kind, name };
    this.shelf.add([{ take, music }]);
    this.#show(take.id, true);
  }

  /** Shows the take that was shown when this browser was here last. */
  restore(): void {
    if (this.shelf.current) this.#show(this.shelf.current.id, true);
  }

  /** Another take at the same musical time. */
  choose(id: string): void {
    const before = this.shelf.current;
    const take = takeOf(this.shelf.forest, id);
    if (!take || take.id === before?.id) return;
    const related = before !== undefined && alternatives(this.shelf.forest, before).some((other) => other.id === id);
    if (!related && this.player.playing) this.pause();
    this.#show(id, !related);
    if (this.player.playing) this.player.switch(this.shelf.musicOf(id), this.limit);
  }

  prune(id: string): void {
    if (this.making?.takes.includes(id)) this.stop();
    const { current } = this.shelf;
    this.shelf.change((forest) => pruned(forest, id));
    if (this.shelf.current?.id !== current?.id) this.#elsewhere();
  }

  undo(back: boolean): void {
    this.stop();
    const { current } = this.shelf;
    if (back ? this.shelf.undo() : this.shelf.redo()) if (this.shelf.current?.id !== current?.id) this.#elsewhere();
  }

  /** The take that was shown is no longer. */
  #elsewhere(): void {
    this.pause();
    if (this.shelf.current) this.#show(this.shelf.current.id, true);
    else {
      this.promptEnd = this.selection = null;
      this.onchange(true);
    }
  }

  #show(id: string, fit: boolean): void {
    this.shelf.show(id);
    const music = this.shelf.musicOf(id);
    const take = this.shelf.current!;
    if (fit) {
      this.#prepare(music.pitch);
      const end = endOf(music);
      this.#at = 0;
      this.promptEnd = !take.made && end > LONG_PROMPT ? nearestGap(gaps(music), USUAL_PROMPT) : end;
      this.selection = null;
    }
    this.onchange(fit);
  }

  /** Recordings are decoded before they are to be heard: those of some pitches, or all. */
  #prepare(pitches?: Iterable<number>): void {
    this.player.prepare(pitches).catch((error: unknown) => this.onnote(error instanceof Error ? error.message : String(error)));
  }

  // -- playing ---------------------------------------------------------------------------------------------------------

  /** Plays from a second on, or from where it stands. */
  async play(from = this.#at): Promise<void> {
    const { music } = this;
    if (!music) return;
    const begin = from >= endOf(music) - 0.05 && this.limit === Infinity ? 0 : from;
    this.#at = begin;
    await this.player.start(music, begin, this.limit);
    this.onchange(false);
  }

  pause(): void {
    this.#at = this.position;
    this.player.stop();
    this.onchange(false);
  }

  seek(seconds: number): void {
    const playing = this.player.playing;
    this.#at = seconds;
    if (playing) void this.play(seconds);
    else this.onchange(false);
  }

  // -- making ----------------------------------------------------------------------------------------------------------

  /** Plays on from a moment of the current take; every variation becomes a take of its own, a branch of this one. */
  continue(at: number, settings: Settings): void {
    const [take, music] = [this.shelf.current, this.music];
    if (!take || !music?.onset.length) return;
    const prompt = slice(music, 0, at);
    if (!prompt.onset.length) return this.onnote("there are no notes before this moment to play on from");
    const begin = this.player.playing && this.position <= at ? null : Math.max(0, at - LEAD_IN);
    const making = this.#begin(take, "continued", { from: at, to: null }, prompt, settings);
    const asked = this.server.send({
      type: "continue",
      id: making.id,
      prompt: { ...toColumns(music.onset.length === prompt.onset.length ? music : prompt), end: at },
      settings,
      heard: begin ?? this.position,
    });
    if (!asked) return this.#refuse("the studio's server is away; it is called again and again");
    if (begin === null) this.player.switch(making.music(0), this.limit);
    else void this.play(begin);
  }

  /** Makes a marked span anew. */
  fill(span: Span, settings: Settings): void {
    const [take, music] = [this.shelf.current, this.music];
    if (!take || !music) return;
    if (this.model && !this.model.fills) return this.onnote("this model cannot fill gaps; start the studio with one that was trained to");
    const making = this.#begin(take, "filled", span, emptied(music, span.from, span.to), settings);
    const { seed, variations, temperature, min_p } = settings;
    const asked = this.server.send({
      type: "fill",
      id: making.id,
      prompt: toColumns(music),
      start: span.from,
      end: span.to,
      settings: { seed, variations, ...(temperature === undefined ? {} : { temperature }), ...(min_p === undefined ? {} : { min_p }) },
    });
    if (!asked) this.#refuse("the studio's server is away; it is called again and again");
    this.pause();
    this.#at = Math.max(0, span.from - LEAD_IN);
  }

  #begin(parent: Take, kind: "continued" | "filled", span: { from: number; to: number | null }, base: Music, settings: Settings): Making {
    this.stop();
    const word = kind === "filled" ? "Fill" : "Reply";
    const number = this.shelf.forest.takes.filter((take) => take.kind === kind).length + 1;
    const takes = Array.from({ length: settings.variations }, (_, variation): Take => {
      const { seed, seconds, temperature, min_p, end } = settings;
      const made = { seed, variation, model: this.model?.name ?? "", settings: { seconds, temperature, min_p, end } };
      return { ...this.#new(), ...span, parent: parent.id, kind, name: `${word} ${number + variation}`, made };
    });
    const making = new Making(takes[0]!.id, takes.map((take) => take.id), base, span.from);
    this.making = making;
    this.#prepare();
    this.#heard = 0;
    this.state = "asking";
    this.shelf.add(takes.map((take, variation) => ({ take, music: making.music(variation) })));
    this.selection = null;
    this.promptEnd = kind === "filled" ? this.promptEnd : span.from;
    this.onchange(false);
    return making;
  }

  /** Ends what is made; what there is of it stays. */
  stop(): void {
    const { making } = this;
    if (!making) return;
    this.server.send({ type: "stop", id: making.id });
    this.#finish();
  }

  /** What the server says. */
  message(message: Message): void {
    if (message.type === "hello") {
      this.model = message.model;
      this.onchange(false);
      return;
    }
    const making = this.making;
    if (message.type === "error") {
      if (message.id === null || message.id === making?.id) this.#refuse(message.message);
      return;
    }
    if (message.id !== making?.id) return this.#late(message);
    switch (message.type) {
      case "state":
        this.state = message.text;
        this.onchange(false);
        break;
      case "notes":
        making.notes(message);
        this.#grown(making, message.variation);
        break;
      case "take":
        making.complete(message);
        this.#grown(making, message.variation);
        if (message.fallback) this.onnote(message.fallback);
        break;
      case "done":
        this.#finish(message.settings);
    }
  }

  /** The finished form of what was stopped comes after the stop. */
  #late(message: Message): void {
    if (message.type !== "take" || !this.#stopped || message.id !== this.#stopped.id) return;
    this.#stopped.complete(message);
    const id = this.#stopped.takes[message.variation];
    if (!id || !takeOf(this.shelf.forest, id)) return;
    this.shelf.keep(id, this.#stopped.music(message.variation));
    if (this.shelf.current?.id === id) {
      if (this.player.playing) this.player.switch(this.music!);
      this.promptEnd = endOf(this.music!);
      this.onchange(false);
    }
  }

  #stopped: Making | null = null;

  /** Messages come by the dozen: the page and the player take them in once a frame. */
  #grown(making: Making, variation: number): void {
    if (!this.#pending.size) requestAnimationFrame(() => this.#takeIn(making));
    this.#pending.add(variation);
  }

  #takeIn(making: Making): void {
    const now = performance.now();
    const write = now - this.#saved > SAVED_EVERY;
    if (write) this.#saved = now;
    for (const variation of this.#pending) {
      const id = making.takes[variation]!;
      if (!takeOf(this.shelf.forest, id)) continue;
      this.shelf.keep(id, making.music(variation), write || making.until(variation) === Infinity);
      if (id === this.shelf.current?.id && this.player.playing) this.player.switch(making.music(variation), this.limit);
    }
    this.#pending.clear();
    this.onchange(false);
  }

  #finish(settings?: Record<string, unknown>): void {
    const making = this.making;
    if (!making) return;
    making.end();
    this.making = null;
    this.#stopped = making;
    this.state = "";
    for (const [variation, id] of making.takes.entries()) {
      if (!takeOf(this.shelf.forest, id)) continue;
      if (!making.grown(variation)) this.shelf.amend((forest) => pruned(forest, id));
      else this.shelf.keep(id, making.music(variation));
    }
    if (settings) {
      const add = (take: Take): Take => (take.made && making.takes.includes(take.id) ? { ...take, made: { ...take.made, settings } } : take);
      this.shelf.amend((forest) => ({ ...forest, takes: forest.takes.map(add) }));
    }
    const current = this.shelf.current;
    if (!current || !this.music) return this.#elsewhere();
    if (making.takes.includes(current.id)) {
      if (this.player.playing) this.player.switch(this.music);
      if (current.kind === "continued") this.promptEnd = endOf(this.music);
    } else if (this.player.playing) this.pause();
    this.onchange(false);
  }

  #refuse(reason: string): void {
    this.onnote(reason);
    this.#finish();
  }

  /** To be called once a frame while it plays: tells the server how far one has listened. */
  heard(): void {
    const { making } = this;
    const now = performance.now();
    if (!making || !this.player.playing || now - this.#heard < 1000) return;
    this.#heard = now;
    this.server.send({ type: "heard", id: making.id, seconds: Math.max(0, this.position) });
  }

  /** The connection is gone, and with it what was asked for. */
  offline(): void {
    if (this.making) this.#refuse("the studio's server went away; what there was is kept");
  }

  // -- recording -------------------------------------------------------------------------------------------------------

  record(): void {
    this.stop();
    this.pause();
    this.recorder = new Recorder();
    this.onchange(false);
  }

  /** What was played becomes a take; nothing, if nothing was. */
  endRecording(): void {
    const recorder = this.recorder;
    this.recorder = null;
    if (!recorder || recorder.empty) return this.onchange(false);
    const music = recorder.sofar(performance.now() / 1000);
    const number = this.shelf.forest.takes.filter((take) => take.kind === "played").length + 1;
    this.add("played", `Played ${number}`, music);
  }

  #new(): Take {
    const id = `${Date.now().toString(36)}-${(this.#made++).toString(36)}`;
    return { id, parent: null, kind: "opened", name: "", starred: false, from: 0, to: null, made: null, created: Date.now() };
  }

  /** Notes of the current take before a second. */
  notesBefore(seconds: number): number {
    return this.music ? firstAtLeast(this.music.onset, seconds) : 0;
  }
}
