/**
 * The library in the studio: its map in a frame over the page, whose files become takes.
 *
 * The frame is a page of its own (public/library.html), since what draws the map may do what this page may not (gate.py).
 * Knows the element in it. Refuses to know what a map is.
 *
 *     const library = new LibraryPanel(studio, display);
 *     library.open();
 */

import type { AtlasElement, Wanted } from "../atlas/element";
import { clock, endOf, shifted, slice } from "../music/music";
import { toMusic } from "../server/protocol";
import { freshTake } from "../takes/tree";
import type { Display } from "./display";
import { exported } from "./export";
import { find } from "./find";
import type { Studio } from "./studio";

/** Seconds of a moment that becomes a prompt. */
const MOMENT = 15;

export class LibraryPanel {
  readonly #studio: Studio;
  readonly #display: Display;
  readonly #dialog = find<HTMLDialogElement>("#library");
  readonly #frame = find<HTMLIFrameElement>("#library iframe");

  constructor(studio: Studio, display: Display) {
    this.#studio = studio;
    this.#display = display;
    this.#frame.addEventListener("load", () => this.#loaded());
    this.#dialog.addEventListener("close", () => this.#atlas?.stop());
    find("#library [data-do=close-library]").addEventListener("click", () => this.#dialog.close());
    find("#library [data-do=place-take]").addEventListener("click", () => void this.#place());
  }

  /** Shows the map, which is asked for the first time that it is wanted. */
  open(): void {
    const { shelf, maker } = this.#studio;
    if (!maker.library) return;
    this.#studio.pause();
    find("#library h2").textContent = `${maker.library.name}: ${maker.library.files.toLocaleString("en")} files`;
    find<HTMLButtonElement>("#library [data-do=place-take]").disabled = !shelf.current;
    if (!this.#frame.src) this.#frame.src = "library.html";
    this.#dialog.showModal();
  }

  get #atlas(): AtlasElement | null {
    return this.#frame.contentDocument?.querySelector<AtlasElement>("partimento-atlas") ?? null;
  }

  #loaded(): void {
    this.#atlas?.addEventListener("prompt", (event) => void this.#use((event as CustomEvent<Wanted>).detail));
    this.#frame.contentWindow?.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#dialog.close();
    });
  }

  /** A file of the library becomes a take: all of it, or the moment that is alike. */
  async #use({ file, from }: Wanted): Promise<void> {
    const { server, shelf } = this.#studio;
    try {
      const { music, tokens } = await server.read(file, file.name);
      const whole = toMusic(music);
      if (from === null) {
        this.#studio.add(freshTake("opened", file.name), whole);
        this.#display.know(shelf.current!.id, tokens);
      } else {
        const begin = Math.max(0, Math.min(from, endOf(whole) - MOMENT)); // near the end there is less behind it
        this.#studio.add(freshTake("opened", `${file.name}, from ${clock(begin, 0)}`), shifted(slice(whole, begin, begin + MOMENT), begin));
      }
      this.#dialog.close();
    } catch (error) {
      this.#say(error);
    }
  }

  /** Where the take lies that is shown in the studio. */
  async #place(): Promise<void> {
    const { shelf, server } = this.#studio;
    const take = shelf.current;
    if (!take) return;
    try {
      const [blob] = await exported("mid", take, shelf.musicOf(take.id), [], server);
      await this.#atlas?.place(new File([blob], take.name));
    } catch (error) {
      this.#say(error);
    }
  }

  #say(error: unknown): void {
    this.#dialog.close();
    this.#display.note(error instanceof Error ? error.message : String(error));
  }
}
