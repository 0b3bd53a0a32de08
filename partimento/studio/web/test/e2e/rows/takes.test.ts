/** Takes are branched, filled, kept, and played by hand: what the user does and what must happen. */

/// <reference types="node" />

import type { Page } from "playwright-core";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { close, kept, lasting, made, open, opened, shown, text, troubles } from "../studio";

let page: Page;

afterEach(async () => {
  expect(troubles.get(page)).toEqual([]);
  await page.context().close();
});
afterAll(close);

describe("takes", () => {
  test("a moment is clicked: again from here; star, rename, prune, undo", async () => {
    page = await opened();
    await lasting(page, 2);
    await page.click("[data-do=continue]");
    await made(page);
    const badge = page.locator('.take[aria-selected="true"] .badge');
    expect(await badge.innerText()).toBe("no copy");
    expect(await badge.getAttribute("title")).toContain("what the model learned from");
    await page.keyboard.press("0");
    await shown(page);
    const sheet = (await page.locator("partimento-roll").boundingBox())!;
    const x = Number((await page.locator(".prompt-handle").boundingBox())!.x - sheet.x);
    await page.mouse.click(sheet.x + x - 60, sheet.y + 200);
    await page.click("#chip [data-do=again]");
    await made(page);
    let { forest } = await kept(page);
    const [, reply, branch] = forest.takes;
    expect(branch).toMatchObject({ kind: "continued", parent: reply!.id, made: { seed: 2 } });
    expect(branch!.from).not.toBe(reply!.from);

    await page.keyboard.press("s");
    await page.keyboard.press("F2");
    await page.keyboard.type("the calm");
    await shown(page); // the star, meanwhile
    await page.keyboard.type(" one");
    await page.keyboard.press("Enter");
    await expect.poll(() => text(page, '.take[aria-selected="true"] .name')).toBe("the calm one");
    expect(await page.locator('.take[aria-selected="true"] .star').getAttribute("aria-pressed")).toBe("true");
    await page.locator(`.take[data-id="${reply!.id}"]`).hover();
    await page.click(`.take[data-id="${reply!.id}"] .prune`);
    await expect.poll(() => page.locator(".take").count()).toBe(1);
    await page.keyboard.press("Control+z");
    await expect.poll(() => page.locator(".take").count()).toBe(3);
    ({ forest } = await kept(page));
    expect(forest.takes[2]).toMatchObject({ name: "the calm one", starred: true, parent: reply!.id });
    await page.keyboard.press("Control+Shift+z");
    await expect.poll(() => page.locator(".take").count()).toBe(1);
  });

  test("a marked span is filled in place, all around it stays", async () => {
    page = await opened();
    const sheet = (await page.locator("partimento-roll").boundingBox())!;
    await page.mouse.move(sheet.x + 300, sheet.y + 200);
    await page.mouse.down();
    await page.mouse.move(sheet.x + 420, sheet.y + 220, { steps: 4 });
    await page.mouse.up();
    await page.click("#chip [data-do=fill]");
    await made(page);
    const { forest, music } = await kept(page);
    const [file, filled] = forest.takes;
    expect(filled).toMatchObject({ kind: "filled", parent: file!.id });
    const outside = (id: string): number[] => music[id]!.onset.filter((s) => s < filled!.from || s >= filled!.to!);
    const inside = (id: string): number[] => music[id]!.onset.filter((s) => s >= filled!.from && s < filled!.to!);
    expect(outside(filled!.id)).toEqual(outside(file!.id));
    expect(inside(filled!.id)).not.toEqual(inside(file!.id));
    expect(inside(filled!.id).length).toBeGreaterThan(0);
  });

  test("a span is marked without a mouse, and let go", async () => {
    page = await opened();
    await page.locator(".place-handle").focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
    await page.keyboard.press("[");
    for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
    await page.keyboard.press("]");
    const edges = page.locator(".edge-handle");
    await expect.poll(() => edges.nth(1).getAttribute("aria-valuenow")).toBe("7.00");
    expect(await edges.nth(0).getAttribute("aria-valuenow")).toBe("3.00");
    await page.locator("#chip [data-do=fill]").click({ trial: true });
    await page.keyboard.press("Escape");
    await expect.poll(() => edges.nth(0).isVisible()).toBe(false);
    await page.click("#chip [data-do=mark]");
    await expect.poll(() => edges.nth(1).getAttribute("aria-valuenow")).toBe("11.00");
  });

  test("they are still there after a reload, and can be gone on with", async () => {
    page = await opened();
    await lasting(page, 2);
    await page.click("[data-do=continue]");
    await made(page);
    const before = await kept(page);
    await page.reload();
    await page.waitForSelector("body[data-online=true]");
    await expect.poll(() => page.locator(".take").count()).toBe(2);
    expect(await kept(page)).toEqual(before);
    await lasting(page, 2);
    await page.click("[data-do=continue]");
    await made(page);
    await expect.poll(async () => (await kept(page)).forest.takes.length).toBe(3);
    expect((await kept(page)).forest.takes[2]!.parent).toBe(before.forest.current);
  });
});

describe("playing by hand", () => {
  test("a MIDI keyboard with its pedal becomes the prompt", async () => {
    page = await open({}, (context) =>
      context.addInitScript(() => {
        const port = { onmidimessage: null as ((event: unknown) => void) | null };
        const access = { inputs: new Map([["stub", port]]), onstatechange: null };
        Object.assign(navigator, { requestMIDIAccess: () => Promise.resolve(access) });
        Object.assign(window, {
          listening: () => port.onmidimessage !== null,
          midi: (...data: number[]) => port.onmidimessage?.({ data: Uint8Array.from(data), timeStamp: performance.now() }),
        });
      }),
    );
    const midi = (...data: number[]): Promise<void> =>
      page.evaluate((sent) => (window as never as { midi: (...data: number[]) => void }).midi(...sent), data);
    await page.click(".bar [data-do=record]");
    await page.waitForFunction(() => (window as never as { listening: () => boolean }).listening());
    await midi(0x90, 60, 90);
    await midi(0xb0, 64, 127);
    await page.waitForTimeout(150);
    await midi(0x80, 60, 0);
    await midi(0x90, 67, 40);
    await page.waitForTimeout(150);
    await midi(0x90, 67, 0);
    await midi(0xb0, 64, 0);
    await page.click(".bar [data-do=record]");
    await page.waitForSelector(".take");
    const { forest, music } = await kept(page);
    expect(forest.takes[0]).toMatchObject({ kind: "played", parent: null });
    const played = music[forest.takes[0]!.id]!;
    expect(played).toMatchObject({ pitch: [60, 67], velocity: [90, 40] });
    expect(played.onset[0]).toBe(0);
    expect(played.pedalDown).toHaveLength(1);
    expect(played.pedalUp[0]!).toBeGreaterThan(played.onset[1]!);
  });

  test("so do the computer's keys, and Continue takes them up", async () => {
    page = await open();
    await lasting(page, 2);
    for (const key of ["a", "d", "g"]) {
      await page.keyboard.down(key);
      await page.waitForTimeout(90);
      await page.keyboard.up(key);
    }
    await page.click("[data-do=continue]");
    await made(page);
    const { forest, music } = await kept(page);
    expect(forest.takes.map((take) => take.kind)).toEqual(["played", "continued"]);
    expect(music[forest.takes[0]!.id]!.pitch).toEqual([60, 64, 67]);
    expect(music[forest.takes[1]!.id]!.pitch.slice(0, 3)).toEqual([60, 64, 67]);
  });
});
