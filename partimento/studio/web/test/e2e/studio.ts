/**
 * A browser with the studio in it, for tests that do what people do. tests/studio/test_e2e.py serves it and says where.
 *
 *     const page = await studio.open();
 *     await drop(page, "nocturne.mid");
 */

/// <reference types="node" />

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";

function environment(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run these tests with: python -m pytest tests/studio/test_e2e.py`);
  return value;
}

export const ADDRESS = environment("PARTIMENTO_STUDIO");
export const FILES = environment("PARTIMENTO_FILES");
const OPTIONS = {
  executablePath: environment("PARTIMENTO_CHROMIUM"),
  args: [
    ..."--headless --no-sandbox --disable-quic --no-first-run --disable-sync".split(" "),
    ..."--disable-background-networking --disable-component-update".split(" "),
  ],
};
const PLAIN = ["--disable-gpu"];
/** What a map needs, which is drawn by WebGL: without a graphics processor it is computed. */
export const WEBGL = "--use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist".split(" ");

let browser: Browser | undefined;

/** A page of its own, with a database of its own. What goes wrong in it is collected in `troubles`. */
export async function open(options: BrowserContextOptions = {}, before?: (context: BrowserContext) => Promise<unknown>, drawing = PLAIN): Promise<Page> {
  browser ??= await chromium.launch({ ...OPTIONS, args: [...OPTIONS.args, ...drawing] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options });
  await before?.(context);
  return started(await context.newPage());
}

/** A browser whose database outlives it, in a folder. */
export async function openKept(profile: string): Promise<[BrowserContext, Page]> {
  const context = await chromium.launchPersistentContext(profile, { ...OPTIONS, args: [...OPTIONS.args, ...PLAIN] });
  return [context, await started(await context.newPage())];
}

export const troubles = new WeakMap<Page, string[]>();

async function started(page: Page): Promise<Page> {
  const found: string[] = [];
  troubles.set(page, found);
  page.on("pageerror", (error) => found.push(error.message));
  page.on("console", (message) => {
    // A browser says of every 404 that it is an error; the file that the command was not given is none.
    if (message.type() === "error" && !message.location().url.endsWith("/performances/opened")) found.push(message.text());
  });
  page.setDefaultTimeout(60_000);
  await page.goto(ADDRESS);
  await page.waitForSelector("body[data-online=true]");
  return page;
}

export async function close(): Promise<void> {
  await browser?.close();
}

/** Drops a file on the middle of the page, or on something else, as a hand does. */
export async function drop(page: Page, name: string, bytes: Buffer = readFileSync(`${FILES}/${name}`), on: Locator = page.locator("main")): Promise<void> {
  const data = await on.evaluateHandle(
    (_element, { name, base64 }) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type: "audio/midi" }));
      return transfer;
    },
    { name: basename(name), base64: bytes.toString("base64") },
  );
  await on.dispatchEvent("dragover", { dataTransfer: data });
  await on.dispatchEvent("drop", { dataTransfer: data });
}

export async function opened(name = "nocturne.mid", options: BrowserContextOptions = {}, before?: (context: BrowserContext) => Promise<unknown>): Promise<Page> {
  const page = await open(options, before);
  await drop(page, name);
  await page.waitForSelector(".take");
  return page;
}

export function text(page: Page, selector: string): Promise<string> {
  return page.locator(selector).first().innerText();
}

/** Seconds that the page says it is at. */
export async function position(page: Page): Promise<number> {
  const [minutes, seconds] = (await text(page, "#time")).split(":") as [string, string];
  return 60 * Number(minutes) + Number(seconds);
}

export interface Kept {
  forest: { takes: { id: string; parent: string | null; kind: string; name: string; starred: boolean; from: number; to: number | null; made: { seed: number; settings: Record<string, unknown> } | null }[]; current: string | null };
  music: Record<string, { onset: number[]; pitch: number[]; duration: number[]; velocity: number[]; pedalDown: number[]; pedalUp: number[] }>;
}

/** What the browser's database holds. */
export function kept(page: Page): Promise<Kept> {
  return page.evaluate(async () => {
    const done = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(new Error("the database refused"));
      });
    const database = await done(indexedDB.open("partimento"));
    const transaction = database.transaction(["forest", "music"]);
    const forest = await done(transaction.objectStore("forest").get("now"));
    const store = transaction.objectStore("music");
    const keys = (await done(store.getAllKeys())) as string[];
    const music: Record<string, unknown> = {};
    for (const key of keys) music[key] = await done(store.get(key));
    database.close();
    return { forest, music } as never;
  });
}

/** Waits until the last key or click is to be seen: the page shows it one frame later. */
export async function shown(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/** Waits until the server has made what was asked for. */
export async function made(page: Page): Promise<void> {
  await shown(page);
  await page.waitForFunction(() => document.querySelector("[data-do=continue]")?.textContent === "Continue", undefined, { timeout: 120_000 });
}

/** Downloads what a menu item of Export gives. */
export async function exported(page: Page, item: string): Promise<{ name: string; bytes: Buffer }> {
  await page.click("[data-do=export-menu]");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(`[data-export=${item}]`)]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

/** Quick: two seconds of music, so that a test waits for little. */
export async function lasting(page: Page, seconds: number): Promise<void> {
  await page.evaluate((value) => {
    const select = document.querySelector<HTMLSelectElement>("#seconds")!;
    select.add(new Option(`${value} s`, String(value)));
    select.value = String(value);
  }, seconds);
}
