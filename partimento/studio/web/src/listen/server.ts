/**
 * The server of a listening test, as its page sees it. Knows addresses and the token that says who asks.
 *
 *     const server = new Server();
 *     const task = server.known ? await server.task() : await server.join();
 */

import type { Side } from "./pair";

export interface Study {
  name: string;
  consent: string;
  question: string;
  criteria: string;
  thanks: string;
  prompt_seconds: number;
  seconds: number;
  least_seconds: number;
}

export type Task =
  | { task: "headphones"; questions: number; attempt: number; attempts: number }
  | { task: "compare"; number: number; of: number }
  | { task: "refused" | "done" };

export interface Vote {
  number: number;
  choice: Side | "none";
  reason?: string;
  heard_a: number;
  heard_b: number;
}

/** What the server refuses, in its own words; `status` as in HTTP. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const KEPT = "partimento listening test";

export class Server {
  #token: string;

  constructor() {
    this.#token = localStorage.getItem(KEPT) ?? "";
  }

  get known(): boolean {
    return this.#token !== "";
  }

  study(): Promise<Study> {
    return this.#json("study");
  }

  /** Takes part: from now on this browser is known. */
  async join(): Promise<Task> {
    const { token } = await this.#json<{ token: string }>("listeners", { consent: true });
    this.#token = token;
    localStorage.setItem(KEPT, token);
    return this.task();
  }

  forget(): void {
    this.#token = "";
    localStorage.removeItem(KEPT);
  }

  task(): Promise<Task> {
    return this.#json("task", {});
  }

  answer(answers: number[]): Promise<Task> {
    return this.#json("headphones", { answers });
  }

  vote(vote: Vote): Promise<Task> {
    return this.#json("votes", vote);
  }

  async sound(name: string): Promise<ArrayBuffer> {
    return (await this.#ask(`sounds/${name}`)).arrayBuffer();
  }

  async #json<T>(path: string, body?: unknown): Promise<T> {
    return (await this.#ask(path, body)).json() as Promise<T>;
  }

  async #ask(path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = this.known ? { Listener: this.#token } : {};
    const answer = await fetch(path, body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.ok) return answer;
    const { error } = (await answer.json().catch(() => ({ error: answer.statusText }))) as { error: string };
    throw new Refused(answer.status, error);
  }
}
