/**
 * <partimento-roll>: a piano roll that one reads, and on which one sets the prompt's end, a moment or a span.
 *
 * Knows pointer, wheel and keys. Tells the page by events (`prompt-end`, `seek`, `span`: see `RollEvents`) and changes
 * nothing of the music itself. Refuses to know sound and takes.
 *
 *     roll.show(music, spans);
 *     roll.promptEnd = 12.5;
 *     roll.moment(player.position(), true);  // once a frame
 */

import { clock, emptyMusic, endOf, gaps, type Music, nearestGap, notesBefore, soundingEnds } from "../music/music";
import type { Span } from "../takes/tree";
import { type Colours, coloursOf } from "./colours";
import { Handle } from "./handle";
import { paintMoment, paintScore, type Picture } from "./paint";
import { fitted, KEYS, PEDAL, pitchRange, RULER, type View } from "./view";

export interface RollEvents {
  /** Seconds; while it is dragged, too. */
  "prompt-end": { seconds: number };
  seek: { seconds: number };
  span: Span | null;
}

const CLICK = 4; // pixels that a pointer may move and still be a click

export class Roll extends HTMLElement {
  #still = document.createElement("canvas");
  #moving = document.createElement("canvas");
  #promptHandle = new Handle("prompt-handle", "End of the prompt");
  #placeHandle = new Handle("place-handle", "Position");
  #edges = [new Handle("edge-handle", "Start of the marked span"), new Handle("edge-handle", "End of the marked span")];
  #view: View = fitted({ width: 300, height: 200 }, 8, 48, 84);
  #picture: Picture = { music: emptyMusic(), ends: new Float64Array(), longest: 0, spans: [], promptEnd: null, selection: null };
  #gaps: number[] = [];
  #end = 0;
  #seconds = 0;
  #playing = false;
  #follows = true;
  #stale = true;
  #colours: Colours | null = null;
  #frame = 0;
  #pointers = new Map<number, { x: number; y: number }>();
  /** What a screen reader hears of the prompt's end; the page adds notes and tokens. */
  describePrompt: (seconds: number) => string = (seconds) => `${seconds.toFixed(1)} seconds`;

