/**
 * <partimento-atlas>: the map of a collection, from the JSON inside it (one file, no server) or from the studio's server.
 *
 *     <partimento-atlas><script type="application/json">{...}</script></partimento-atlas>
 *     <partimento-atlas served></partimento-atlas>
 *
 * A click chooses a file, plays it where its music is near, and names its neighbours; a lasso makes a list. Where a server
 * has the files, one that is dropped is placed among them, and the event `prompt` tells of a file that is to be one.
 */

import { onFiles } from "../input/dropped";
import colours from "../style/colours.css?inline";
import own from "../style/atlas.css?inline";
import parts from "../style/parts.css?inline";
import { type AtlasMap, factsOf, found, type MapJson, musicOf, type Near, nearestTo, readMap } from "./data";
import { FilePanel } from "./file";
import { PAGE } from "./page";
import { Plot } from "./plot";
import { fetchMap, nearOf, place, withFile } from "./served";

const MOST_LISTED = 500;
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** What `prompt` tells: a file, and the second from which on it is wanted; null for all of it. */
export interface Wanted {
  file: File;
  from: number | null;
}

export class AtlasElement extends HTMLElement {
  #map!: AtlasMap;
  #plot!: Plot; // none where a browser cannot draw it
  #kind = 0;
  #off = new Set<number>();
  #listed: number[] = [];
  #panel!: FilePanel;
  #changing: Promise<unknown> | null = null;
  /** Files that were placed here, by their points, with what is near them. */
  #placed = new Map<number, { file: File; near: Near[] }>();
  #shown: Promise<void> | null = null;

  connectedCallback(): void {
    const text = this.querySelector("script[type='application/json']")?.textContent;
    if (!text && !this.#served) return;
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(colours + parts + own);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = PAGE;
    if (text) this.#open(JSON.parse(text) as MapJson);
    else this.#shown = this.#fetch();
  }

  get #served(): boolean {
    return this.hasAttribute("served");
  }

