/**
 * Files that come in by the mouse or the file dialog, and files that go out by the Export menu.
 *
 *     wireFiles(studio, display);
 */

import { onFiles } from "../input/dropped";
import { Refused } from "../server/connection";
import { toMusic } from "../server/protocol";
import { freshTake, madeSpans } from "../takes/tree";
import type { Display } from "./display";
import { exported, type Format, readTakeFile, save } from "./export";
import { find } from "./find";
import type { Studio } from "./studio";

export function wireFiles(studio: Studio, display: Display): void {
  onFiles(find("#drop"), find<HTMLInputElement>("#file"), (files) => void openFiles(files, studio, display));
  for (const item of document.querySelectorAll<HTMLElement>("[data-export]")) {
    item.addEventListener("click", () => void exportCurrent(item.dataset["export"] as Format, studio, display));
  }
  document.addEventListener("pointerdown", (event) => {
    if (!(event.target as Element).closest(".menu")) toggleExports(false);
  });
}

async function openFiles(files: readonly File[], studio: Studio, display: Display): Promise<void> {
  for (const file of files) {
    try {
      await openFile(file, studio, display);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      display.note(`${file.name}: ${error.message}`);
    }
  }
}

async function openFile(file: File, studio: Studio, display: Display): Promise<void> {
  if (file.name.toLowerCase().endsWith(".json")) {
    const { name, music } = readTakeFile(await file.text());
    studio.add(freshTake("opened", name), music);
    return;
  }
  const { title, music, tokens } = await studio.server.read(file, file.name);
  studio.add(freshTake("opened", title || file.name), toMusic(music));
  display.know(studio.shelf.current!.id, tokens);
}

async function exportCurrent(format: Format, studio: Studio, display: Display): Promise<void> {
  toggleExports(false);
  const { shelf, server } = studio;
  const take = shelf.current;
  if (!take) return display.note("there is nothing to export yet");
  if (format === "reply" && !take.made) return display.note("this take has no reply: it is all your own");
  try {
    save(...(await exported(format, take, shelf.musicOf(take.id), madeSpans(shelf.forest, take), server)));
  } catch (error) {
    display.note(error instanceof Error ? error.message : String(error));
  }
}

/** Opens or closes the menu; the focus goes where people expect it. */
export function toggleExports(open = find(".menu [role=menu]").hidden === true): void {
  const menu = find(".menu [role=menu]");
  if (menu.hidden !== open) return;
  const button = find("[data-do=export-menu]");
  button.setAttribute("aria-expanded", String(open));
  if (!open && menu.contains(document.activeElement)) button.focus();
  menu.hidden = !open;
  if (open) menu.querySelector("button")?.focus();
}
