/**
 * What buttons and keys do: the studio's actions by name, and what people do on roll, lanes and tree.
 *
 * What is shown is `display.ts`, which key is which action `shortcuts.ts`, files are `files.ts`.
 *
 *     new Page(studio).start();
 *     page.do("continue");
 */

import { Hands } from "../input/hands";
import { type Kind, SUSTAIN } from "../input/hand-over";
import { endOf } from "../music/music";
import type { RollEvents } from "../roll/roll";
import type { Settings } from "../server/protocol";
import { alternatives, renamed, starred, takeOf } from "../takes/tree";
import { Display } from "./display";
import { Duet } from "./duet";
import { toggleExports, wireFiles } from "./files";
import { find } from "./find";
import { LibraryPanel } from "./library";
import { wireKeys } from "./shortcuts";
import type { Studio } from "./studio";

// Seconds.
const LONGEST_ENDING = 60;
const SPAN = 4;
const LEAST_SPAN = 0.1;

export class Page {
  readonly studio: Studio;
  readonly hands: Hands;
  readonly display: Display;
  readonly duet: Duet;
  readonly library: LibraryPanel;

  constructor(studio: Studio) {
    this.studio = studio;
    this.display = new Display(studio);
    this.hands = new Hands((kind, number, value, now, instrument) => this.#hear(kind, number, value, now, instrument));
    this.duet = new Duet(this);
    this.library = new LibraryPanel(studio, this.display);
  }

  start(): void {
    const { studio, display } = this;
    studio.onchange = (fit) => {
      display.offers &&= !fit && !studio.maker.making;
      this.duet.look();
      display.update(fit);
    };
    studio.onnote = (text) => display.note(text);
    studio.shelf.onchange = () => display.update();
    studio.shelf.onlost = (reason) => display.note(`this browser could not keep a take: ${reason}`);
    this.#wireRoll();
    this.#wirePanel();
    for (const button of document.querySelectorAll<HTMLElement>("[data-do]")) {
      button.addEventListener("click", () => this.do(button.dataset["do"]!));
    }
    document.addEventListener("click", (event) => {
      // Space plays after a click of the mouse; a button that was reached with the keyboard is pressed by it.
      if (event.detail) (event.target as Element).closest("button")?.blur();
    });
    wireFiles(studio, display);
    wireKeys(this);
    display.update(true);
  }

  /** What the page asks for when it continues or fills. */
  settings(): Settings {
    const seconds = find<HTMLSelectElement>("#seconds").value;
    const whole = (selector: string, low: number, high: number): number => {
      const field = find<HTMLInputElement>(selector);
      const value = Math.min(high, Math.max(low, Math.round(Number(field.value) || low)));
      field.value = String(value);
      return value;
    };
    return {
      ...(seconds === "end" ? { seconds: LONGEST_ENDING, end: true } : { seconds: Number(seconds) }),
      seed: whole("#seed", 0, Number.MAX_SAFE_INTEGER),
      variations: whole("#variations", 1, 8),
      ...this.display.knob.value,
    };
  }

  do(what: string): void {
    const { studio, display } = this;
    const current = studio.shelf.current?.id;
    switch (what) {
      case "play":
        if (studio.player.playing) studio.pause();
        else void studio.play();
        break;
      case "continue":
        if (studio.recorder) this.toggleRecording();
        if (studio.maker.making) studio.maker.stop();
        else if (studio.promptEnd !== null) this.#make(() => studio.continue(studio.promptEnd!, this.settings()));
        break;
      case "again":
        if (current) this.#make(() => studio.continue(studio.position, this.settings()));
        break;
      case "fill":
        if (studio.selection) this.#make(() => studio.fill(studio.selection!, this.settings()));
        else display.note("mark a span first: draw across the roll, or set its ends with [ and ]");
        break;
      case "mark":
        this.mark(studio.position, studio.position + SPAN);
        break;
      case "prompt-here":
        if (current) studio.promptEnd = Math.max(0.05, studio.position);
        display.update();
        break;
      case "record":
        this.toggleRecording(true);
        break;
      case "duet":
        this.duet.toggle();
        break;
      case "open":
        find<HTMLInputElement>("#file").click();
        break;
      case "library":
        if (studio.recorder) this.toggleRecording();
        this.library.open();
        break;
      case "undo":
      case "redo":
        studio.undo(what === "undo");
        break;
      case "star":
        if (current) this.#star(current);
        break;
      case "rename":
        display.panel.show(studio.shelf.forest); // what was done a moment ago waits for the next frame
        if (current) display.panel.rename(current);
        break;
      case "prune":
        if (current) studio.prune(current);
        break;
      case "zoom-in":
      case "zoom-out":
        display.roll.zoom(what === "zoom-in" ? 1.4 : 1 / 1.4);
        break;
      case "zoom-fit":
        display.roll.fit();
        break;
      case "help":
        find<HTMLDialogElement>("#help").showModal();
        break;
      case "export-menu":
        toggleExports();
    }
  }

  /** The n-th variation, from 1. */
  variation(n: number): void {
    const { current, forest } = this.studio.shelf;
    const take = current && alternatives(forest, current)[n - 1];
    if (take) this.studio.choose(take.id);
  }

  /** Marks a span, within the music. */
  mark(from: number, to: number): void {
    const { studio, display } = this;
    if (!studio.music) return;
    const last = endOf(studio.music);
    studio.selection = { from: Math.max(0, Math.min(from, last - LEAST_SPAN)), to: Math.min(last, to) };
    display.offers = true;
    display.update();
  }

  /** Sets one end of the marked span to where one is. */
  markEdge(end: boolean): void {
    const { position, selection } = this.studio;
    if (end) this.mark(Math.min(selection?.from ?? 0, position - LEAST_SPAN), position);
    else this.mark(position, selection && selection.to > position + LEAST_SPAN ? selection.to : Infinity);
  }

  /** `asked`: by the button, so that people hear why no MIDI keyboard plays. */
  toggleRecording(asked = false): void {
    const { studio, display } = this;
    if (this.duet.on) return this.duet.toggle();
    if (studio.recorder) {
      this.hands.letters = false;
      studio.endRecording();
      return;
    }
    studio.record();
    this.hands.letters = true;
    studio.player.keys().catch((error: unknown) => display.note(String(error)));
    void this.hands.findInstruments().then((found) => {
      if (found === null && asked) display.note("No MIDI keyboard is to be had in this browser; the computer’s keys play: A is C.");
    });
  }

  /** What is played by hand sounds, and is recorded; in turns it may be a sign, or an interruption. */
  #hear(kind: Kind, number: number, value: number, now: number, instrument: boolean): void {
    const { studio, duet } = this;
    if (!duet.hear(kind, number, value, now)) return;
    if (kind === "on") {
      if (!duet.on && !studio.recorder && !studio.shelf.current) this.toggleRecording();
      studio.recorder?.press(number, value, now);
    } else if (kind === "off") studio.recorder?.release(number, now);
    else if (number === SUSTAIN) studio.recorder?.pedal(value >= 64, now);
    // An instrument that sounds the answers sounds its own keys, too.
    if (!(instrument && studio.player.instrument)) void studio.player.keys().then((keys) => keys.hear(kind, number, value));
    if (kind === "on") this.display.update();
  }

