/**
 * The page around the studio: buttons, menus, files that are dropped, what is written where.
 *
 * Knows elements. What happens is the studio's; which key does what is in `shortcuts.ts`.
 *
 *     new Page(studio).start();
 */

import { Hands } from "../input/hands";
import { clock, endOf } from "../music/music";
import type { Roll, RollEvents } from "../roll/roll";
import { Refused } from "../server/connection";
import { type Settings, toMusic } from "../server/protocol";
import { alternatives, madeSpans, renamed, starred, takeOf } from "../takes/tree";
import { exported, type Format, readTakeFile, save, tokensOf } from "./export";
import type { Knob } from "./knob";
import type { Lanes } from "./lanes";
import { wireKeys } from "./shortcuts";
import type { Studio } from "./studio";
import type { TakesPanel } from "./takes-panel";

const NOTE_MS = 7000;
const NEAR_A_NOTE = 30; // pixels

function find<E extends Element>(selector: string): E {
  const element = document.querySelector<E>(selector);
  if (!element) throw new Error(`the page has no ${selector}`);
  return element;
}

export class Page {
  readonly studio: Studio;
  readonly hands: Hands;
  readonly roll = find<Roll>("partimento-roll");
  readonly #lanes = find<Lanes>("partimento-lanes");
  readonly #panel = find<TakesPanel>("partimento-takes");
  readonly #knob = find<Knob>("partimento-knob");
  readonly #tokens = new Map<string, number[]>();
  #counting: string | null = null;
  #fit = false;
  #stale = true;
  #looping = false;
  #noteTimer: ReturnType<typeof setTimeout> | undefined;
  #chipShown = false;

  constructor(studio: Studio) {
    this.studio = studio;
    this.hands = new Hands({
      press: (pitch, velocity, now) => this.#press(pitch, velocity, now),
      release: (pitch, now) => {
        studio.recorder?.release(pitch, now);
        void studio.player.keys().then((keys) => keys.release(pitch));
        this.update();
      },
      pedal: (down, now) => {
        studio.recorder?.pedal(down, now);
        void studio.player.keys().then((keys) => keys.pedal(down));
        this.update();
      },
    });
  }

  start(): void {
    const { studio, roll } = this;
    studio.onchange = (fit) => {
      this.#chipShown &&= !fit && !studio.making;
      this.update(fit);
    };
    studio.onnote = (text) => this.note(text);
    studio.shelf.onchange = () => this.update();
    studio.shelf.onlost = (reason) => this.note(`this browser could not keep a take: ${reason}`);
    roll.addEventListener("prompt-end", (event) => {
      studio.promptEnd = (event as CustomEvent<RollEvents["prompt-end"]>).detail.seconds;
      this.update();
    });
    roll.addEventListener("seek", (event) => {
      this.#chipShown = true;
      studio.seek((event as CustomEvent<RollEvents["seek"]>).detail.seconds);
    });
    roll.addEventListener("span", (event) => {
      studio.selection = (event as CustomEvent<RollEvents["span"]>).detail;
      this.#chipShown = true;
      this.update();
    });
    roll.describePrompt = (seconds) => this.#promptFacts(seconds);
    this.#lanes.addEventListener("choose", (event) => studio.choose((event as CustomEvent<string>).detail));
    this.#wirePanel();
    this.#wireButtons();
    this.#wireFiles();
    wireKeys(this);
    this.update(true);
  }

  /** What the page is asked for when it continues or fills. */
  settings(): Settings {
    const seconds = find<HTMLSelectElement>("#seconds").value;
    const whole = (selector: string, low: number, high: number): number => {
      const field = find<HTMLInputElement>(selector);
      const value = Math.min(high, Math.max(low, Math.round(Number(field.value) || low)));
      field.value = String(value);
      return value;
    };
    return {
      ...(seconds === "end" ? { seconds: 60, end: true } : { seconds: Number(seconds) }),
      seed: whole("#seed", 0, Number.MAX_SAFE_INTEGER),
      variations: whole("#variations", 1, 8),
      ...this.#knob.value,
    };
  }

  // -- what can be done, by a button or a key ----------------------------------------------------------------------------

