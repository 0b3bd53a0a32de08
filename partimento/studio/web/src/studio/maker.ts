/**
 * What the server is asked to make, and what becomes of its messages: takes that grow while they are heard.
 *
 * One request at a time; another one stops the one before. Knows the shelf, the player and the server. Refuses to know
 * what is asked for, and the page.
 *
 *     const making = maker.begin(parent, "continued", span, prompt, settings);
 *     maker.ask({ type: "continue", id: making.id, ... });
 */

import type { Music } from "../music/music";
import type { Server } from "../server/connection";
import type { LibraryFacts, Message, Model, Originality, Request, Settings } from "../server/protocol";
import type { Player } from "../sound/player";
import { compared, freshTake, pruned, type Take, takeOf } from "../takes/tree";
import { Making } from "./making";
import type { Shelf } from "./shelf";

const SAVED_EVERY = 2000; // milliseconds
const HEARD_EVERY = 1000;

export class Maker {
  readonly #shelf: Shelf;
  readonly #player: Player;
  readonly #server: Server;
  model: Model | null = null;
  library: LibraryFacts | null = null;
  making: Making | null = null;
  /** In words, what the server is at. */
  state = "";
  #stopped: Making | null = null;
  #heard = 0;
  #saved = 0;
  #pending = new Set<number>();
  /** Called when there is something new to be seen. */
  onchange: () => void = () => undefined;
  /** Called when takes are complete, or gone because nothing came of them. */
  onmade: (takes: readonly string[]) => void = () => undefined;
  onnote: (text: string) => void = () => undefined;

  constructor(shelf: Shelf, player: Player, server: Server) {
    this.#shelf = shelf;
    this.#player = player;
    this.#server = server;
  }

  /** Music of a take is decided up to there; Infinity where it is complete. */
  limitOf(take: Take | undefined): number {
    const variation = take ? (this.making?.takes.indexOf(take.id) ?? -1) : -1;
    return variation >= 0 ? this.making!.until(variation) : Infinity;
  }

  /** New takes, one for each variation, that have what is given so far. The first is shown. */
  begin(
    parent: Take,
    kind: "continued" | "filled",
    span: { from: number; to: number | null },
    given: Music,
    settings: Settings,
  ): Making {
    this.stop();
    const number = this.#shelf.forest.takes.filter((take) => take.kind === kind).length + 1;
    const takes = Array.from({ length: settings.variations }, (_, variation): Take => {
      const { seed, variations: _all, ...rest } = settings;
      return {
        ...freshTake(kind, `${kind === "filled" ? "Fill" : "Reply"} ${number + variation}`),
        ...span,
        parent: parent.id,
        made: { seed, variation, model: this.model?.name ?? "", settings: rest },
      };
    });
    const ids = takes.map((take) => take.id);
    const making = new Making(ids[0]!, ids, given, span.from);
    this.making = making;
    this.#heard = 0;
    this.state = "asking";
    this.#shelf.add(takes.map((take, variation) => ({ take, music: making.music(variation) })));
    return making;
  }

  /** Sends what is asked for; false, and nothing is made, while the server is away. */
  ask(request: Request): boolean {
    if (this.#server.send(request)) return true;
    this.#refuse("The studio’s server is away; it is called again and again.");
    return false;
  }

  /** Ends what is made; what there is of it stays. */
  stop(): void {
    if (!this.making) return;
    this.#server.send({ type: "stop", id: this.making.id });
    this.#finish();
  }

  /** The connection is gone, and with it what was asked for. */
  offline(): void {
    if (this.making) this.#refuse("The studio’s server went away; what there was is kept.");
  }

  /** To be called once a frame: tells the server how far one has listened. */
  heard(): void {
    const now = performance.now();
    if (!this.making || !this.#player.playing || now - this.#heard < HEARD_EVERY) return;
    this.#heard = now;
    this.#server.send({ type: "heard", id: this.making.id, seconds: Math.max(0, this.#player.position()) });
  }

  message(message: Message): void {
    const { making } = this;
    if (message.type === "hello") {
      this.model = message.model;
      this.library = message.library;
      this.onchange();
    } else if (message.type === "error") {
      if (message.id === null || message.id === making?.id) this.#refuse(message.message);
    } else if (message.id !== making?.id) this.#late(message);
    else if (message.type === "state") {
      this.state = message.text;
      this.onchange();
    } else if (message.type === "notes") {
      making.notes(message);
      if (message.messages) this.#player.instrument?.plan(message.messages);
      this.#grown(making, message.variation);
    } else if (message.type === "take") {
      making.complete(message);
      if (message.messages) this.#player.instrument?.plan(message.messages);
      this.#grown(making, message.variation);
      this.#compared(making.takes[message.variation], message.originality);
      if (message.fallback) this.onnote(message.fallback);
    } else this.#finish(message.settings);
  }

  /** The written form of what was stopped comes after the stop. */
  #late(message: Message): void {
    const stopped = this.#stopped;
    if (message.type !== "take" || message.id !== stopped?.id) return;
    stopped.complete(message);
    const id = stopped.takes[message.variation];
    if (!id || !takeOf(this.#shelf.forest, id)) return;
    this.#shelf.keep(id, stopped.music(message.variation));
    this.#compared(id, message.originality);
    if (this.#shelf.current?.id === id && this.#player.playing) this.#player.switch(this.#shelf.musicOf(id));
    this.onmade([id]);
  }

  #compared(id: string | undefined, found: Originality | null): void {
    if (!id || !found || !takeOf(this.#shelf.forest, id)) return;
    this.#shelf.amend((forest) => compared(forest, id, found));
    if (found.verdict === "copy") this.onnote(found.text);
  }

  /** Messages come by the dozen: the shelf and the player take them in once a frame. */
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
      const take = takeOf(this.#shelf.forest, id);
      if (!take) continue;
      this.#shelf.keep(id, making.music(variation), write || making.until(variation) === Infinity);
      if (id === this.#shelf.current?.id && this.#player.playing) {
        this.#player.switch(making.music(variation), this.limitOf(take));
      }
    }
    this.#pending.clear();
    this.onchange();
  }

  #finish(settings?: Record<string, unknown>): void {
    const { making } = this;
    if (!making) return;
    making.end();
    this.making = null;
    this.#stopped = making;
    this.state = "";
    const current = this.#shelf.current?.id;
    for (const [variation, id] of making.takes.entries()) {
      if (!takeOf(this.#shelf.forest, id)) continue;
      if (!making.grown(variation)) this.#shelf.amend((forest) => pruned(forest, id));
      else {
        this.#shelf.keep(id, making.music(variation));
        if (id === current && this.#player.playing) this.#player.switch(making.music(variation));
      }
    }
    if (settings) {
      this.#shelf.amend((forest) => ({
        ...forest,
        takes: forest.takes.map((take) =>
          take.made && making.takes.includes(take.id) ? { ...take, made: { ...take.made, settings } } : take,
        ),
      }));
    }
    this.onmade(making.takes);
  }

  #refuse(reason: string): void {
    this.onnote(reason);
    this.#finish();
  }
}
