/** A listening test as a listener takes it. tests/studio/listening/test_page.py serves a study of tones and runs this. */

/// <reference types="node" />

import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

const { PARTIMENTO_LISTEN: ADDRESS, PARTIMENTO_CHROMIUM: executablePath } = process.env as Record<string, string>;
const ARGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync";

let browser: Browser;
const troubles: string[] = [];

/** A browser of somebody else, that notes when sounds start. */
async function context(): Promise<BrowserContext> {
  const made = await browser.newContext({ viewport: { width: 380, height: 740 }, colorScheme: "dark" });
  await made.addInitScript(() => {
    const started: [number, number][] = [];
    Object.assign(window, { started });
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function (when = 0, offset = 0) {
      started.push([when, offset]);
      start.call(this, when, offset);
    };
  });
  return made;
}

async function opened(from: BrowserContext): Promise<Page> {
  const page = await from.newPage();
  page.setDefaultTimeout(120_000);
  page.on("pageerror", (error) => troubles.push(error.message));
  page.on("console", (message) => void (message.type() === "error" && troubles.push(message.text())));
  await page.goto(ADDRESS!);
  return page;
}

/** Consent, and any answers to the headphone test. */
async function begun(page: Page): Promise<void> {
  await page.waitForSelector("body[data-section=consent]");
  expect(await page.locator("#begin").isDisabled()).toBe(true);
  await page.check("#agree");
  await page.click("#begin");
  for (const question of [1, 2]) {
    await page.waitForFunction((text) => document.querySelector("#question-place")?.textContent?.startsWith(text), `Question ${question}`);
    await page.waitForSelector("#noises:enabled");
    await page.keyboard.press("Space");
    await page.waitForSelector("[data-noise='1']:enabled");
    await page.keyboard.press("2");
  }
  await ready(page, 1);
}

const ready = (page: Page, number: number) => page.waitForFunction((text) => document.querySelector("#place")?.textContent === text && !document.querySelector<HTMLButtonElement>("#play")!.disabled, `Comparison ${number} of 5`);

/** Hears the continuation of both sides by keys, until the answer may be given. */
async function heard(page: Page): Promise<void> {
  await page.keyboard.press("c");
  await page.waitForFunction(() => !document.querySelector("#heard")!.textContent!.includes("of A"));
  await page.keyboard.press("b");
  await page.waitForSelector("[data-side=b][aria-pressed=true]");
  await page.waitForSelector("[data-choice=none]:enabled");
}

const starts = (page: Page) => page.evaluate(() => (window as never as { started: [number, number][] }).started);

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: executablePath!, args: ARGS.split(" ") });
});

afterAll(async () => {
  await browser.close();
});

test("two listeners from consent on, one of them to the end, by keys, and over a reload", async () => {
  const mine = await context();
  const page = await opened(mine);
  await begun(page);
  const other = await opened(await context());
  await begun(other);

  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(380);
  expect(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe("rgb(27, 26, 24)");
  expect(await page.locator("[data-choice=a]").isDisabled()).toBe(true);

  const before = (await starts(page)).length;
  await heard(page);
  const started = (await starts(page)).slice(before);
  expect(started.length).toBe(2); // both at once; a switch starts nothing anew
  expect(started[0]).toEqual(started[1]);
  expect(started[0]![1]).toBe(2); // where the continuation begins

  await page.keyboard.press("1");
  await page.waitForSelector("[data-choice=a][aria-pressed=true]");
  await page.fill("#reason", "it knows where it goes");
  await page.locator("#reason").blur();
  await page.keyboard.press("Enter");
  await ready(page, 2);
  expect(await page.inputValue("#reason")).toBe("");

  await page.reload();
  await ready(page, 2); // where they were
  for (const [number, key] of [[2, "2"], [3, "3"], [4, "1"], [5, "2"]] as const) {
    await ready(page, number);
    await heard(page);
    await page.keyboard.press(key);
    await page.waitForSelector("#next:enabled");
    await page.keyboard.press("Enter");
  }
  await page.waitForSelector("body[data-section=done]");
  expect(troubles).toEqual([]);
});
