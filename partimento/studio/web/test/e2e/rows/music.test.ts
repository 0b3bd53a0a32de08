/** A file is seen, heard and continued: what the user does and what must happen, in a browser, against the server. */

/// <reference types="node" />

import type { Page } from "playwright-core";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { close, drop, exported, kept, lasting, made, open, opened, position, shown, text, troubles } from "../studio";

let page: Page;

afterEach(async () => {
  expect(troubles.get(page)).toEqual([]);
  await page.context().close();
});
afterAll(close);

describe("a file is dropped", () => {
  test("its roll is there", async () => {
    page = await opened("many.mid");
    const takes = await kept(page);
    expect(takes.forest.takes).toMatchObject([{ kind: "opened", name: "many.mid" }]);
    expect(Object.values(takes.music)[0]!.onset).toHaveLength(5000);
    expect(await page.locator("#empty").isVisible()).toBe(false);
    // Blue of notes is in the picture that the canvas shows.
    const blue = await page.evaluate(() => {
      const canvas = document.querySelector("canvas")!;
      const { data } = canvas.getContext("2d")!.getImageData(60, 30, canvas.width - 60, canvas.height - 60);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 2]! > data[i]! + 40) count++;
      return count;
    });
    expect(blue).toBeGreaterThan(500);
  });

  test("a refused file shows the reader's reason", async () => {
    page = await open();
    await drop(page, "shopping.mid", Buffer.from("milk, bread, strings"));
    await page.waitForSelector("#note:not([hidden])");
    expect(await text(page, "#note")).toMatch(/^shopping\.mid: .*MIDI/);
    expect(await page.locator(".take").count()).toBe(0);
    troubles.get(page)!.length = 0; // the browser itself says 422
  });
});

describe("the prompt's end", () => {
  test("is dragged, snaps to a gap, and free with Alt; seconds, notes and tokens are shown", async () => {
    page = await opened();
    const handle = page.locator(".prompt-handle");
    const music = Object.values((await kept(page)).music)[0]!;
    const sheet = (await page.locator("partimento-roll").boundingBox())!;
    const drag = async (x: number): Promise<number> => {
      const box = (await handle.boundingBox())!;
      await page.mouse.move(box.x + box.width / 2, box.y + 60);
      await page.mouse.down();
      await page.mouse.move(sheet.x + x, sheet.y + 60, { steps: 4 });
      await page.mouse.up();
      await shown(page);
      return Number(await handle.getAttribute("aria-valuenow"));
    };
    const snapped = await drag(400);
    const next = music.onset.find((onset) => onset >= snapped)!;
    expect(next - snapped).toBeLessThan(0.011);
    const notes = music.onset.filter((onset) => onset < snapped).length;
    await expect.poll(() => text(page, "#prompt-facts")).toMatch(new RegExp(`^Prompt: ${snapped.toFixed(1)} s · ${notes} notes · \\d+ tokens$`));
    await page.keyboard.down("Alt");
    const free = await drag(431);
    const other = await drag(437);
    await page.keyboard.up("Alt");
    expect(other - free).toBeGreaterThan(0);
    expect(other - free).toBeLessThan(0.5);
    await handle.focus();
    await page.keyboard.press("ArrowRight");
    await shown(page);
    const after = Number(await handle.getAttribute("aria-valuenow"));
    expect(music.onset.find((onset) => onset >= after)! - after).toBeLessThan(0.011);
    expect(await handle.getAttribute("aria-valuetext")).toMatch(/s · \d+ notes/);
  });
});

describe("Space", () => {
  test("plays with playhead and pedal lit, and what sounds is what render makes", async () => {
    page = await opened("nocturne.mid", {}, (context) =>
      context.addInitScript(() => {
        const blocks: { when: number; left: number[] }[] = [];
        Object.assign(window, { blocks });
        const start = AudioBufferSourceNode.prototype.start;
        AudioBufferSourceNode.prototype.start = function (when = 0, ...rest) {
          if (this.buffer && this.buffer.length <= 4800) blocks.push({ when, left: [...this.buffer.getChannelData(0)] });
          start.call(this, when, ...rest);
        };
      }),
    );
    await page.keyboard.press("Space");
    await page.waitForFunction(() => (window as never as { blocks: unknown[] }).blocks.length > 30);
    expect(await page.getAttribute("[data-do=play]", "aria-pressed")).toBe("true");
    const lit = (): Promise<number> =>
      page.evaluate(() => {
        const canvas = document.querySelectorAll("canvas")[1]!;
        const { data } = canvas.getContext("2d")!.getImageData(46, canvas.height - 24, canvas.width - 46, 24);
        let green = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i + 3]! > 200 && data[i + 1]! > data[i]! + 50) green++;
        return green;
      });
    await expect.poll(lit).toBeGreaterThan(50);
    const before = await position(page);
    await page.keyboard.press("Space");
    await expect.poll(() => page.getAttribute("[data-do=play]", "aria-pressed")).toBe("false");
    expect(before).toBeGreaterThan(0.5);
    const sounded = await page.evaluate(() =>
      (window as never as { blocks: { left: number[] }[] }).blocks.flatMap((block) => block.left),
    );
    const { bytes: wav } = await exported(page, "wav");
    const samples = new Int16Array(new Uint8Array(wav.subarray(wav.indexOf("data") + 8)).buffer.slice(0, sounded.length * 4));
    const rendered = sounded.map((_, i) => samples[2 * i]! / 32768);
    // The player cannot know the loudest moment: its constant is another than the file's.
    const dot = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    const scale = dot(sounded, rendered) / dot(sounded, sounded);
    const error = Math.sqrt(sounded.reduce((sum, value, i) => sum + (scale * value - rendered[i]!) ** 2, 0) / sounded.length);
    expect(error).toBeLessThan(1e-3);
    expect(Math.sqrt(dot(rendered, rendered) / rendered.length)).toBeGreaterThan(0.01);
  });
});