  connectedCallback(): void {
    this.append(this.#still, this.#moving, this.#promptHandle.element, this.#placeHandle.element);
    this.append(...this.#edges.map((edge) => edge.element));
    for (const canvas of [this.#still, this.#moving]) canvas.setAttribute("aria-hidden", "true");
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "Piano roll");
    new ResizeObserver(() => this.#resize()).observe(this);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    this.#wire();
  }

  get music(): Music {
    return this.#picture.music;
  }

  get promptEnd(): number | null {
    return this.#picture.promptEnd;
  }

  set promptEnd(seconds: number | null) {
    this.#picture.promptEnd = seconds;
    this.#redraw();
  }

  get selection(): Span | null {
    return this.#picture.selection;
  }

  set selection(span: Span | null) {
    this.#picture.selection = span;
    this.#redraw();
  }

  /** Moments that the prompt's end snaps to. */
  get moments(): readonly number[] {
    return this.#gaps;
  }

  /** Shows music; `fit` looks at all of it, else the view stays where it is. */
  show(music: Music, spans: readonly Span[], fit = false): void {
    const ends = soundingEnds(music);
    let longest = 0;
    for (let i = 0; i < ends.length; i++) longest = Math.max(longest, ends[i]! - music.onset[i]!);
    this.#picture = { ...this.#picture, music, ends, longest, spans };
    this.#gaps = gaps(music);
    this.#end = endOf(music);
    const [low, high] = pitchRange(music.pitch);
    if (fit) this.#view = fitted(this.#view.size, this.#end, low, high);
    else this.#view = this.#view.with({ lowest: low, highest: high });
    this.#redraw();
  }

  /** The moment that is heard, or where playing would begin; while it plays, the page is turned in time. */
  moment(seconds: number, playing: boolean): void {
    if (seconds === this.#seconds && playing === this.#playing) return;
    const [first, last] = [this.#view.start, this.#view.start + this.#view.shown * 0.9];
    // Whoever looks elsewhere while it plays is left there, until the playhead comes by.
    this.#follows ||= (playing && !this.#playing) || (this.#seconds >= first && this.#seconds <= last);
    this.#seconds = seconds;
    this.#playing = playing;
    if (playing && this.#follows && !this.#pointers.size && (seconds > last || seconds < first)) {
      this.#look(seconds - this.#view.shown * 0.1);
    }
    this.#schedule();
  }

  /** Makes a moment visible. */
  reveal(seconds: number): void {
    if (seconds < this.#view.start || seconds > this.#view.end) this.#look(seconds - this.#view.shown * 0.3);
  }

  zoom(factor: number, x = KEYS + (this.#view.size.width - KEYS) / 2): void {
    this.#view = this.#view.zoomed(factor, x, this.#end);
    this.#redraw();
  }

  fit(): void {
    this.show(this.music, this.#picture.spans, true);
  }

  /** Colours follow the page's. */
  recolour(): void {
    this.#colours = null;
    this.#redraw();
  }

  /** Pixels from the roll's left to a second. */
  xOf(seconds: number): number {
    return this.#view.x(seconds);
  }

  #look(start: number): void {
    this.#view = this.#view.at(start, Math.max(this.#end, this.#seconds));
    this.#redraw();
  }

  #redraw(): void {
    this.#stale = true;
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #resize(): void {
    const [width, height, ratio] = [this.clientWidth, this.clientHeight, devicePixelRatio];
    if (!width || !height) return;
    for (const canvas of [this.#still, this.#moving]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.dataset["font"] = getComputedStyle(this).fontFamily;
    }
    const grown = this.#view.size.width === 300;
    this.#view = this.#view.with({ size: { width, height } });
    if (grown) this.fit();
    this.#redraw();
  }

  #paint(): void {
    this.#frame = 0;
    const ratio = devicePixelRatio;
    this.#colours ??= coloursOf(this);
    if (this.#stale) {
      const context = this.#still.getContext("2d", { alpha: false })!;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      paintScore(context, this.#view, this.#picture, this.#colours);
      this.#stale = false;
    }
    const context = this.#moving.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paintMoment(context, this.#view, this.#picture, this.#colours, this.#seconds, this.#playing);
    this.#placeHandles();
  }

  #placeHandles(): void {
    const { promptEnd, selection } = this.#picture;
    const put = (handle: Handle, seconds: number | null, text: (seconds: number) => string): void => {
      const x = seconds === null ? -1 : this.#view.x(seconds);
      handle.place(seconds, x >= KEYS - 1 && x <= this.#view.size.width ? x : null, this.#end, text);
    };
    put(this.#promptHandle, promptEnd, this.describePrompt);
    put(this.#placeHandle, this.#seconds, (seconds) => `${clock(seconds)}`);
    put(this.#edges[0]!, selection?.from ?? null, (seconds) => clock(seconds));
    put(this.#edges[1]!, selection?.to ?? null, (seconds) => clock(seconds));
  }

  #tell<Name extends keyof RollEvents>(name: Name, detail: RollEvents[Name]): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }

  #setPrompt(seconds: number, free: boolean): void {
    const wanted = Math.max(0.05, seconds);
    this.promptEnd = free ? Math.min(wanted, this.#end) : nearestGap(this.#gaps, wanted);
    this.#tell("prompt-end", { seconds: this.promptEnd! });
  }

  #setEdge(which: 0 | 1, seconds: number): void {
    const span = this.selection;
    if (!span) return;
    const other = which ? span.from : span.to;
    const at = Math.min(this.#end, Math.max(0, seconds));
    this.selection = { from: Math.min(at, other), to: Math.max(at, other) };
    this.#tell("span", this.selection);
  }

  /** The next gap before or after the prompt's end, or a free step of 50 ms. */
  #stepPrompt(direction: number, free: boolean): void {
    const now = this.promptEnd ?? 0;
    if (free) return this.#setPrompt(now + direction * 0.05, true);
    const next =
      direction > 0 ? this.#gaps.find((m) => m > now + 1e-6) : this.#gaps.findLast((m) => m < now - 1e-6);
    if (next !== undefined) this.#setPrompt(next, false);
    this.reveal(this.promptEnd ?? 0);
  }

  #wire(): void {
    const secondsAt = (event: MouseEvent): number => this.#view.seconds(event.clientX - this.getBoundingClientRect().left);
    this.#promptHandle.wire({
      drag: (event) => this.#setPrompt(secondsAt(event), event.altKey),
      step: (direction, event) => this.#stepPrompt(direction, event.altKey),
      home: () => this.#setPrompt(0, false),
      end: () => this.#setPrompt(this.#end, false),
    });
    this.#placeHandle.wire({
      drag: (event) => this.#tell("seek", { seconds: Math.max(0, secondsAt(event)) }),
      step: (direction, event) => this.#seekTo(this.#seconds + direction * (event.shiftKey ? 5 : event.altKey ? 0.1 : 1)),
      home: () => this.#seekTo(0),
      end: () => this.#seekTo(this.#end),
    });
    this.#edges.forEach((edge, which) => {
      edge.wire({
        drag: (event) => this.#setEdge(which as 0 | 1, secondsAt(event)),
        step: (direction, event) =>
          this.#setEdge(which as 0 | 1, (which ? this.selection!.to : this.selection!.from) + direction * (event.altKey ? 0.05 : 0.5)),
        home: () => this.#setEdge(which as 0 | 1, 0),
        end: () => this.#setEdge(which as 0 | 1, this.#end),
      });
    });
    this.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#moving.addEventListener("pointerdown", (event) => this.#press(event, secondsAt));
  }

  #seekTo(seconds: number): void {
    const at = Math.min(Math.max(0, seconds), this.#end);
    this.reveal(at);
    this.moment(at, this.#playing); // a second arrow key may come before the page has answered
    this.#tell("seek", { seconds: at });
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      this.zoom(Math.exp(-event.deltaY / 200), event.clientX - this.getBoundingClientRect().left);
    } else this.#leaf(this.#view.start + (event.deltaX || event.deltaY) / this.#view.zoom);
  }

  /** Somebody moves the paper. */
  #leaf(start: number): void {
    this.#look(start);
    this.#follows = false;
  }

  /** A click sets the moment; a mouse that is drawn along marks a span; fingers move and stretch the paper. */
  #press(down: PointerEvent, secondsAt: (event: MouseEvent) => number): void {
    const canvas = this.#moving;
    canvas.setPointerCapture(down.pointerId);
    this.#pointers.set(down.pointerId, { x: down.clientX, y: down.clientY });
    const ruler = down.offsetY < RULER || down.offsetY > this.#view.bottom + PEDAL;
    const start = secondsAt(down);
    const began = this.#view.start;
    let moved = false;
    const move = (event: PointerEvent): void => {
      if (event.pointerId !== down.pointerId) return;
      const before = this.#pointers.get(event.pointerId)!;
      moved ||= Math.abs(event.clientX - down.clientX) > CLICK;
      if (!moved) return;
      if (ruler && event.pointerType !== "touch") this.#tell("seek", { seconds: Math.max(0, secondsAt(event)) });
      else if (event.pointerType !== "touch") {
        const other = secondsAt(event);
        this.selection = {
          from: Math.max(0, Math.min(start, other)),
          to: Math.min(this.#end, Math.max(start, other)),
        };
      } else if (this.#pointers.size === 2) {
        const other = [...this.#pointers].find(([id]) => id !== event.pointerId)![1];
        const factor = Math.max(8, Math.abs(event.clientX - other.x)) / Math.max(8, Math.abs(before.x - other.x));
        this.zoom(factor, (event.clientX + other.x) / 2 - this.getBoundingClientRect().left);
      } else this.#leaf(began + (down.clientX - event.clientX) / this.#view.zoom);
      this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    };
    const up = (event: PointerEvent): void => {
      if (event.pointerId !== down.pointerId) return;
      this.#pointers.delete(down.pointerId);
      canvas.removeEventListener("pointermove", move);
      canvas.removeEventListener("pointerup", up);
      canvas.removeEventListener("pointercancel", up);
      if (event.type === "pointercancel") return;
      if (!moved) {
        if (this.selection) {
          this.selection = null;
          this.#tell("span", null);
        }
        this.#tell("seek", { seconds: Math.min(this.#end, Math.max(0, start)) });
      } else if (this.selection && !ruler && down.pointerType !== "touch") this.#tell("span", this.selection);
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
  }

  /** For people and screen readers: what stands before a second. */
  notesBefore(seconds: number): number {
    return notesBefore(this.music, seconds);
  }
}

customElements.define("partimento-roll", Roll);
