/**
 * A map whose files a server has: the map itself, which files are most like one, where a file from elsewhere lies.
 *
 * Knows the server's routes (docs/studio.md, "The library"). Refuses to know what is seen of it.
 *
 *     const map = readMap(await fetchMap((doing) => show(doing)));
 *     const { near } = await nearOf(map, 7);
 *     const placed = await place(file);
 */

import { ask } from "../server/connection";
import { type AtlasMap, groupsOf, type MapJson, type Near } from "./data";

/** Where a file lies, and the files most like it. `number`: of the same file in the library, else null. */
export interface Placed {
  number: number | null;
  x: number;
  y: number;
  near: Near[];
}

/** The map, as soon as it is made; `doing` is told what is being done meanwhile. The server answers once a second. */
export async function fetchMap(doing: (text: string) => void): Promise<MapJson> {
  for (;;) {
    const answer = await ask("library/map");
    if (answer.status !== 202) return (await answer.json()) as MapJson;
    doing(((await answer.json()) as { doing: string }).doing);
  }
}

/** The files most like the one of a number. */
export async function nearOf(map: AtlasMap, number: number): Promise<Near[]> {
  return ((await (await ask(`${map.numbered}${number}/near`)).json()) as { near: Near[] }).near;
}

export async function place(file: Blob): Promise<Placed> {
  return (await (await ask("library/place", { method: "POST", body: file })).json()) as Placed;
}

/** The map with one more file on it, the last one; of its labels nothing is known. */
export function withFile(map: AtlasMap, name: string, { x, y }: Placed): AtlasMap {
  const title = name.replace(/\.midi?$/i, "");
  const kinds = map.kinds.map(({ name, classes, of }) => {
    const all = classes.includes("") ? classes : [...classes, ""];
    const numbers = longer(of, [all.indexOf("")]);
    return { name, classes: all, of: numbers, groups: groupsOf(all, numbers, map.colours.light.length - 1) };
  });
  return {
    ...map,
    names: [...map.names, name],
    titles: [...map.titles, title],
    x: longer(map.x, [x]),
    y: longer(map.y, [y]),
    kinds,
    placed: [...map.placed, map.names.length],
  };
}

/** A column with more behind it. */
function longer<Column extends Uint16Array | Float32Array>(column: Column, more: number[]): Column {
  const all = new (column.constructor as new (length: number) => Column)(column.length + more.length);
  all.set(column);
  all.set(more, column.length);
  return all;
}
