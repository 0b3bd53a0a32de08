/**
 * The server, as the page sees it: files to music, music to files, and one socket for all that is made.
 *
 * A socket that closes is opened again, with longer and longer pauses. Refuses to know what the page does with messages.
 *
 *     const server = new Server({ message: (m) => ..., online: (yes) => ... });
 *     const { music, tokens } = await server.read(file);
 *     server.send({ type: "stop", id: "a1" });
 */

import type { Message, MusicColumns, Request, Uploaded } from "./protocol";

export interface Listener {
  message(message: Message): void;
  online(yes: boolean): void;
}

/** What the server refuses, in its own words. */
export class Refused extends Error {}

/** An answer of the server; raises `Refused` for one that is none. */
export async function ask(path: string, request: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Refused("the studio's server does not answer; is it still running?");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let reason = text || answer.statusText;
  try {
    reason = (JSON.parse(text) as { error: string }).error;
  } catch {
    // Not the studio's own words, but words.
  }
  throw new Refused(reason);
}

export class Server {
  readonly #listener: Listener;
  #socket: WebSocket | null = null;
  #pause = 500;

  constructor(listener: Listener) {
    this.#listener = listener;
    this.#open();
  }

  /** Whether it was sent; not while the server is away. */
  send(request: Request): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(request));
    return true;
  }

  /** A MIDI file's bytes -> its music. Raises `Refused` with the reader's reason. */
  async read(bytes: Blob, title: string): Promise<Uploaded> {
    const answer = await ask(`performances?title=${encodeURIComponent(title)}`, { method: "POST", body: bytes });
    return (await answer.json()) as Uploaded;
  }

  /** The file that the command was given, if it was given one. */
  async opened(): Promise<Uploaded | null> {
    const answer = await fetch("performances/opened");
    return answer.ok ? ((await answer.json()) as Uploaded) : null;
  }

  async export(format: "mid" | "wav", music: MusicColumns, title: string): Promise<Blob> {
    const answer = await ask(`export?format=${format}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...music, title }),
    });
    return answer.blob();
  }

  #open(): void {
    const socket = new WebSocket(new URL("socket", document.baseURI.replace(/^http/, "ws")));
    this.#socket = socket;
    socket.onopen = () => {
      this.#pause = 500;
      this.#listener.online(true);
    };
    socket.onmessage = (event: MessageEvent<string>) => this.#listener.message(JSON.parse(event.data) as Message);
    socket.onclose = () => {
      this.#listener.online(false);
      setTimeout(() => this.#open(), this.#pause);
      this.#pause = Math.min(5000, this.#pause * 1.6);
    };
  }
}
