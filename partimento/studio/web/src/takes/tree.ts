/**
 * The tree of takes: who came from whom, with which seed and settings; starred, renamed, pruned, undone.
 *
 * Knows nothing of notes (a take's music is kept by its id elsewhere) nor of the page. A forest is a value: every change
 * gives a new one, so undo is going back to the value before.
 *
 *     const history = new History();
 *     history.change((forest) => withTakes(forest, [take]));
 *     history.undo();
 */

export type Kind = "opened" | "played" | "continued" | "filled";

export interface Take {
  readonly id: string;
  readonly parent: string | null;
  readonly kind: Kind;
  readonly name: string;
  readonly starred: boolean;
  /** Where its own music begins and ends, seconds; all of it for what was opened or played. `to` is null: to the end. */
  readonly from: number;
  readonly to: number | null;
  /** What it was made with; null for what people played. */
  readonly made: Made | null;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** What it shares with what the model learned from, once that was looked into. */
  readonly originality?: { readonly verdict: "copy" | "repertoire" | "own"; readonly text: string };
}

export interface Made {
  readonly seed: number;
  readonly variation: number;
  readonly model: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface Forest {
  readonly takes: readonly Take[];
  readonly current: string | null;
}

export const EMPTY: Forest = { takes: [], current: null };

export function takeOf(forest: Forest, id: string | null): Take | undefined {
  return forest.takes.find((take) => take.id === id);
}

export function currentTake(forest: Forest): Take | undefined {
  return takeOf(forest, forest.current);
}

export function childrenOf(forest: Forest, id: string | null): readonly Take[] {
  return forest.takes.filter((take) => take.parent === id);
}

/** Takes made of the same parent from the same moment, itself among them; what keys 1-8 switch between. At most the latest 8. */
export function alternatives(forest: Forest, take: Take): readonly Take[] {
  if (take.parent === null) return [take];
  const all = forest.takes.filter(
    (other) => other.parent === take.parent && other.kind === take.kind && other.from === take.from && other.to === take.to,
  );
  if (all.length <= 8) return all;
  const start = Math.min(all.indexOf(take), all.length - 8);
  return all.slice(start, start + 8);
}

/** Parents before children, each with its depth, in the order of making. */
export function inOrder(forest: Forest): readonly { take: Take; depth: number }[] {
  const rows: { take: Take; depth: number }[] = [];
  const visit = (parent: string | null, depth: number): void => {
    for (const take of childrenOf(forest, parent)) {
      rows.push({ take, depth });
      visit(take.id, depth + 1);
    }
  };
  visit(null, 0);
  return rows;
}

/** A stretch of time, seconds; `to` is not part of it. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What of a take's music a model made: its own part, and what it took over from its parents. */
export function madeSpans(forest: Forest, take: Take): readonly Span[] {
  const parent = takeOf(forest, take.parent);
  const inherited = parent ? madeSpans(forest, parent) : [];
  const own = take.made ? [{ from: take.from, to: take.to ?? Infinity }] : [];
  if (take.kind === "filled") return [...inherited, ...own];
  const before = inherited.filter((span) => span.from < take.from);
  return [...before.map((span) => ({ from: span.from, to: Math.min(span.to, take.from) })), ...own];
}

let made = 0;

/** A take of nobody's, to be changed as it is needed; its id is new. */
export function freshTake(kind: Kind, name: string): Take {
  const created = Date.now();
  const id = `${created.toString(36)}-${(made++).toString(36)}`;
  return { id, parent: null, kind, name, starred: false, from: 0, to: null, made: null, created };
}

/** Adds takes behind the others and goes to the first of them. */
export function withTakes(forest: Forest, takes: readonly Take[]): Forest {
  const known = new Set(forest.takes.map((take) => take.id));
  for (const take of takes) {
    if (known.has(take.id)) throw new Error(`a take ${take.id} exists`);
    if (take.parent !== null && !known.has(take.parent)) throw new Error(`no take ${take.parent} to come from`);
    known.add(take.id);
  }
  return { takes: [...forest.takes, ...takes], current: takes[0]?.id ?? forest.current };
}

export function withCurrent(forest: Forest, id: string): Forest {
  return takeOf(forest, id) ? { ...forest, current: id } : forest;
}

export function starred(forest: Forest, id: string, on: boolean): Forest {
  return replaced(forest, id, (take) => ({ ...take, starred: on }));
}

export function renamed(forest: Forest, id: string, name: string): Forest {
  const trimmed = name.trim();
  return trimmed ? replaced(forest, id, (take) => ({ ...take, name: trimmed })) : forest;
}

/** What was found when it was compared with what the model learned from. */
export function compared(forest: Forest, id: string, { verdict, text }: NonNullable<Take["originality"]>): Forest {
  return replaced(forest, id, (take) => ({ ...take, originality: { verdict, text } }));
}

/** Without a take and all that came from it; where one of those was current, its parent (or a neighbour) is now. */
export function pruned(forest: Forest, id: string): Forest {
  const take = takeOf(forest, id);
  if (!take) return forest;
  const gone = new Set<string>([id]);
  for (const { take: other } of inOrder(forest)) if (other.parent !== null && gone.has(other.parent)) gone.add(other.id);
  const takes = forest.takes.filter((other) => !gone.has(other.id));
  if (forest.current === null || !gone.has(forest.current)) return { takes, current: forest.current };
  const sibling = takes.filter((other) => other.parent === take.parent).at(-1);
  return { takes, current: sibling?.id ?? take.parent ?? takes.at(-1)?.id ?? null };
}

function replaced(forest: Forest, id: string, change: (take: Take) => Take): Forest {
  return { ...forest, takes: forest.takes.map((take) => (take.id === id ? change(take) : take)) };
}

/** The forest now, and those before and after it. Which take is shown is no change that can be undone. */
export class History {
  #past: Forest[] = [];
  #future: Forest[] = [];
  #now: Forest;

  constructor(now: Forest = EMPTY) {
    this.#now = now;
  }

  get now(): Forest {
    return this.#now;
  }

  get canUndo(): boolean {
    return this.#past.length > 0;
  }

  get canRedo(): boolean {
    return this.#future.length > 0;
  }

  change(edit: (forest: Forest) => Forest): void {
    const next = edit(this.#now);
    if (next === this.#now) return;
    this.#past.push(this.#now);
    this.#future = [];
    this.#now = next;
  }

  /** Belongs to the change before: undone with it. */
  amend(edit: (forest: Forest) => Forest): void {
    this.#now = edit(this.#now);
  }

  show(id: string): void {
    this.#now = withCurrent(this.#now, id);
  }

  undo(): boolean {
    const before = this.#past.pop();
    if (!before) return false;
    this.#future.push(this.#now);
    this.#now = before;
    return true;
  }

  redo(): boolean {
    const after = this.#future.pop();
    if (!after) return false;
    this.#past.push(this.#now);
    this.#now = after;
    return true;
  }
}
