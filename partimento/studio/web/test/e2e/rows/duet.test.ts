/** Playing in turns: on the computer's keys, and on an instrument that is answered through its own port. */

import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { Page } from "playwright-core";
import { close, kept, lasting, open, troubles } from "../studio";

let page: Page;

afterEach(async () => {
  const found = troubles.get(page);
  await page.context().close();
  expect(found).toEqual([]);
});
afterAll(close);

type Sent = [at: number, data: number[]];

/** A digital piano that a script plays, and what it was sent. */
interface Piano {
  play(...data: number[]): void;
  plug(there: boolean): void;
  sent: Sent[];
}

async function withPiano(): Promise<Page> {
  return open({}, (context) =>
    context.addInitScript(() => {
      const input = { id: "in", name: "P-125", state: "connected", onmidimessage: null as ((event: unknown) => void) | null };
      const sent: [number, number[]][] = [];
      const send = (data: number[], at = performance.now()): void => void sent.push([at, data]);
      const output = { id: "out", name: "P-125", state: "connected", send };
      const access = {
        inputs: new Map([["in", input]]),
        outputs: new Map([["out", output]]),
        onstatechange: null as ((event: unknown) => void) | null,
      };
      Object.assign(navigator, { requestMIDIAccess: () => Promise.resolve(access) });
      const piano = {
        sent,
        play: (...data: number[]) => input.onmidimessage?.({ data: Uint8Array.from(data), timeStamp: performance.now() }),
        plug(there: boolean) {
          for (const port of [input, output]) {
            port.state = there ? "connected" : "disconnected";
            access.onstatechange?.({ port });
          }
        },
      };
      Object.assign(window, { piano });
    }),
  );
}

/** Does something with the piano, in the page. */
function piano<T>(does: (piano: Piano) => T): Promise<T> {
  return page.evaluate(`(${does.toString()})(window.piano)`) as Promise<T>;
}

function title(starts: string): Promise<unknown> {
  return page.waitForFunction((text) => document.querySelector("#title")!.textContent!.startsWith(text), starts);
}

/** Keys that are down when all of it has come. */
function down(sent: readonly Sent[]): number[] {
  const keys = new Set<number>();
  for (const [, [status, pitch]] of [...sent].sort(([a], [b]) => a - b)) {
    if (status === 0x90) keys.add(pitch!);
    else if (status === 0x80) keys.delete(pitch!);
  }
  return [...keys];
}

describe("in turns", () => {
  test("silence is answered, and a key is listened to", async () => {
    page = await open();
    await lasting(page, 30);
    await page.keyboard.press("i");
    await page.waitForSelector(".bar [data-do=duet][aria-pressed=true]");
    for (const key of ["a", "d", "g"]) {
      await page.keyboard.down(key);
      await page.waitForTimeout(120);
      await page.keyboard.up(key);
    }
    await expect.poll(async () => (await kept(page)).forest.takes.map((take) => take.kind)).toEqual(["played", "continued"]);
    await page.waitForFunction(() => document.querySelector("[data-do=play]")!.getAttribute("aria-pressed") === "true");
    const reply = (await kept(page)).forest.takes[1]!;
    await expect.poll(async () => (await kept(page)).music[reply.id]!.pitch.length).toBeGreaterThan(3);
    await page.keyboard.down("h");
    await page.waitForFunction(() => document.querySelector("[data-do=play]")!.getAttribute("aria-pressed") === "false");
    await page.waitForTimeout(120);
    await page.keyboard.up("h");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".bar [data-do=duet][aria-pressed=false]");
    await expect.poll(async () => (await kept(page)).forest.takes.map((take) => take.kind)).toEqual(["played", "continued", "played"]);
    const { forest, music } = await kept(page);
    const [first, answer, second] = forest.takes.map((take) => music[take.id]!);
    expect(forest.takes[2]!.parent).toBe(forest.takes[1]!.id);
    expect(answer!.onset[3]!).toBeGreaterThan(first!.onset[2]! + 1.5); // from the present on
    expect(second!.pitch.slice(0, 3)).toEqual(first!.pitch);
    expect(second!.pitch.at(-1)).toBe(69);
  });

  test("an instrument hands over with its pedal, is answered through its port, and interrupts", async () => {
    page = await withPiano();
    await lasting(page, 30);
    await page.keyboard.press("i");
    await page.selectOption("#turns [name=sign]", "pedal");
    await page.selectOption("#turns [name=sound]", "P-125");
    await title("Listening: to hand over, press the left or middle pedal");
    await piano((piano) => {
      piano.sent.length = 0;
      piano.play(0x90, 60, 80);
      piano.play(0x90, 64, 80);
      piano.play(0x80, 60, 0);
      piano.play(0xb0, 67, 127); // with a key held
      piano.play(0xb0, 67, 0);
    });
    await title("Playing");
    await page.waitForFunction(() => {
      const { piano } = window as never as { piano: Piano };
      return piano.sent.filter(([, [status]]) => status === 0x90).length > 3;
    });
    expect(await piano((piano) => piano.sent.some(([, [status, pitch]]) => status === 0x90 && pitch === 64))).toBe(false);
    await piano((piano) => piano.play(0x90, 67, 80));
    await title("Listening");
    const sent = await piano((piano) => piano.sent);
    expect(down(sent)).toEqual([]);
    await page.reload();
    await page.waitForSelector("body[data-online=true]");
    await page.keyboard.press("i");
    await title("Listening: to hand over, press the left or middle pedal"); // this browser remembers
    expect(await page.inputValue("#turns [name=sign]")).toBe("pedal");
    expect(await page.inputValue("#turns [name=sound]")).toBe("P-125");
  });

  test("a cable that is pulled ends the answer, and nothing hangs when it is back", async () => {
    page = await withPiano();
    await lasting(page, 30);
    await page.keyboard.press("i");
    await page.selectOption("#turns [name=sign]", "key");
    await page.selectOption("#turns [name=sound]", "P-125");
    await piano((piano) => {
      piano.play(0x90, 60, 80);
      piano.play(0x90, 21, 80);
      piano.play(0x80, 21, 0);
    });
    await title("Playing");
    await piano((piano) => {
      piano.plug(false);
      piano.sent.length = 0;
    });
    await title("Listening");
    expect(await page.innerText("#note")).toContain("P-125 is not there any more");
    await piano((piano) => piano.plug(true));
    const sent = await piano((piano) => piano.sent.map(([, data]) => data));
    expect(sent.slice(0, 2)).toEqual([[0xb0, 64, 0], [0xb0, 123, 0]]);
    expect(sent.filter(([status]) => status === 0x80)).toHaveLength(88);
    const { forest, music } = await kept(page);
    expect(music[forest.takes[0]!.id]!.pitch).toEqual([60]); // the sign is no note
    await piano((piano) => {
      piano.sent.length = 0;
      dispatchEvent(new Event("pagehide"));
    });
    expect((await piano((piano) => piano.sent))[1]![1]).toEqual([0xb0, 123, 0]); // as when the page is closed
  });
});
