/**
 * The takes of this browser with their music: the tree and its history, kept in the browser's database.
 *
 * Knows takes, music and storage. Refuses to know the page, the server and sound.
 *
 *     const shelf = await Shelf.open();
 *     shelf.add([{ take, music }]);
 *     shelf.current?.music;
 */

import { copyMusic, type Music } from "../music/music";
import type { Storage } from "../takes/storage";
import { currentTake, type Forest, History, type Take, withTakes } from "../takes/tree";

export class Shelf {
  readonly #storage: Storage | null;
  readonly #music: Map<string, Music>;
  readonly history: History;
  /** Called when a take cannot be kept, in the browser's words. */
  onlost: (reason: string) => void = () => undefined;
  /** Called after every change of the tree. */
  onchange: () => void = () => undefined;

  /** `storage` is null where the browser keeps nothing (private windows of some). */
  private constructor(storage: Storage | null, forest: Forest, music: Map<string, Music>) {
    this.#storage = storage;
    this.#music = music;
    this.history = new History(forest);
  }

  static async open(storage: Storage | null): Promise<Shelf> {
    if (!storage) return new Shelf(null, { takes: [], current: null }, new Map());
    const { forest, music } = await storage.load();
    return new Shelf(storage, forest, music);
  }

  get forest(): Forest {
    return this.history.now;
  }

  get current(): Take | undefined {
    return currentTake(this.forest);
  }

  musicOf(id: string): Music {
    const music = this.#music.get(id);
    if (!music) throw new Error(`the take ${id} has no music`);
    return music;
  }

  /** Adds takes and shows the first. */
  add(entries: readonly { take: Take; music: Music }[]): void {
    for (const { take, music } of entries) this.keep(take.id, music);
    this.change((forest) => withTakes(forest, entries.map(({ take }) => take)));
  }

  /** Music that a take has from now on; `write` is false while it grows many times a second. */
  keep(id: string, music: Music, write = true): void {
    this.#music.set(id, music);
    if (write) this.#write(this.#storage?.saveMusic(id, copyMusic(music)));
  }

  change(edit: (forest: Forest) => Forest): void {
    this.history.change(edit);
    this.#changed();
  }

  /** Like `change`, but no step of its own for undo: it belongs to the step before. */
  amend(edit: (forest: Forest) => Forest): void {
    this.history.amend(edit);
    this.#changed();
  }

  show(id: string): void {
    this.history.show(id);
    this.#changed();
  }

  undo(): boolean {
    const done = this.history.undo();
    if (done) this.#changed();
    return done;
  }

  redo(): boolean {
    const done = this.history.redo();
    if (done) this.#changed();
    return done;
  }

  #changed(): void {
    this.#write(this.#storage?.saveForest(this.forest));
    this.onchange();
  }

  #write(writing: Promise<void> | undefined): void {
    writing?.catch((error: unknown) => this.onlost(error instanceof Error ? error.message : String(error)));
  }
}