  do(what: string): void {
    const { studio, roll } = this;
    switch (what) {
      case "play":
        if (studio.player.playing) studio.pause();
        else void studio.play().catch((error: unknown) => this.note(String(error)));
        break;
      case "continue":
        if (studio.recorder) this.toggleRecording();
        if (studio.making) studio.stop();
        else if (studio.promptEnd !== null) this.#make(() => studio.continue(studio.promptEnd!, this.settings()));
        break;
      case "again":
        if (studio.music) this.#make(() => studio.continue(studio.position, this.settings()));
        break;
      case "fill":
        if (studio.selection) this.#make(() => studio.fill(studio.selection!, this.settings()));
        else this.note("mark a span first: draw across the roll, or set its ends with [ and ]");
        break;
      case "prompt-here":
        studio.promptEnd = Math.max(0.05, studio.position);
        this.update();
        break;
      case "record":
        this.toggleRecording();
        break;
      case "open":
        find<HTMLInputElement>("#file").click();
        break;
      case "undo":
      case "redo":
        studio.undo(what === "undo");
        break;
      case "star":
        if (studio.shelf.current) this.#star(studio.shelf.current.id);
        break;
      case "rename":
        if (studio.shelf.current) this.#panel.rename(studio.shelf.current.id);
        break;
      case "prune":
        if (studio.shelf.current) studio.prune(studio.shelf.current.id);
        break;
      case "zoom-in":
      case "zoom-out":
        roll.zoom(what === "zoom-in" ? 1.4 : 1 / 1.4);
        break;
      case "zoom-fit":
        roll.fit();
        break;
      case "help":
        find<HTMLDialogElement>("#help").showModal();
        break;
      case "export-menu":
        this.toggleExports(!!find<HTMLElement>(".menu [role=menu]").hidden);
    }
  }

  /** The n-th variation, from 1. */
  variation(n: number): void {
    const { current, forest } = this.studio.shelf;
    const take = current && alternatives(forest, current)[n - 1];
    if (take) this.studio.choose(take.id);
  }

  /** Sets one end of the marked span to where one is. */
  markEdge(end: boolean): void {
    const { studio } = this;
    if (!studio.music) return;
    const [at, last] = [studio.position, endOf(studio.music)];
    const span = studio.selection ?? { from: 0, to: last };
    const [from, to] = end ? [Math.min(span.from, at - 0.1), at] : [at, span.to > at + 0.1 ? span.to : last];
    studio.selection = { from: Math.max(0, from), to: Math.min(last, to) };
    this.#chipShown = true;
    this.update();
  }

  toggleRecording(): void {
    const { studio } = this;
    if (studio.recorder) {
      this.hands.letters = false;
      studio.endRecording();
      return;
    }
    studio.record();
    this.hands.letters = true;
    void studio.player.keys().catch((error: unknown) => this.note(String(error)));
    void this.hands.findKeyboards().then((found) => {
      if (found === null) this.note("this browser knows no MIDI keyboards here; the computer’s keys play: A is C4");
    });
  }

