/** Takes before and after a restart of the server; tests/studio/test_e2e.py restarts it in between. */

/// <reference types="node" />

import { expect, test } from "vitest";
import { drop, kept, lasting, made, openKept } from "./studio";

const profile = process.env["PARTIMENTO_PROFILE"] ?? "";

test("before: a take is made", async () => {
  const [context, page] = await openKept(profile);
  await drop(page, "nocturne.mid");
  await page.waitForSelector(".take");
  await lasting(page, 2);
  await page.click("[data-do=continue]");
  await made(page);
  await expect.poll(async () => (await kept(page)).forest.takes.length).toBe(2);
  await context.close();
});

test("after: it is there, and goes on", async () => {
  const [context, page] = await openKept(profile);
  await expect.poll(() => page.locator(".take").count()).toBe(2);
  const { forest } = await kept(page);
  await lasting(page, 2);
  await page.click("[data-do=continue]");
  await made(page);
  await expect.poll(async () => (await kept(page)).forest.takes.at(-1)!.parent).toBe(forest.current);
  await context.close();
});