describe("Continue", () => {
  test("notes appear and play while they are made, how far ahead is shown; Stop keeps them", async () => {
    page = await opened();
    await page.keyboard.press("c");
    await page.waitForFunction(() => / s ahead$/.test(document.querySelector("#ahead")!.textContent ?? ""));
    await expect.poll(() => page.getAttribute("[data-do=play]", "aria-pressed")).toBe("true");
    const at = await position(page);
    await expect.poll(() => position(page)).toBeGreaterThan(at + 0.5);
    expect(await text(page, "[data-do=continue]")).toBe("Stop");
    await page.click("[data-do=continue]");
    await made(page);
    await expect.poll(async () => (await kept(page)).forest.takes.length).toBe(2);
    const { forest, music } = await kept(page);
    const [file, reply] = forest.takes as [(typeof forest.takes)[0], (typeof forest.takes)[0]];
    expect(reply).toMatchObject({ kind: "continued", parent: file.id, made: { seed: 1 } });
    const prompt = music[file.id]!.onset.filter((onset) => onset < reply.from);
    expect(music[reply.id]!.onset.slice(0, prompt.length)).toEqual(prompt);
    expect(music[reply.id]!.onset.length).toBeGreaterThan(prompt.length);
    expect(music[reply.id]!.onset[prompt.length]).toBeGreaterThanOrEqual(reply.from);
  });

  test("variations stand in lanes, and keys change between them at the same moment", async () => {
    page = await opened();
    await lasting(page, 3);
    await page.fill("#variations", "3");
    await page.press("#variations", "Escape");
    await page.click("[data-do=continue]");
    await made(page);
    expect(await page.locator(".lane").count()).toBe(3);
    const { forest, music } = await kept(page);
    const replies = forest.takes.filter((take) => take.kind === "continued");
    expect(new Set(replies.map((take) => JSON.stringify(music[take.id]!.onset))).size).toBe(3);
    if ((await page.getAttribute("[data-do=play]", "aria-pressed")) === "true") await page.keyboard.press("Space");
    await page.locator(".place-handle").focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("Space");
    await expect.poll(() => page.getAttribute("[data-do=play]", "aria-pressed")).toBe("true");
    const [before, begun] = [await position(page), performance.now()];
    await page.keyboard.press("3");
    await expect.poll(() => page.locator(".lane").nth(2).getAttribute("aria-checked")).toBe("true");
    const [after, passed] = [await position(page), (performance.now() - begun) / 1000];
    expect(await page.getAttribute("[data-do=play]", "aria-pressed")).toBe("true");
    expect(after).toBeGreaterThanOrEqual(before);
    expect(after - before).toBeLessThan(passed + 5); // it went on and did not leap; what is shown may be some frames old
    expect(await text(page, "#title")).toContain(replies[2]!.name);
  });

  test("the knob decides temperature and note cut, and says so", async () => {
    page = await opened();
    await lasting(page, 1);
    const knob = page.locator(".knob");
    await knob.focus();
    const middle = await text(page, ".knob-numbers");
    await page.keyboard.press("Home");
    const tame = await text(page, ".knob-numbers");
    expect(tame).toMatch(/^temperature 0\.\d\d, note cut 0\.\d+$/);
    expect(tame).not.toBe(middle);
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowDown");
    expect(await text(page, ".knob-numbers")).toBe(tame);
    await page.click("[data-do=continue]");
    await made(page);
    const { forest } = await kept(page);
    const { temperature, min_p: cut } = forest.takes.at(-1)!.made!.settings as { temperature: number; min_p: number };
    expect(tame).toBe(`temperature ${temperature.toFixed(2)}, note cut ${cut.toFixed(3)}`);
  });
});