  #make(begin: () => void): void {
    this.#chipShown = false;
    begin();
    const seed = find<HTMLInputElement>("#seed");
    if (this.studio.making) seed.value = String(Number(seed.value) + 1);
  }

  #star(id: string): void {
    const take = takeOf(this.studio.shelf.forest, id);
    if (take) this.studio.shelf.change((forest) => starred(forest, id, !take.starred));
  }

  #press(pitch: number, velocity: number, now: number): void {
    const { studio } = this;
    if (!studio.recorder && !studio.shelf.current) this.toggleRecording();
    studio.recorder?.press(pitch, velocity, now);
    void studio.player.keys().then((keys) => keys.press(pitch, velocity));
    this.update();
  }

  #wirePanel(): void {
    const { studio } = this;
    const on = (name: string, act: (id: string) => void): void =>
      this.#panel.addEventListener(name, (event) => act((event as CustomEvent<string>).detail));
    on("choose", (id) => studio.choose(id));
    on("star", (id) => this.#star(id));
    on("prune", (id) => studio.prune(id));
    this.#panel.addEventListener("rename", (event) => {
      const { id, name } = (event as CustomEvent<{ id: string; name: string }>).detail;
      if (takeOf(studio.shelf.forest, id)?.name === name) return;
      studio.shelf.change((forest) => renamed(forest, id, name));
    });
  }

  #wireButtons(): void {
    for (const button of document.querySelectorAll<HTMLElement>("[data-do]")) {
      button.addEventListener("click", () => this.do(button.dataset["do"]!));
    }
    for (const item of document.querySelectorAll<HTMLElement>("[data-export]")) {
      item.addEventListener("click", () => void this.#export(item.dataset["export"] as Format));
    }
    document.addEventListener("pointerdown", (event) => {
      if (!(event.target as Element).closest(".menu")) this.toggleExports(false);
    });
  }

  toggleExports(open: boolean): void {
    const menu = find<HTMLElement>(".menu [role=menu]");
    if (menu.hidden !== open) return;
    menu.hidden = !open;
    find("[data-do=export-menu]").setAttribute("aria-expanded", String(open));
    if (open) menu.querySelector("button")?.focus();
    else if (menu.contains(document.activeElement)) find<HTMLElement>("[data-do=export-menu]").focus();
  }

  async #export(format: Format): Promise<void> {
    this.toggleExports(false);
    const { shelf, server } = this.studio;
    const take = shelf.current;
    if (!take) return this.note("there is nothing to export yet");
    if (format === "reply" && !take.made) return this.note("this take has no reply: it is all your own");
    try {
      save(...(await exported(format, take, shelf.musicOf(take.id), madeSpans(shelf.forest, take), server)));
    } catch (error) {
      this.note(error instanceof Error ? error.message : String(error));
    }
  }

  // -- files -------------------------------------------------------------------------------------------------------------

  #wireFiles(): void {
    const drop = find<HTMLElement>("#drop");
    const field = find<HTMLInputElement>("#file");
    field.addEventListener("change", () => {
      void this.#openFiles(field.files);
      field.value = "";
    });
    addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.hidden = false;
    });
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) drop.hidden = true;
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      drop.hidden = true;
      void this.#openFiles(event.dataTransfer?.files ?? null);
    });
  }

  async #openFiles(files: FileList | null): Promise<void> {
    for (const file of files ?? []) {
      try {
        await this.#openFile(file);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.note(`${file.name}: ${error.message}`);
      }
    }
  }

  async #openFile(file: File): Promise<void> {
    if (this.studio.recorder) this.toggleRecording();
    if (file.name.toLowerCase().endsWith(".json")) {
      const { name, music } = readTakeFile(await file.text());
      return this.studio.add("opened", name, music);
    }
    const { title, music, tokens } = await this.studio.server.read(file, file.name);
    this.studio.add("opened", title || file.name, toMusic(music));
    this.#tokens.set(this.studio.shelf.current!.id, tokens);
    this.update();
  }

  // -- what is shown -----------------------------------------------------------------------------------------------------

  note(text: string): void {
    const note = find<HTMLElement>("#note");
    note.textContent = text;
    note.hidden = false;
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => (note.hidden = true), NOTE_MS);
  }

  /** Shows everything anew with the next frame. */
  update(fit = false): void {
    this.#fit ||= fit;
    this.#stale = true;
    if (this.#looping) return;
    this.#looping = true;
    requestAnimationFrame(() => this.#frame());
  }

  #frame(): void {
    const { studio } = this;
    if (this.#stale) this.#showAll();
    this.#stale = false;
    const recorded = studio.recorder && !studio.recorder.empty;
    const now = performance.now() / 1000;
    if (recorded) this.roll.show(studio.recorder!.sofar(now), [], false);
    const position = recorded ? studio.recorder!.elapsed(now) : studio.position;
    this.roll.moment(position, studio.player.playing || !!recorded);
    find("#time").textContent = clock(position);
    find("#ahead").textContent = this.#aheadText();
    this.#showChip(position);
    studio.heard();
    this.#looping = studio.player.playing || recorded || this.#stale;
    if (this.#looping) requestAnimationFrame(() => this.#frame());
  }

  #showAll(): void {
    const { studio, roll } = this;
    const { shelf } = studio;
    const take = shelf.current;
    if (take && !studio.recorder) {
      roll.show(shelf.musicOf(take.id), madeSpans(shelf.forest, take), this.#fit);
      roll.promptEnd = studio.promptEnd;
      this.#count(take.id);
    } else roll.promptEnd = null;
    roll.selection = studio.selection;
    this.#fit = false;
    find<HTMLElement>("#empty").hidden = !!take || (!!studio.recorder && !studio.recorder.empty);
    find("#title").textContent = studio.recorder ? "Recording: play, then press Continue or Record" : (take?.name ?? "");
    const lanes = take ? alternatives(shelf.forest, take) : [];
    this.#lanes.show(
      lanes.map((lane) => ({
        take: lane,
        music: shelf.musicOf(lane.id),
        until: studio.limitOf(lane) === Infinity ? null : studio.limitOf(lane),
      })),
      take?.id ?? null,
    );
    this.#panel.show(shelf.forest);
    if (studio.model && !this.#knob.value) this.#knob.steps = studio.model.knob;
    if (studio.model) {
      const { name, parameters, engine } = studio.model;
      find("#model-facts").textContent = `The model is ${name}: ${Math.round(parameters / 1e6)} M parameters, ${engine}.`;
    }
    const playing = studio.player.playing;
    const play = find("[data-do=play]");
    play.setAttribute("aria-pressed", String(playing));
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    for (const record of document.querySelectorAll("[data-do=record]")) record.setAttribute("aria-pressed", String(!!studio.recorder));
    find("[data-do=continue]").textContent = studio.making ? "Stop" : "Continue";
    find<HTMLButtonElement>("[data-do=continue]").disabled = !take && !studio.recorder;
    find<HTMLButtonElement>("[data-do=undo]").disabled = !shelf.history.canUndo;
    find<HTMLButtonElement>("[data-do=redo]").disabled = !shelf.history.canRedo;
    find("#prompt-facts").textContent = take && studio.promptEnd !== null ? `Prompt: ${this.#promptFacts(studio.promptEnd)}` : "";
  }

  #aheadText(): string {
    const { studio } = this;
    if (!studio.making) return "";
    if (studio.player.waiting || studio.limit <= studio.making.from) return studio.state;
    const ahead = studio.ahead;
    return ahead === null ? studio.state : `${ahead.toFixed(1)} s ahead`;
  }

  #promptFacts(seconds: number): string {
    const { studio } = this;
    const notes = studio.notesBefore(seconds);
    const tokens = this.#tokens.get(studio.shelf.current?.id ?? "")?.[notes - 1];
    return `${seconds.toFixed(1)} s · ${notes} notes${tokens === undefined ? "" : ` · ${tokens} tokens`}`;
  }

  /** Tokens of takes that were made here are counted by the server, one take at a time and once each. */
  #count(id: string): void {
    const { shelf, server, making } = this.studio;
    if (this.#tokens.has(id) || this.#counting || making) return;
    this.#counting = id;
    const { name } = takeOf(shelf.forest, id)!;
    tokensOf(shelf.musicOf(id), name, server)
      .then((tokens) => this.#tokens.set(id, tokens))
      .catch(() => this.#tokens.set(id, [])) // without a server there are no tokens to speak of
      .finally(() => {
        this.#counting = null;
        this.update();
      });
  }

  #showChip(position: number): void {
    const chip = find<HTMLElement>("#chip");
    const { studio, roll } = this;
    const shown = this.#chipShown && !!studio.music && !studio.recorder;
    chip.hidden = !shown;
    if (!shown) return;
    const span = studio.selection;
    find<HTMLElement>("[data-do=again]").hidden = span !== null;
    find<HTMLElement>("[data-do=fill]").hidden = span === null;
    const x = roll.xOf(span ? (span.from + span.to) / 2 : position) + (span ? -chip.offsetWidth / 2 : NEAR_A_NOTE / 3);
    chip.style.left = `${Math.min(roll.clientWidth - chip.offsetWidth - 8, Math.max(52, x))}px`;
  }
}
