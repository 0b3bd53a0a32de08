/** The map of a library in the studio: its files, and a file from elsewhere, become prompts. tests/studio/test_e2e.py serves it. */

/// <reference types="node" />

import type { FrameLocator, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { close, drop, kept, open, text, troubles, WEBGL } from "../studio";

let page: Page;
let map: FrameLocator;

beforeAll(async () => {
  page = await open({ reducedMotion: "reduce", viewport: { width: 900, height: 600 } }, undefined, WEBGL);
  map = page.frameLocator("#library iframe");
});
afterAll(close);

const takes = async (): Promise<string[]> => (await kept(page)).forest.takes.map((take) => take.name);

test("a file is found on the map and heard; the moment of a neighbour that is like it becomes a prompt of 15 seconds", async () => {
  await page.click("[data-do=library]");
  await map.locator("partimento-atlas[data-drawn=true]").waitFor();
  expect(await text(page, "#library h2")).toBe("mine: 10 files");
  await map.locator("input[type=search]").fill("piece 7");
  await map.locator("#list button").first().click();
  await expect.poll(() => map.locator("#near li").count()).toBe(8);
  expect(await map.locator("#how").innerText()).toContain("partimento library find");
  const heard = map.locator("partimento-player output");
  await expect.poll(() => heard.innerText()).toMatch(/^0:0[1-9]/);
  const neighbour = map.locator("#near li").first();
  expect(await neighbour.locator("span").last().innerText()).toMatch(/^similarity (0|-0|1)\.\d\d$/);
  const [title] = (await neighbour.locator("button").first().innerText()).split("\n");
  await neighbour.getByText("Hear").click();
  await expect.poll(() => map.locator("#heard").innerText()).toMatch(`${title}, from 0:`);
  await neighbour.getByText("15 s as prompt").click();
  await expect.poll(takes).toEqual([expect.stringMatching(`^${title}, from 0:\\d\\d$`)]);
  expect(await page.locator("#library").isVisible()).toBe(false);
  const { forest, music } = await kept(page);
  const { onset } = music[forest.takes[0]!.id]!;
  expect(onset.length).toBeGreaterThan(0);
  expect(Math.max(...onset)).toBeLessThan(15);
});

test("a file that is dropped on the map is placed, with its neighbours, and becomes a prompt; so is the take that is shown", async () => {
  await page.keyboard.press("l");
  const element = map.locator("main");
  await element.waitFor();
  await drop(page, "nocturne.mid", undefined, element);
  await expect.poll(() => map.locator("h2").innerText()).toBe("nocturne");
  await expect.poll(() => map.locator("#near li").count()).toBe(8);
  expect(await map.locator("#pin span").innerText()).toBe("nocturne");
  await map.getByText("Use as prompt").click();
  await expect.poll(takes).toEqual([expect.anything(), "nocturne"]);
  await expect.poll(() => text(page, "#title")).toBe("nocturne");

  await page.keyboard.press("l");
  await page.click("[data-do=place-take]");
  await expect.poll(() => map.locator("#legend button").last().innerText()).toBe("not known\n2");
  await drop(page, "broken.mid", Buffer.from("no music"), element);
  await expect.poll(() => map.locator("#said").innerText()).toContain("broken.mid: ");
  await map.locator("input[type=search]").press("Escape");
  await expect.poll(() => page.locator("#library").isVisible()).toBe(false);
});

test("nothing was forbidden on the way, but what was refused", () => {
  expect(troubles.get(page)!.filter((trouble) => !trouble.includes("422"))).toEqual([]);
});
