/**
 * Which key does what. Fields and menus keep their own keys; while one records, letters are piano keys.
 *
 *     wireKeys(page);
 */

import { Hands } from "../input/hands";
import { endOf } from "../music/music";
import { toggleExports } from "./files";
import type { Page } from "./page";

const DOES: Record<string, string> = {
  c: "continue",
  b: "again",
  f: "fill",
  p: "prompt-here",
  r: "record",
  i: "duet",
  o: "open",
  l: "library",
  e: "export-menu",
  s: "star",
  F2: "rename",
  Delete: "prune",
  "+": "zoom-in",
  "=": "zoom-in",
  "-": "zoom-out",
  "0": "zoom-fit",
  "?": "help",
};

export function wireKeys(page: Page): void {
  addEventListener("keydown", (event) => {
    if (handled(page, event)) event.preventDefault();
  });
  addEventListener("keyup", (event) => {
    if (page.hands.letters && page.hands.key(event, false)) event.preventDefault();
  });
}

function handled(page: Page, event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  if (document.querySelector("dialog[open]")) return false;
  if (target.closest("[role=menu]")) return inMenu(event);
  if (target.matches("input, select, textarea")) return event.key === "Escape" && (target.blur(), true);
  const { studio, hands } = page;
  if (hands.letters) {
    if (event.key === "Enter" && page.duet.on) page.duet.sign();
    else if (event.key === "Escape" || event.key === "Enter") page.toggleRecording();
    else if (event.key === " ") return true; // no pianist means to press a button with it now
    else return hands.key(event, true);
    return true;
  }
  // On an empty page a letter is an invitation taken.
  if (!studio.shelf.current && Hands.plays(event)) {
    page.toggleRecording();
    return hands.key(event, true);
  }
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() !== "z") return false;
    page.do(event.shiftKey ? "redo" : "undo");
    return true;
  }
  if (event.key === " ") {
    if (target.closest("button, a")) return false;
    if (event.repeat) return true;
    page.do("play");
    return true;
  }
  if (event.key === "Escape") {
    if (studio.maker.making) studio.maker.stop();
    else if (studio.selection) studio.selection = null;
    page.display.update();
    return true;
  }
  if (/^[1-8]$/.test(event.key) && !event.altKey) {
    page.variation(Number(event.key));
    return true;
  }
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && studio.music) {
    const seconds = studio.position + step * (event.shiftKey ? 5 : event.altKey ? 0.1 : 1);
    const at = Math.min(endOf(studio.music), Math.max(0, seconds));
    page.display.roll.reveal(at);
    studio.seek(at);
    return true;
  }
  if (event.key === "[" || event.key === "]") {
    page.markEdge(event.key === "]");
    return true;
  }
  const what = DOES[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!what || event.altKey) return false;
  page.do(what);
  return true;
}

function inMenu(event: KeyboardEvent): boolean {
  const items = [...(event.target as Element).closest("[role=menu]")!.querySelectorAll<HTMLElement>("[role=menuitem]")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    const at = items.indexOf(document.activeElement as HTMLElement);
    items[(at + step + items.length) % items.length]?.focus();
    return true;
  }
  if (event.key !== "Escape" && event.key !== "Tab") return false;
  toggleExports(false);
  return event.key === "Escape";
}