  async #fetch(): Promise<void> {
    try {
      this.#open(await fetchMap((doing) => this.#say(`${doing} …`)));
      this.#say("");
    } catch (error) {
      this.#say(wordsOf(error));
    }
  }

  #open(json: MapJson): void {
    this.#map = readMap(json);
    this.#find("main").hidden = false;
    this.#find("h1").textContent = this.#map.title;
    this.#find("#about").textContent = this.#map.about;
    this.#kinds();
    this.#panel = new FilePanel(this.shadowRoot!, {
      bytes: (point) => this.#bytes(point),
      row: (point) => this.#row(point),
      want: (point, from) => void this.#want(point, from),
    });
    this.#draw();
  }

  #draw(): void {
    const map = this.#map;
    const canvas = this.#find<HTMLCanvasElement>("canvas");
    try {
      this.#plot = new Plot(canvas, map.x, map.y);
    } catch (error) {
      this.#say(`The points cannot be drawn: this browser has no WebGL (${String(error)}).`);
      return;
    }
    this.#plot.onchoose = (points, byLasso) => this.#chosen(points, byLasso);
    this.#plot.onhover = (point) => this.#hover(point);
    this.#plot.onview = () => this.#pin();
    this.#listen();
    void this.#paint();
  }

  #listen(): void {
    const stage = this.#find(".stage");
    new ResizeObserver(() => stage.clientWidth && this.#plot.resize(stage.clientWidth, stage.clientHeight)).observe(stage);
    DARK.addEventListener("change", () => void this.#paint());
    this.#find("select").addEventListener("change", (event) => {
      this.#kind = Number((event.target as HTMLSelectElement).value);
      this.#off.clear();
      void this.#only(null);
      void this.#paint();
    });
    this.#find("#lasso").addEventListener("click", () => this.#lasso(this.#find("#lasso").getAttribute("aria-pressed") !== "true"));
    this.#find("#all").addEventListener("click", () => void this.#plot.all());
    this.#find("input[type=search]").addEventListener("input", (event) => this.#search((event.target as HTMLInputElement).value));
    this.#find("#save").addEventListener("click", () => this.#save());
    if (this.#served) onFiles(this.#find("#drop"), this.#find("#place"), (files) => void this.place(files[0]!));
  }

  /** Places a MIDI file on the map, plays it, and lists the files most like it. */
  async place(file: File): Promise<void> {
    await this.#shown;
    if (!this.#plot) return;
    const listening = `listening to ${file.name} …`;
    this.#say(listening);
    try {
      const placed = await place(file);
      if (this.#find("#said").textContent === listening) this.#say(""); // else it is of a later file
      if (placed.number !== null) return await this.#show(placed.number, true);
      const point = this.#map.names.length;
      this.#map = withFile(this.#map, file.name, placed);
      this.#placed.set(point, { file, near: placed.near });
      this.#plot.points(this.#map.x, this.#map.y);
      await this.#paint();
      await this.#show(point, true);
    } catch (error) {
      this.#say(`${file.name}: ${wordsOf(error)}`);
    }
  }

  /** Silence. */
  stop(): void {
    this.#panel?.stop();
  }

  /** The ways to colour the points. */
  #kinds(): void {
    this.#find("select").replaceChildren(...this.#map.kinds.map((kind, i) => new Option(kind.name, String(i))));
    this.#find("#colour").hidden = !this.#map.kinds.length;
  }

  /** The colours of the present classes; what has none is grey. */
  #palette(): string[] {
    const kind = this.#map.kinds[this.#kind];
    const { colours } = this.#map;
    const palette = DARK.matches ? colours.dark : colours.light;
    const grey = palette.at(-1)!;
    return kind ? kind.classes.map((name, i) => (name && i < palette.length - 1 ? palette[i]! : grey)) : [grey];
  }

  #colourOf(point: number): string {
    return this.#palette()[this.#map.kinds[this.#kind]?.of[point] ?? 0]!;
  }

  async #paint(): Promise<void> {
    const style = getComputedStyle(this);
    const theme = { ground: hex(style, "--paper"), ink: hex(style, "--ink"), accent: hex(style, "--accent") };
    const of = this.#map.kinds[this.#kind]?.of ?? new Uint16Array(this.#map.names.length);
    this.#legend();
    await this.#drawn(this.#plot.paint(of, this.#palette(), theme));
  }

  #only(points: number[] | null): Promise<void> {
    return this.#drawn(this.#plot.only(points));
  }

  /** Tells the page around (and tests) when what was asked for is to be seen. */
  async #drawn(change: Promise<unknown>): Promise<void> {
    this.dataset["drawn"] = "false";
    this.#changing = change;
    await change;
    if (this.#changing === change) this.dataset["drawn"] = "true";
  }

  #legend(): void {
    const kind = this.#map.kinds[this.#kind];
    const palette = this.#palette();
    const buttons = (kind?.groups ?? []).map((group, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!this.#off.has(group.classes[0]!)));
      const dot = document.createElement("i");
      dot.style.background = palette[group.classes[0]!]!;
      button.append(dot, `${group.name} `, Object.assign(document.createElement("span"), { textContent: group.count.toLocaleString("en") }));
      button.addEventListener("click", () => this.#toggle(i));
      return button;
    });
    this.#find("#legend").replaceChildren(...buttons);
  }

  /** Hides the classes of a group, or shows them again. */
  #toggle(number: number): void {
    const { of, groups } = this.#map.kinds[this.#kind]!;
    const { classes } = groups[number]!;
    const hide = !this.#off.has(classes[0]!);
    for (const one of classes) {
      if (hide) this.#off.add(one);
      else this.#off.delete(one);
    }
    const seen = [...of.keys()].filter((point) => !this.#off.has(of[point]!));
    void this.#only(this.#off.size ? seen : null);
    this.#find("#legend").children[number]!.setAttribute("aria-pressed", String(!hide));
  }

  /** The file that is looked at has a sign on the map. */
  #pin(): void {
    const pin = this.#find("#pin");
    const { point } = this.#panel;
    const at = point === null ? null : this.#plot.positionOf(point);
    pin.hidden = !at;
    if (at) pin.style.translate = `${at[0]}px ${at[1]}px`;
  }

  #hover(point: number | null): void {
    const tip = this.#find("#tip");
    const at = point === null ? null : this.#plot.positionOf(point);
    tip.hidden = !at;
    if (!at || point === null) return;
    const facts = Object.assign(document.createElement("span"), { textContent: factsOf(this.#map, point) });
    tip.replaceChildren(this.#map.titles[point]!, facts);
    const stage = this.#find(".stage");
    tip.style.left = `${Math.max(0, Math.min(at[0] + 12, stage.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(0, Math.min(at[1] + 12, stage.clientHeight - tip.offsetHeight - 4))}px`;
  }

  #chosen(points: number[], byLasso: boolean): void {
    if (byLasso) {
      this.#lasso(false);
      this.#list(points, `${counted(points.length)} in the lasso`);
    } else if (points.length === 1) {
      void this.#show(points[0]!);
    } else if (!points.length) {
      this.#list([], "");
    }
  }

  /** A file: what it is, its music, its neighbours; `moving`: the map goes there too. */
  async #show(point: number, moving = false): Promise<void> {
    const map = this.#map;
    this.#plot.mark([point]);
    this.#panel.show(map, point);
    this.#find("#pin span").textContent = map.titles[point]!;
    this.#pin();
    try {
      const near = this.#placed.get(point)?.near ?? (this.#served ? await nearOf(map, point) : nearestTo(map, point));
      if (this.#panel.point !== point) return;
      this.#panel.near(near);
      const points = [point, ...near.map(({ number }) => number)];
      this.#plot.mark(points);
      if (moving) void this.#plot.goTo(points);
    } catch (error) {
      this.#say(wordsOf(error));
    }
  }

  #bytes(point: number): Promise<ArrayBuffer> {
    return this.#placed.get(point)?.file.arrayBuffer() ?? musicOf(this.#map, point);
  }

  /** Tells the studio which file is to be a prompt. */
  async #want(point: number, from: number | null): Promise<void> {
    try {
      const file = new File([await this.#bytes(point)], this.#map.titles[point]!, { type: "audio/midi" });
      this.dispatchEvent(new CustomEvent<Wanted>("prompt", { detail: { file, from } }));
    } catch (error) {
      this.#say(wordsOf(error));
    }
  }

  #say(text: string): void {
    this.#find("#said").textContent = text;
  }

  #search(text: string): void {
    const points = found(this.#map, text, MOST_LISTED);
    this.#plot.mark(points);
    this.#list(points, text.trim() ? `${points.length === MOST_LISTED ? "The first " : ""}${counted(points.length)}` : "");
  }

  #list(points: number[], title: string): void {
    this.#listed = points;
    this.#find("#listed").hidden = !title;
    this.#find("#count").textContent = title;
    this.#find("#list").replaceChildren(...points.slice(0, MOST_LISTED).map((point) => this.#row(point)));
  }

  #row(point: number): HTMLElement {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const dot = document.createElement("i");
    dot.style.background = this.#colourOf(point);
    button.append(dot, this.#map.titles[point]!, Object.assign(document.createElement("span"), { textContent: factsOf(this.#map, point) }));
    button.addEventListener("click", () => void this.#show(point, true));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  #lasso(on: boolean): void {
    this.#find("#lasso").setAttribute("aria-pressed", String(on));
    this.#plot.lasso(on);
  }

  /** The list's names as a text file, one a line. */
  #save(): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(this.#listed.map((point) => `${this.#map.names[point]}\n`), { type: "text/plain" }));
    link.download = "files.txt";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  #find<E extends HTMLElement = HTMLElement>(selector: string): E {
    return this.shadowRoot!.querySelector<E>(selector)!;
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function counted(files: number): string {
  return `${files.toLocaleString("en")} file${files === 1 ? "" : "s"}`;
}

/** A colour of the style sheet, which names them as #rrggbb, since the plot reads nothing else. */
function hex(style: CSSStyleDeclaration, name: string): string {
  return style.getPropertyValue(name).trim();
}

customElements.define("partimento-atlas", AtlasElement);
