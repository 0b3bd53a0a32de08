/** What is taken home, and that everybody can use the page: what the user does and what must happen. */

/// <reference types="node" />

import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { readMidi } from "../../../src/player/smf";
import { close, drop, exported, FILES, kept, lasting, made, open, opened, troubles } from "../studio";

let page: Page;

afterEach(async () => {
  expect(troubles.get(page)).toEqual([]);
  await page.context().close();
});
afterAll(close);

const bytes = (buffer: Buffer): ArrayBuffer => Uint8Array.from(buffer).buffer;

describe("export", () => {
  test("MIDI of all and of the reply, sound, JSON that can be opened again, and a page that plays it", async () => {
    page = await opened();
    await lasting(page, 3);
    await page.click("[data-do=continue]");
    await made(page);
    await expect.poll(async () => Object.keys((await kept(page)).music).length).toBe(2);
    const { forest, music } = await kept(page);
    const reply = forest.takes[1]!;
    const whole = readMidi(bytes((await exported(page, "mid")).bytes));
    expect(whole.pitch.length).toBe(music[reply.id]!.pitch.length);
    const alone = readMidi(bytes((await exported(page, "reply")).bytes));
    expect(alone.pitch.length).toBe(music[reply.id]!.onset.filter((onset) => onset >= reply.from).length);
    const wav = (await exported(page, "wav")).bytes;
    expect(wav.subarray(0, 4).toString()).toBe("RIFF");
    const json = await exported(page, "json");
    expect(JSON.parse(json.bytes.toString())).toMatchObject({ format: "partimento take", made: { seed: 1 } });

    const html = await exported(page, "html");
    const elsewhere = await page.context().newPage();
    await elsewhere.route("**/*", (route) => (route.request().url().startsWith("http://elsewhere") ? route.fulfill({ body: html.bytes.toString(), contentType: "text/html" }) : route.abort()));
    await elsewhere.goto("http://elsewhere/take.html");
    await elsewhere.locator("partimento-player button").click();
    const time = elsewhere.locator("partimento-player output");
    await expect.poll(() => time.innerText()).toMatch(/^0:0[1-9]/);
    await elsewhere.close();

    await drop(page, json.name, json.bytes);
    await expect.poll(() => page.locator(".take").count()).toBe(3);
    await expect.poll(async () => (await kept(page)).forest.takes.length).toBe(3);
    const again = await kept(page);
    expect(again.music[again.forest.takes[2]!.id]!.pitch).toEqual(music[reply.id]!.pitch);
  });

  test("<partimento-player> plays a file on a page of its own", async () => {
    page = await open();
    const script = await (await page.request.get(new URL("player.js", page.url()).href)).body();
    const other = await page.context().newPage();
    await other.route("http://elsewhere/**", async (route) => {
      const path = decodeURIComponent(new URL(route.request().url()).pathname);
      if (path.endsWith(".js")) return route.fulfill({ body: script, contentType: "text/javascript" });
      if (path.endsWith(".mid")) return route.fulfill({ body: readFileSync(`${FILES}/nocturne.mid`) });
      if (path.includes("/samples/")) return route.fulfill({ body: await (await page.request.get(new URL(`samples/${encodeURIComponent(path.split("/").at(-1)!)}`, page.url()).href)).body() });
      return route.fulfill({ contentType: "text/html", body: '<script src="/lib/player.js"></script><partimento-player src="/x.mid"></partimento-player>' });
    });
    await other.goto("http://elsewhere/");
    await other.locator("partimento-player button").click();
    await expect.poll(() => other.locator("partimento-player output").innerText()).toMatch(/^0:0[1-9]/);
  });
});

describe("for everybody", () => {
  test("every control has a name and can be reached with the keyboard", async () => {
    page = await opened();
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("button, select, input, [role=slider], [role=treeitem]")]
        .filter((element) => element.checkVisibility())
        .filter((element) => !(element.textContent?.trim() || element.ariaLabel || (element as HTMLInputElement).labels?.length))
        .map((element) => element.outerHTML),
    );
    expect(nameless).toEqual([]);
    const reached = new Set<string>();
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(() => document.activeElement?.getAttribute("data-do") ?? document.activeElement?.className ?? ""));
      reached.add(await page.evaluate(() => document.activeElement?.id ?? ""));
    }
    for (const wanted of ["open", "record", "export-menu", "handle prompt-handle", "handle place-handle", "take", "play", "seconds", "variations", "knob", "continue"]) {
      expect(reached).toContain(wanted);
    }
    // A button that has the focus is pressed by Space; after a click of the mouse Space plays.
    await page.locator("[data-do=help]").focus();
    await page.keyboard.press("Space");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("Enter");
    await page.click("[data-do=zoom-in]");
    await page.keyboard.press("Space");
    await expect.poll(() => page.getAttribute("[data-do=play]", "aria-pressed")).toBe("true");
  });

  test.each(["light", "dark"] as const)("it is usable at 380 pixels, %s", async (colorScheme) => {
    page = await opened("nocturne.mid", { viewport: { width: 380, height: 760 }, colorScheme });
    const { wide, ground } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth,
      ground: getComputedStyle(document.body).backgroundColor,
    }));
    expect(wide).toBeLessThanOrEqual(380);
    expect(/\d+/.exec(ground)![0].length > 2).toBe(colorScheme === "light");
    await page.locator("[data-do=continue]").click({ trial: true });
    await page.click("[data-do=export-menu]");
    const menu = (await page.locator(".menu [role=menu]").boundingBox())!;
    expect(menu.x).toBeGreaterThanOrEqual(0);
    expect(menu.x + menu.width).toBeLessThanOrEqual(380);
    await page.keyboard.press("Escape");
    await page.click("[data-do=continue]");
    await expect.poll(() => page.getAttribute("[data-do=play]", "aria-pressed")).toBe("true");
    await expect.poll(() => page.locator(".place-handle").getAttribute("class")).not.toContain("away"); // it is followed
  });
});
