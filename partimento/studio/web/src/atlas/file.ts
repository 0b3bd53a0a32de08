/**
 * The file that is looked at on a map: what it is, its music, the files most like it.
 *
 * Knows its part of the page. Refuses to know points and servers: the map's element (`Around`) has the bytes.
 *
 *     const panel = new FilePanel(root, around);
 *     panel.show(map, 7);
 *     panel.near([{ number: 3, similarity: 0.9, start: 46 }]);
 */

import { clock } from "../music/music";
import { PlayerElement } from "../player/element";
import { type AtlasMap, factsOf, type Near, pianoOf, plays } from "./data";

export interface Around {
  bytes(point: number): Promise<ArrayBuffer>;
  /** A row of a list of files. */
  row(point: number): HTMLElement;
  /** Somebody wants it as a prompt, from a second on; null for all of it. */
  want(point: number, from: number | null): void;
}

export class FilePanel {
  /** What is looked at. */
  point: number | null = null;
  #root: ShadowRoot;
  #around: Around;
  #map!: AtlasMap;
  #player: PlayerElement | null = null;

  constructor(root: ShadowRoot, around: Around) {
    this.#root = root;
    this.#around = around;
    this.#find("#prompt").addEventListener("click", () => around.want(this.point!, null));
  }

  show(map: AtlasMap, point: number): void {
    this.#map = map;
    this.point = point;
    this.#find("#file").hidden = false;
    this.#find("h2").textContent = map.titles[point]!;
    this.#find("#facts").textContent = factsOf(map, point);
    this.#find("#name").textContent = map.names[point]!;
    this.near([]);
    void this.#hear(point);
  }

  /** The files most like it, and, where a server said so, how much and from which moment on. */
  near(near: Near[]): void {
    const rows = near.map(({ number, similarity, start }) => {
      const row = this.#around.row(number);
      if (similarity === undefined || start === undefined) return row;
      const at = clock(start, 0);
      const how = Object.assign(document.createElement("span"), { textContent: `similarity ${similarity.toFixed(2)}`, title: "Cosine of the two vectors: at most 1" });
      const acts = Object.assign(document.createElement("div"), { className: "acts" });
      acts.append(
        how,
        button(`Hear ${at}`, "Play it from the moment that is most alike", () => void this.#hear(number, start)),
        button("15 s as prompt", `What begins at ${at}`, () => this.#around.want(number, start)),
      );
      row.append(acts);
      return row;
    });
    this.#find("#near").replaceChildren(...rows);
  }

  /** Silence. */
  stop(): void {
    this.#player?.stop();
  }

  /** Plays a file from a second on; what is looked at stays. */
  async #hear(point: number, from = 0): Promise<void> {
    const map = this.#map;
    this.#find("#heard").textContent = point === this.point ? "" : `${map.titles[point]!}, from ${clock(from, 0)}`;
    const music = this.#find("#music");
    this.#player?.remove();
    this.#player = null;
    music.textContent = plays(map) ? "" : "To hear it: a map with its music inside (partimento atlas --music).";
    if (!plays(map)) return;
    const player = new PlayerElement();
    this.#player = player;
    music.append(player);
    try {
      const bytes = await this.#around.bytes(point);
      if (this.#player === player) await player.open(bytes, pianoOf(map), true, from);
    } catch (error) {
      if (this.#player === player) music.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  #find(selector: string): HTMLElement {
    return this.#root.querySelector<HTMLElement>(selector)!;
  }
}

function button(text: string, title: string, act: () => void): HTMLElement {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, title });
  made.addEventListener("click", act);
  return made;
}
