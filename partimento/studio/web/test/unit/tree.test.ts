import { expect, test } from "vitest";
import {
  alternatives,
  compared,
  EMPTY,
  type Forest,
  History,
  inOrder,
  type Kind,
  madeSpans,
  pruned,
  renamed,
  starred,
  type Take,
  takeOf,
  withTakes,
} from "../../src/takes/tree";

function take(id: string, parent: string | null, from = 0, kind: Kind = parent ? "continued" : "opened", to: number | null = null): Take {
  const made = parent ? { seed: 7, variation: 0, model: "m", settings: { temperature: 1 } } : null;
  return { id, parent, kind, name: id, starred: false, from, to, made, created: 0 };
}

const FOREST: Forest = withTakes(EMPTY, [
  take("file", null),
  take("a", "file", 10),
  take("b", "file", 10),
  take("c", "file", 20),
  take("a1", "a", 25),
  take("fill", "a1", 12, "filled", 14),
]);

test("children stand behind their parents, as deep as they are", () => {
  expect(inOrder(FOREST).map(({ take: { id }, depth }) => `${depth}${id}`)).toEqual(["0file", "1a", "2a1", "3fill", "1b", "1c"]);
});

test("a branch keeps parent, seed and settings", () => {
  expect(takeOf(FOREST, "a1")).toMatchObject({ parent: "a", made: { seed: 7, settings: { temperature: 1 } } });
});

test("what a take was compared with stays with it", () => {
  const found = { verdict: "copy" as const, text: "copies 60 notes", passages: [] };
  const forest = compared(FOREST, "a", found);
  expect(takeOf(forest, "a")!.originality).toEqual({ verdict: "copy", text: "copies 60 notes" });
  expect(takeOf(forest, "b")!.originality).toBeUndefined();
});

test("alternatives begin at the same moment of the same parent", () => {
  expect(alternatives(FOREST, takeOf(FOREST, "b")!).map(({ id }) => id)).toEqual(["a", "b"]);
  expect(alternatives(FOREST, takeOf(FOREST, "file")!).map(({ id }) => id)).toEqual(["file"]);
});

test("of many alternatives there are eight, the shown one among them", () => {
  const many = withTakes(EMPTY, [take("file", null), ...Array.from({ length: 11 }, (_, i) => take(`v${i}`, "file", 5))]);
  const ids = (id: string): string[] => alternatives(many, takeOf(many, id)!).map((each) => each.id);
  expect(ids("v1")).toEqual(["v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"]);
  expect(ids("v10").at(-1)).toBe("v10");
  expect(ids("v10")).toHaveLength(8);
});

test("what a model made is its own part and what it took over", () => {
  expect(madeSpans(FOREST, takeOf(FOREST, "file")!)).toEqual([]);
  expect(madeSpans(FOREST, takeOf(FOREST, "a1")!)).toEqual([
    { from: 10, to: 25 },
    { from: 25, to: Infinity },
  ]);
  expect(madeSpans(FOREST, takeOf(FOREST, "fill")!)).toContainEqual({ from: 12, to: 14 });
  const inTurns = { ...take("p", "a1", 30, "played"), made: null };
  expect(madeSpans(FOREST, inTurns)).toEqual([{ from: 10, to: 25 }, { from: 25, to: 30 }]);
});

test("pruning takes what came of it along, and goes to the parent", () => {
  const left = pruned({ ...FOREST, current: "fill" }, "a");
  expect(left.takes.map(({ id }) => id)).toEqual(["file", "b", "c"]);
  expect(left.current).toBe("c");
  expect(pruned(left, "file")).toEqual({ takes: [], current: null });
});

test("undo and redo go through stars, names and pruning", () => {
  const history = new History(FOREST);
  history.change((forest) => starred(forest, "a", true));
  history.change((forest) => renamed(forest, "a", "  the calm one "));
  history.change((forest) => pruned(forest, "a"));
  expect(takeOf(history.now, "a")).toBeUndefined();
  expect(history.undo()).toBe(true);
  expect(takeOf(history.now, "a")).toMatchObject({ name: "the calm one", starred: true });
  history.undo();
  expect(takeOf(history.now, "a")).toMatchObject({ name: "a", starred: true });
  history.redo();
  expect(takeOf(history.now, "a")?.name).toBe("the calm one");
  history.change((forest) => starred(forest, "b", true));
  expect(history.canRedo).toBe(false);
});

test("an empty name is no name, and to look at another take is nothing to undo", () => {
  const history = new History(FOREST);
  history.change((forest) => renamed(forest, "a", "   "));
  history.show("b");
  expect(history.canUndo).toBe(false);
  expect(history.now.current).toBe("b");
});

test("a take needs its parent, and an id of its own", () => {
  expect(() => withTakes(EMPTY, [take("x", "nobody")])).toThrow("nobody");
  expect(() => withTakes(FOREST, [take("a", null)])).toThrow("exists");
});
