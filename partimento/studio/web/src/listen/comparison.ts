/**
 * One comparison: two clips at the same moment, an answer, and why.
 *
 *     task = await new Comparison(context, server, study).run(number, of);
 */

import { find } from "../studio/find";
import { Pair, type Side, SIDES } from "./pair";
import type { Server, Study, Task } from "./server";

type Choice = Side | "none";

const buttons = (attribute: string): HTMLButtonElement[] => [...document.querySelectorAll<HTMLButtonElement>(`[${attribute}]`)];

export class Comparison {
  readonly #context: AudioContext;
  readonly #server: Server;
  readonly #study: Study;
  #pair: Pair | null = null;
  #choice: Choice | null = null;
  #frame = 0;

  constructor(context: AudioContext, server: Server, study: Study) {
    this.#context = context;
    this.#server = server;
    this.#study = study;
  }

  /** Shows it, and asks until the server has the answer; what goes wrong on the way there is told to `trouble`. */
  async run(number: number, of: number, trouble: (error: unknown) => void): Promise<Task> {
    find("#place").textContent = `Comparison ${number + 1} of ${of}`;
    find<HTMLTextAreaElement>("#reason").value = "";
    this.#choice = null;
    this.#show();
    const [a, b] = await Promise.all(SIDES.map((side) => this.#server.sound(side)));
    this.#pair = await Pair.load(this.#context, { a: a!, b: b! }, this.#study.prompt_seconds);
    this.#connect(this.#pair);
    this.#show();
    try {
      return await this.#answered(number, trouble);
    } finally {
      cancelAnimationFrame(this.#frame);
      this.#pair.close();
      this.#pair = null;
      this.#show();
    }
  }

  #connect(pair: Pair): void {
    const position = find<HTMLInputElement>("#position");
    position.max = String(pair.seconds);
    find("#prompt-part").style.width = `${(100 * this.#study.prompt_seconds) / pair.seconds}%`;
    position.oninput = () => pair.seek(Number(position.value));
    find("#play").onclick = () => (pair.playing ? pair.pause() : pair.play());
    find("#continuation").onclick = () => {
      pair.seek(this.#study.prompt_seconds);
      pair.play();
    };
    for (const button of buttons("data-side")) button.onclick = () => pair.hear(button.dataset["side"] as Side);
    for (const button of buttons("data-choice")) {
      button.onclick = () => {
        this.#choice = button.dataset["choice"] as Choice;
      };
    }
    const drawn = () => {
      this.#show();
      this.#frame = requestAnimationFrame(drawn);
    };
    drawn();
  }

  #answered(number: number, trouble: (error: unknown) => void): Promise<Task> {
    return new Promise((resolve) => {
      const next = find<HTMLButtonElement>("#next");
      next.onclick = async () => {
        const { a, b } = this.#pair!.heard;
        const reason = find<HTMLTextAreaElement>("#reason").value.trim();
        next.onclick = null; // one answer at a time
        try {
          this.#pair!.pause();
          resolve(await this.#server.vote({ number, choice: this.#choice!, heard_a: a, heard_b: b, ...(reason ? { reason } : {}) }));
        } catch (error) {
          trouble(error);
          resolve(this.#answered(number, trouble));
        }
      };
    });
  }

  #show(): void {
    const pair = this.#pair;
    const ready = pair !== null;
    const heard = pair?.heard ?? { a: 0, b: 0 };
    const least = this.#study.least_seconds;
    const enough = ready && Math.min(heard.a, heard.b) >= least;
    for (const id of ["#play", "#continuation", "#position"]) find<HTMLButtonElement>(id).disabled = !ready;
    for (const button of buttons("data-side")) {
      button.disabled = !ready;
      button.setAttribute("aria-pressed", String(button.dataset["side"] === (pair?.side ?? "a")));
    }
    for (const button of buttons("data-choice")) {
      button.disabled = !enough;
      button.setAttribute("aria-pressed", String(button.dataset["choice"] === this.#choice));
    }
    find<HTMLButtonElement>("#next").disabled = !enough || this.#choice === null;
    find("#play").textContent = pair?.playing ? "Pause" : "Play";
    const at = pair?.position ?? 0;
    find<HTMLInputElement>("#position").value = String(at);
    find("#time").textContent = `${Math.floor(at / 60)}:${String(Math.floor(at % 60)).padStart(2, "0")}`;
    const missing = SIDES.filter((side) => heard[side] < least).map((side) => `${Math.ceil(least - heard[side])} s of ${side.toUpperCase()}`);
    find("#heard").textContent = !ready ? "Loading …" : missing.length ? `Before you answer, listen to ${missing.join(" and ")} after the prompt.` : "";
  }
}
