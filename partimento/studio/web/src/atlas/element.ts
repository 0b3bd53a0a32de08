/**
 * <partimento-atlas>: the map of a collection, from the JSON inside it; one file, no server.
 *
 *     <partimento-atlas><script type="application/json">{...}</script></partimento-atlas>
 *
 * A click chooses a file, plays it where its music is near, and names its neighbours; a lasso makes a list.
 */

import { PlayerElement } from "../player/element";
import colours from "../style/colours.css?inline";
import own from "../style/atlas.css?inline";
import parts from "../style/parts.css?inline";
import { type AtlasMap, factsOf, found, type MapJson, musicOf, nearestTo, pianoOf, plays, readMap } from "./data";
import { Plot } from "./plot";

const MOST_LISTED = 500;
const DARK = matchMedia("(prefers-color-scheme: dark)");

class AtlasElement extends HTMLElement {
  #map!: AtlasMap;
  #plot!: Plot;
  #kind = 0;
  #off = new Set<number>();
  #listed: number[] = [];
  #player: PlayerElement | null = null;
  #changing: Promise<unknown> | null = null;

  connectedCallback(): void {
    const text = this.querySelector("script[type='application/json']")?.textContent;
    if (!text) return;
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(colours + parts + own);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = PAGE;
    this.#map = readMap(JSON.parse(text) as MapJson);
    this.#find("h1").textContent = this.#map.title;
    this.#find("#about").textContent = this.#map.about;
    this.#kinds();
    this.#draw();
  }

  #draw(): void {
    const map = this.#map;
    const canvas = this.#find<HTMLCanvasElement>("canvas");
    try {
      this.#plot = new Plot(canvas, map.x, map.y);
    } catch (error) {
      this.#find("#said").textContent = `The points cannot be drawn: this browser has no WebGL (${String(error)}).`;
      return;
    }
    this.#plot.onchoose = (points, byLasso) => this.#chosen(points, byLasso);
    this.#plot.onhover = (point) => this.#hover(point);
    this.#listen();
    void this.#paint();
  }

  #listen(): void {
    const stage = this.#find(".stage");
    new ResizeObserver(() => this.#plot.resize(stage.clientWidth, stage.clientHeight)).observe(stage);
    DARK.addEventListener("change", () => void this.#paint());
    this.#find("select").addEventListener("change", (event) => {
      this.#kind = Number((event.target as HTMLSelectElement).value);
      this.#off.clear();
      void this.#only(null);
      void this.#paint();
    });
    this.#find("#lasso").addEventListener("click", () => this.#lasso(this.#find("#lasso").getAttribute("aria-pressed") !== "true"));
    this.#find("#all").addEventListener("click", () => void this.#plot.all());
    this.#find("input").addEventListener("input", (event) => this.#search((event.target as HTMLInputElement).value));
    this.#find("#save").addEventListener("click", () => this.#save());
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

  /** A file: what it is, its music, its neighbours. */
  async #show(point: number): Promise<void> {
    const map = this.#map;
    this.#plot.mark([point]);
    this.#find("#file").hidden = false;
    this.#find("h2").textContent = map.titles[point]!;
    this.#find("#facts").textContent = factsOf(map, point);
    this.#find("#name").textContent = map.names[point]!;
    this.#items(this.#find("#near"), nearestTo(map, point));
    const music = this.#find("#music");
    this.#player?.remove();
    this.#player = null;
    music.textContent = plays(map) ? "" : "To hear it: a map with its music inside (partimento atlas --music).";
    if (!plays(map)) return;
    const player = new PlayerElement();
    this.#player = player;
    music.append(player);
    try {
      const bytes = await musicOf(map, point);
      if (this.#player === player) await player.open(bytes, pianoOf(map), true);
    } catch (error) {
      if (this.#player === player) music.textContent = error instanceof Error ? error.message : String(error);
    }
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
    this.#items(this.#find("#list"), points.slice(0, MOST_LISTED));
  }

  #items(list: HTMLElement, points: number[]): void {
    list.replaceChildren(
      ...points.map((point) => {
        const button = Object.assign(document.createElement("button"), { type: "button" });
        button.append(this.#map.titles[point]!, Object.assign(document.createElement("span"), { textContent: factsOf(this.#map, point) }));
        button.addEventListener("click", () => {
          void this.#show(point);
          void this.#plot.goTo([point, ...nearestTo(this.#map, point)]);
        });
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
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

function counted(files: number): string {
  return `${files.toLocaleString("en")} file${files === 1 ? "" : "s"}`;
}

/** A colour of the style sheet, which names them as #rrggbb, since the plot reads nothing else. */
function hex(style: CSSStyleDeclaration, name: string): string {
  return style.getPropertyValue(name).trim();
}

const PAGE = `
<main>
  <div class="stage"><canvas aria-label="The map: each point is a file"></canvas><div id="tip" role="tooltip" hidden></div></div>
  <aside aria-label="Files">
    <header><h1></h1><p id="about"></p></header>
    <div class="tools">
      <label id="colour">Colour <select></select></label>
      <button type="button" id="lasso" aria-pressed="false" title="Draw around points (or hold Shift and draw)">Lasso</button>
      <button type="button" id="all" title="Show all of the map">All</button>
    </div>
    <div id="legend" role="group" aria-label="Colours; a click hides one"></div>
    <p id="said" role="status"></p>
    <section id="file" hidden>
      <h2></h2><p id="facts"></p><p id="name"></p><div id="music"></div>
      <h3>Nearest</h3><ol id="near"></ol>
    </section>
    <label class="search">Find <input type="search" autocomplete="off" /></label>
    <section id="listed" hidden><p><span id="count" role="status"></span> <button type="button" id="save">Save names</button></p><ol id="list"></ol></section>
  </aside>
</main>`;

customElements.define("partimento-atlas", AtlasElement);
