/**
 * <partimento-takes>: the tree of takes as one reads and keeps it.
 *
 * Tells the page by events with the take's id: `choose`, `star`, `prune`, and `rename` (detail: id and name).
 *
 *     panel.show(forest);
 */

import { clock } from "../music/music";
import { type Forest, inOrder, type Take } from "../takes/tree";

export class TakesPanel extends HTMLElement {
  #forest: Forest | undefined;
  #renaming = false;

  connectedCallback(): void {
    this.setAttribute("role", "tree");
    this.setAttribute("aria-label", "Takes");
    this.addEventListener("click", (event) => {
      const target = event.target as HTMLElement;
      const row = target.closest<HTMLElement>(".take");
      if (!row || target.tagName === "INPUT") return;
      this.#tell(target.closest<HTMLElement>("[data-act]")?.dataset["act"] ?? "choose", row.dataset["id"]!);
    });
    this.addEventListener("dblclick", (event) => {
      const row = (event.target as Element).closest<HTMLElement>(".take");
      if (row && !(event.target as Element).closest("button")) this.rename(row.dataset["id"]!);
    });
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  /** While a name is being edited, what stands here stays; the forest is shown when that has ended. */
  show(forest: Forest): void {
    this.#forest = forest;
    if (this.#renaming) return;
    const focused = (document.activeElement as HTMLElement | null)?.closest<HTMLElement>(".take")?.dataset["id"];
    const rows = inOrder(forest).map(({ take, depth }) => rowOf(take, depth, take.id === forest.current));
    if (!rows.length) {
      const none = document.createElement("p");
      none.className = "none";
      none.textContent = "What you open, play and have continued is kept here.";
      this.replaceChildren(none);
      return;
    }
    this.replaceChildren(...rows);
    const again = focused && this.#row(focused);
    if (again) again.focus();
    else this.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }

  /** Makes the name of a take editable where it stands. */
  rename(id: string): void {
    const name = this.#row(id)?.querySelector<HTMLElement>(".name");
    if (!name) return;
    const field = document.createElement("input");
    field.value = name.textContent;
    field.setAttribute("aria-label", "Name of the take");
    this.#renaming = true;
    name.replaceWith(field);
    field.select();
    const leave = (keep: boolean): void => {
      if (!this.#renaming) return; // to replace a focused field blurs it
      this.#renaming = false;
      field.replaceWith(name);
      this.dispatchEvent(new CustomEvent("rename", { detail: { id, name: keep ? field.value : name.textContent } }));
      this.show(this.#forest!);
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") leave(true);
      if (event.key === "Escape") leave(false);
    });
    field.addEventListener("blur", () => leave(true));
  }

  #row(id: string): HTMLElement | null {
    return this.querySelector(`[data-id="${CSS.escape(id)}"]`);
  }

  #tell(name: string, id: string): void {
    this.dispatchEvent(new CustomEvent(name, { detail: id }));
  }

  #key(event: KeyboardEvent): void {
    const row = event.target as HTMLElement;
    if (!row.classList.contains("take")) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const rows = [...this.querySelectorAll<HTMLElement>(".take")];
      rows[rows.indexOf(row) + step]?.focus();
    } else if (event.key === "Enter") this.#tell("choose", row.dataset["id"]!);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function rowOf(take: Take, depth: number, current: boolean): HTMLElement {
  const row = document.createElement("div");
  row.className = "take";
  row.dataset["id"] = take.id;
  row.tabIndex = current ? 0 : -1;
  row.style.setProperty("--depth", String(depth));
  if (take.made) row.style.setProperty("--mark", "var(--model)");
  row.setAttribute("role", "treeitem");
  row.setAttribute("aria-level", String(depth + 1));
  row.setAttribute("aria-selected", String(current));
  const text = document.createElement("div");
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = take.name;
  const small = document.createElement("small");
  small.textContent = factsOf(take);
  text.append(name, small);
  if (take.originality) small.append(badgeOf(take.originality));
  row.append(text, button("star", take.starred ? "★" : "☆", `Star ${take.name}`, take.starred), button("prune", "×", `Prune ${take.name}`));
  const found = take.originality ? `, ${VERDICTS[take.originality.verdict]}` : "";
  row.setAttribute("aria-label", `${take.name}, ${factsOf(take)}${found}${take.starred ? ", starred" : ""}`);
  return row;
}

const VERDICTS = { copy: "copies", repertoire: "a known work", own: "no copy" };

function badgeOf({ verdict, text }: NonNullable<Take["originality"]>): HTMLElement {
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.dataset["verdict"] = verdict;
  badge.textContent = VERDICTS[verdict];
  badge.title = text;
  return badge;
}

function factsOf(take: Take): string {
  if (!take.made) return take.kind === "played" ? "played here" : "opened";
  const where = take.to === null ? `from ${clock(take.from)}` : `${clock(take.from)}–${clock(take.to)}`;
  const temperature = take.made.settings["temperature"];
  const warmth = typeof temperature === "number" ? ` · temp. ${temperature.toFixed(2)}` : "";
  return `${where} · seed ${take.made.seed}${warmth}`;
}

function button(act: string, text: string, label: string, pressed?: boolean): HTMLElement {
  const element = document.createElement("button");
  element.type = "button";
  element.className = `icon ${act}`;
  element.dataset["act"] = act;
  element.textContent = text;
  element.tabIndex = -1;
  element.setAttribute("aria-label", label);
  if (pressed !== undefined) element.setAttribute("aria-pressed", String(pressed));
  return element;
}

customElements.define("partimento-takes", TakesPanel);
