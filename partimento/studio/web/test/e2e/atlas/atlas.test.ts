/** What people do on a map's page, opened from the disk. tests/library/atlas/test_page.py makes the page and runs this. */

/// <reference types="node" />

import { readFileSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

const { PARTIMENTO_MAP: MAP, PARTIMENTO_CHROMIUM: executablePath } = process.env as Record<string, string>;
const ARGS = "--headless --no-sandbox --disable-quic --no-first-run --disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist";

let browser: Browser;
let page: Page;
const troubles: string[] = [];

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: executablePath!, args: ARGS.split(" ") });
  page = await browser.newPage({ viewport: { width: 900, height: 600 }, reducedMotion: "reduce" });
  page.on("pageerror", (error) => troubles.push(error.message));
  page.on("request", (request) => {
    if (/^(https?|file):/.test(request.url()) && request.url() !== `file://${MAP}`) troubles.push(`asked for ${request.url()}`);
  });
  await page.goto(`file://${MAP}`);
  await page.waitForSelector("partimento-atlas[data-drawn=true]");
});

afterAll(async () => {
  await browser.close();
});

/** Moves around all of the map with the button held. */
async function around(): Promise<void> {
  const { x, y, width, height } = (await page.locator("canvas[aria-label]").boundingBox())!;
  const corners = [[0.02, 0.02], [0.98, 0.02], [0.98, 0.98], [0.02, 0.98], [0.02, 0.02]] as const;
  await page.mouse.move(x + width * 0.02, y + height * 0.02);
  await page.mouse.down();
  for (const [right, down] of corners) await page.mouse.move(x + width * right, y + height * down, { steps: 8 });
  await page.mouse.up();
}

test("a file is found, chosen, played from inside the page, and its neighbours are named", async () => {
  await page.locator("input[type=search]").fill("piece 7");
  await page.locator("#list button").first().click();
  await expect.poll(() => page.locator("h2").innerText()).toBe("Piece 7");
  expect(await page.locator("#facts").innerText()).toBe("<b>bach</b>");
  expect(await page.locator("#near button").count()).toBe(8);
  const time = page.locator("partimento-player output");
  await expect.poll(() => time.innerText()).toMatch(/^0:0[1-9]/);
  const next = await page.locator("#near button").first().innerText();
  await page.locator("#near button").first().click();
  await expect.poll(() => page.locator("h2").innerText()).toBe(next.split("\n")[0]);
});

test("a lasso makes a list, of what is shown only, and the list can be saved", async () => {
  await page.locator("#all").click();
  await page.locator("#lasso").click();
  await around();
  await expect.poll(() => page.locator("#count").innerText()).toBe("40 files in the lasso");
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#save").click()]);
  const names = readFileSync(await download.path(), "utf-8").trimEnd().split("\n");
  expect(new Set(names)).toEqual(new Set(Array.from({ length: 40 }, (_, i) => `music/${i}.mid`)));
  const bach = page.locator("#legend button").first();
  expect(await bach.innerText()).toBe("<b>bach</b>\n20");
  await bach.click();
  await page.waitForSelector("partimento-atlas[data-drawn=true]");
  expect(await bach.getAttribute("aria-pressed")).toBe("false");
  await page.locator("#lasso").click();
  await around();
  await expect.poll(() => page.locator("#count").innerText()).toBe("20 files in the lasso");
});

test("nothing went wrong, and nothing was asked for", () => {
  expect(troubles).toEqual([]);
});