  #make(begin: () => void): void {
    this.display.offers = false;
    begin();
    const seed = find<HTMLInputElement>("#seed");
    if (this.studio.maker.making) seed.value = String(Number(seed.value) + 1);
  }

  #star(id: string): void {
    const take = takeOf(this.studio.shelf.forest, id);
    if (take) this.studio.shelf.change((forest) => starred(forest, id, !take.starred));
  }

  #wireRoll(): void {
    const { studio, display } = this;
    const on = <Name extends keyof RollEvents>(name: Name, act: (detail: RollEvents[Name]) => void): void =>
      display.roll.addEventListener(name, (event) => act((event as CustomEvent<RollEvents[Name]>).detail));
    on("prompt-end", ({ seconds }) => {
      studio.promptEnd = seconds;
      display.update();
    });
    on("seek", ({ seconds }) => {
      display.offers = true;
      studio.seek(seconds);
    });
    on("span", (span) => {
      studio.selection = span;
      display.offers = true;
      display.update();
    });
  }

  #wirePanel(): void {
    const { studio, display } = this;
    const on = (name: string, act: (id: string) => void): void =>
      display.panel.addEventListener(name, (event) => act((event as CustomEvent<string>).detail));
    on("choose", (id) => studio.choose(id));
    on("star", (id) => this.#star(id));
    on("prune", (id) => studio.prune(id));
    display.panel.addEventListener("rename", (event) => {
      const { id, name } = (event as CustomEvent<{ id: string; name: string }>).detail;
      if (takeOf(studio.shelf.forest, id)?.name === name) return display.update();
      studio.shelf.change((forest) => renamed(forest, id, name));
    });
    display.lanes.addEventListener("choose", (event) => studio.choose((event as CustomEvent<string>).detail));
  }
}
