/**
 * The headphone test: a sound for each question, three buttons, and all answers at once at the end.
 *
 *     task = await new HeadphoneTest(context, server).run(6);
 */

import { find } from "../studio/find";
import type { Server, Task } from "./server";

const BUTTONS = () => [...document.querySelectorAll<HTMLButtonElement>("[data-noise]")];

export class HeadphoneTest {
  readonly #context: AudioContext;
  readonly #server: Server;
  #source: AudioBufferSourceNode | null = null;

  constructor(context: AudioContext, server: Server) {
    this.#context = context;
    this.#server = server;
  }

  /** Asks every question, then the server. */
  async run(questions: number, attempt: number, attempts: number): Promise<Task> {
    const answers: number[] = [];
    for (let number = 0; number < questions; number++) {
      const again = attempt > 1 ? ` Attempt ${attempt} of ${attempts}.` : "";
      find("#question-place").textContent = `Question ${number + 1} of ${questions}.${again}`;
      const buffer = await this.#context.decodeAudioData(await this.#server.sound(String(number)));
      answers.push(await this.#ask(buffer));
    }
    return this.#server.answer(answers);
  }

  #ask(buffer: AudioBuffer): Promise<number> {
    const play = find<HTMLButtonElement>("#noises");
    play.disabled = false;
    play.onclick = () => {
      void this.#context.resume();
      this.#stop();
      this.#source = new AudioBufferSourceNode(this.#context, { buffer });
      this.#source.connect(this.#context.destination);
      this.#source.start();
      for (const button of BUTTONS()) button.disabled = false;
    };
    return new Promise((resolve) => {
      for (const button of BUTTONS()) {
        button.onclick = () => {
          this.#stop();
          play.disabled = true;
          for (const each of BUTTONS()) each.disabled = true;
          resolve(Number(button.dataset["noise"]));
        };
      }
    });
  }

  #stop(): void {
    this.#source?.stop();
    this.#source?.disconnect();
    this.#source = null;
  }
}
