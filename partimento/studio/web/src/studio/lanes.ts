/**
 * <partimento-lanes>: the variations of one request under each other; one of them is heard.
 *
 * Tells the page by the event `choose` (detail: the take's id).
 *
 *     lanes.show(takes.map((take) => ({ take, music: ..., until: ... })), current.id);
 */

import { clock, firstAtLeast, type Music } from "../music/music";
import { coloursOf, loudness } from "../roll/colours";
import type { Take } from "../takes/tree";

export interface Lane {
  take: Take;
  music: Music;
  /** Music is decided up to there; null when it is complete. */
  until: number | null;
}

export class Lanes extends HTMLElement {
  #ids = "";

  connectedCallback(): void {
    this.setAttribute("role", "radiogroup");
    this.setAttribute("aria-label", "Variations");
    this.addEventListener("click", (event) => {
      const id = (event.target as Element).closest<HTMLElement>(".lane")?.dataset["id"];
      if (id) this.dispatchEvent(new CustomEvent("choose", { detail: id }));
    });
    this.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const lanes = [...this.querySelectorAll<HTMLElement>(".lane")];
      const next = lanes[(lanes.indexOf(document.activeElement as HTMLElement) + step + lanes.length) % lanes.length];
      next?.focus();
      next?.click();
    });
  }

  show(lanes: readonly Lane[], current: string | null): void {
    const shown = lanes.length > 1 ? lanes : [];
    const ids = shown.map((lane) => lane.take.id).join(" ");
    if (ids !== this.#ids) {
      this.#ids = ids;
      this.replaceChildren(...shown.map((lane, index) => rowOf(lane.take, index)));
    }
    const end = Math.max(...shown.map((lane) => lane.music.onset.at(-1) ?? 0), ...shown.map((lane) => lane.take.from + 4));
    shown.forEach((lane, index) => {
      const row = this.children[index] as HTMLElement;
      const chosen = lane.take.id === current;
      row.setAttribute("aria-checked", String(chosen));
      row.tabIndex = chosen ? 0 : -1;
      const notes = lane.music.onset.length - firstAtLeast(lane.music.onset, lane.take.from);
      const small = row.querySelector("small")!;
      small.textContent = `${lane.take.starred ? "★ " : ""}${notes} notes${lane.until === null ? "" : " …"}`;
      row.setAttribute("aria-label", `Variation ${index + 1}, ${notes} notes, from ${clock(lane.take.from)}`);
      paintStrip(row.querySelector("canvas")!, lane, end);
    });
  }
}

function rowOf(take: Take, index: number): HTMLElement {
  const row = document.createElement("button");
  row.type = "button";
  row.className = "lane";
  row.dataset["id"] = take.id;
  row.setAttribute("role", "radio");
  const key = document.createElement("kbd");
  key.textContent = String(index + 1);
  row.append(key, document.createElement("canvas"), document.createElement("small"));
  return row;
}

/** The made part, small: every note a stroke. */
function paintStrip(canvas: HTMLCanvasElement, lane: Lane, end: number): void {
  const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
  if (!width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  const colours = coloursOf(canvas);
  const { music, take } = lane;
  const x = (seconds: number): number => ((seconds - take.from) / Math.max(1, (take.to ?? end) - take.from)) * width;
  for (let i = firstAtLeast(music.onset, take.from); i < music.onset.length; i++) {
    context.fillStyle = colours.model[loudness(music.velocity[i]!)]!;
    const left = x(music.onset[i]!);
    const y = ((100 - music.pitch[i]!) / 76) * (height - 2);
    context.fillRect(left, Math.max(0, y), Math.max(1.5, x(music.onset[i]! + music.duration[i]!) - left), 2);
  }
}

customElements.define("partimento-lanes", Lanes);
