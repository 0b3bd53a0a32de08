/**
 * Takes in the browser's own database, so that they outlive a reload and a restart of the server.
 *
 * The forest is one small record; each take's music is another, written when it changes. Refuses to know what takes mean.
 *
 *     const storage = await Storage.open();
 *     await storage.saveMusic(take.id, music);
 */

import type { Music } from "../music/music";
import { EMPTY, type Forest } from "./tree";

const FOREST = "forest";
const MUSIC = "music";

export class Storage {
  #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  static async open(name = "partimento"): Promise<Storage> {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(FOREST);
      request.result.createObjectStore(MUSIC);
    };
    return new Storage(await done(request));
  }

  /** The forest and the music of its takes; music that no take owns any more is deleted. */
  async load(): Promise<{ forest: Forest; music: Map<string, Music> }> {
    const transaction = this.#database.transaction([FOREST, MUSIC], "readwrite");
    const forest = ((await done(transaction.objectStore(FOREST).get("now"))) as Forest | undefined) ?? EMPTY;
    const store = transaction.objectStore(MUSIC);
    const ids = (await done(store.getAllKeys())) as string[];
    const owned = new Set(forest.takes.map((take) => take.id));
    const music = new Map<string, Music>();
    for (const id of ids) {
      if (owned.has(id)) music.set(id, (await done(store.get(id))) as Music);
      else store.delete(id);
    }
    const takes = forest.takes.filter((take) => music.has(take.id));
    return { forest: { takes, current: music.has(forest.current ?? "") ? forest.current : (takes.at(-1)?.id ?? null) }, music };
  }

  async saveForest(forest: Forest): Promise<void> {
    await done(this.#database.transaction(FOREST, "readwrite").objectStore(FOREST).put(forest, "now"));
  }

  async saveMusic(id: string, music: Music): Promise<void> {
    await done(this.#database.transaction(MUSIC, "readwrite").objectStore(MUSIC).put(music, id));
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's database refused"));
  });
}
