/**
 * What the page shows of the studio: roll, lanes, takes, numbers, words; at most once a frame.
 *
 * Changes nothing but what is seen. Refuses to know keys and buttons.
 *
 *     const display = new Display(studio);
 *     display.update();
 */

import { clock } from "../music/music";
import type { Roll } from "../roll/roll";
import { alternatives, madeSpans, type Take, takeOf } from "../takes/tree";
import { tokensOf } from "./export";
import { find } from "./find";
import type { Knob } from "./knob";
import type { Lanes } from "./lanes";
import type { Studio } from "./studio";
import type { TakesPanel } from "./takes-panel";

const NOTE_MS = 7000;
const NEAR_A_MOMENT = 10; // pixels

export class Display {
  readonly roll = find<Roll>("partimento-roll");
  readonly lanes = find<Lanes>("partimento-lanes");
  readonly panel = find<TakesPanel>("partimento-takes");
  readonly knob = find<Knob>("partimento-knob");
  /** Whether what can be done at the moment, or with the marked span, is offered there. */
  offers = false;
  /** In words, whose turn it is; nothing, where nobody plays in turns. */
  inTurns = "";
  readonly #studio: Studio;
  readonly #tokens = new Map<string, number[]>();
  #counting: string | null = null;
  #fit = false;
  #stale = true;
  #looping = false;
  #noteTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(studio: Studio) {
    this.#studio = studio;
    this.roll.describePrompt = (seconds) => this.#promptFacts(seconds);
  }

  /** A line for people, for some seconds. */
  note(text: string): void {
    const note = find("#note");
    note.textContent = text;
    note.hidden = false;
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => (note.hidden = true), NOTE_MS);
  }

  /** Shows everything anew with the next frame; `fit`: looks at all of the music. */
  update(fit = false): void {
    this.#fit ||= fit;
    this.#stale = true;
    if (this.#looping) return;
    this.#looping = true;
    requestAnimationFrame(() => this.#frame());
  }

  /** How many tokens a prompt of a take has that ends behind each note. */
  know(id: string, tokens: number[]): void {
    this.#tokens.set(id, tokens);
    this.update();
  }

  #frame(): void {
    const studio = this.#studio;
    if (this.#stale) this.#showAll();
    this.#stale = false;
    const recorder = studio.recorder?.empty === false ? studio.recorder : null;
    const now = performance.now() / 1000;
    if (recorder) this.roll.show(recorder.sofar(now), madeSpans(studio.shelf.forest, studio.recorded));
    const position = recorder ? recorder.elapsed(now) : studio.position;
    this.roll.moment(position, studio.player.playing || recorder !== null);
    find("#time").textContent = clock(position);
    find("#ahead").textContent = this.#aheadText();
    this.#showChip(position);
    studio.maker.heard();
    this.#looping = studio.player.playing || recorder !== null || this.#stale;
    if (this.#looping) requestAnimationFrame(() => this.#frame());
  }

  #showAll(): void {
    const studio = this.#studio;
    const { shelf } = studio;
    const take = shelf.current;
    if (take && !studio.recorder) {
      this.roll.show(shelf.musicOf(take.id), madeSpans(shelf.forest, take), this.#fit);
      this.roll.promptEnd = studio.promptEnd;
      this.#count(take.id);
    } else this.roll.promptEnd = null;
    this.roll.selection = studio.selection;
    this.#fit = false;
    find("#empty").hidden = !!take || studio.recorder?.empty === false;
    find("#title").textContent =
      this.inTurns ||
      (studio.recorder
        ? "Recording: play, then press Continue or Record"
        : this.#titleOf(take));
    this.#showLanes(take);
    this.panel.show(shelf.forest);
    this.#showModel();
    this.#showButtons();
    this.#say();
    find("#prompt-facts").textContent =
      take && studio.promptEnd !== null ? `Prompt: ${this.#promptFacts(studio.promptEnd)}` : "";
  }

  /** Where a take comes from: "nocturne.mid › Reply 1 › Reply 3". */
  #titleOf(take: Take | undefined): string {
    if (!take) return "";
    const parent = takeOf(this.#studio.shelf.forest, take.parent);
    return parent ? `${this.#titleOf(parent)} › ${take.name}` : take.name;
  }

  #showLanes(take: Take | undefined): void {
    const { shelf } = this.#studio;
    const lanes = take ? alternatives(shelf.forest, take) : [];
    this.lanes.show(
      lanes.map((lane) => {
        const limit = this.#studio.maker.limitOf(lane);
        return { take: lane, music: shelf.musicOf(lane.id), until: limit === Infinity ? null : limit };
      }),
      take?.id ?? null,
    );
  }

  #showModel(): void {
    const { model } = this.#studio.maker;
    if (!model) return;
    if (!this.knob.value) this.knob.steps = model.knob;
    const size = Math.round(model.parameters / 1e6);
    find("#model-facts").textContent = `The model is ${model.name}: ${size} M parameters, ${model.engine}.`;
  }

  #showButtons(): void {
    const { player, maker, recorder, shelf } = this.#studio;
    const play = find("[data-do=play]");
    play.setAttribute("aria-pressed", String(player.playing));
    play.setAttribute("aria-label", player.playing ? "Pause" : "Play");
    for (const record of document.querySelectorAll("[data-do=record]")) {
      record.setAttribute("aria-pressed", String(recorder !== null));
    }
    find("[data-do=library]").hidden = maker.library === null;
    const make = find<HTMLButtonElement>("[data-do=continue]");
    make.textContent = maker.making ? "Stop" : "Continue";
    make.disabled = !shelf.current && !recorder;
    find<HTMLButtonElement>("[data-do=undo]").disabled = !shelf.history.canUndo;
    find<HTMLButtonElement>("[data-do=redo]").disabled = !shelf.history.canRedo;
  }

  /** Screen readers hear what begins and ends, and no numbers that change all the time. */
  #say(): void {
    const { making, state } = this.#studio.maker;
    const said = find("#said");
    const text = making ? state : said.textContent ? "The music is made." : "";
    if (said.textContent !== text) said.textContent = text;
  }

  #aheadText(): string {
    const { player, limit, position } = this.#studio;
    const { making, state } = this.#studio.maker;
    if (!making) return "";
    // A filling is heard when it is whole; it is not ahead of anybody.
    if (player.waiting || limit === Infinity || limit <= making.from) return state;
    return `${Math.max(0, limit - position).toFixed(1)} s ahead`;
  }

  #promptFacts(seconds: number): string {
    const studio = this.#studio;
    const notes = studio.notesBefore(seconds);
    const tokens = this.#tokens.get(studio.shelf.current?.id ?? "")?.[notes - 1];
    return `${seconds.toFixed(1)} s · ${notes} notes${tokens === undefined ? "" : ` · ${tokens} tokens`}`;
  }

  /** Tokens of takes that were made here are counted by the server, one take at a time and once each. */
  #count(id: string): void {
    const { shelf, server, maker } = this.#studio;
    if (this.#tokens.has(id) || this.#counting || maker.making) return;
    this.#counting = id;
    tokensOf(shelf.musicOf(id), takeOf(shelf.forest, id)!.name, server)
      .catch(() => []) // without a server there are no tokens to speak of
      .then((tokens) => {
        this.#counting = null;
        this.know(id, tokens);
      });
  }

  #showChip(position: number): void {
    const chip = find("#chip");
    const { music, recorder, selection } = this.#studio;
    chip.hidden = !this.offers || !music || recorder !== null;
    if (chip.hidden) return;
    for (const what of ["again", "mark"]) find(`[data-do=${what}]`).hidden = selection !== null;
    find("[data-do=fill]").hidden = selection === null;
    const middle = selection && this.roll.xOf((selection.from + selection.to) / 2) - chip.offsetWidth / 2;
    const x = middle ?? this.roll.xOf(position) + NEAR_A_MOMENT;
    chip.style.left = `${Math.min(this.roll.clientWidth - chip.offsetWidth - 8, Math.max(52, x))}px`;
  }
}
