/** Every row of what the user does and what must happen (docs/studio.md), in a browser, against the server. */

import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { readMidi } from "../../src/player/smf";
import { close, drop, exported, FILES, kept, lasting, made, open, opened, position, text, troubles } from "./studio";

let page: Page;

afterEach(async () => {
  expect(troubles.get(page)).toEqual([]);
  await page.context().close();
});
afterAll(close);

const bytes = (buffer: Buffer): ArrayBuffer => Uint8Array.from(buffer).buffer;

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
    const lit = await page.evaluate(() => {
      const canvas = document.querySelectorAll("canvas")[1]!;
      const { data } = canvas.getContext("2d")!.getImageData(46, canvas.height - 24, canvas.width - 46, 24);
      let green = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3]! > 200 && data[i + 1]! > data[i]! + 50) green++;
      return green;
    });
    expect(lit).toBeGreaterThan(50);
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
    if ((await page.getAttribute("[data-do=play]", "aria-pressed")) === "false") await page.keyboard.press("Space");
    await expect.poll(() => page.getAttribute("[data-do=play]", "aria-pressed")).toBe("true");
    const before = await position(page);
    await page.keyboard.press("3");
    await expect.poll(() => page.locator(".lane").nth(2).getAttribute("aria-checked")).toBe("true");
    const after = await position(page);
    expect(await page.getAttribute("[data-do=play]", "aria-pressed")).toBe("true");
    expect(Math.abs(after - before)).toBeLessThan(1);
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

describe("takes", () => {
  test("a moment is clicked: again from here; star, rename, prune, undo", async () => {
    page = await opened();
    await lasting(page, 2);
    await page.click("[data-do=continue]");
    await made(page);
    await page.keyboard.press("0");
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
    await page.keyboard.type("the calm one");
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
          midi: (...data: number[]) => port.onmidimessage?.({ data: Uint8Array.from(data), timeStamp: performance.now() }),
        });
      }),
    );
    const midi = (...data: number[]): Promise<void> =>
      page.evaluate((sent) => (window as never as { midi: (...data: number[]) => void }).midi(...sent), data);
    await page.click(".bar [data-do=record]");
    await page.waitForTimeout(50);
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
