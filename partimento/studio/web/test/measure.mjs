/**
 * How quick the page is, in Chromium: prints one line of JSON. benchmarks/studio/page.py serves the studio and runs this.
 *
 *     node test/measure.mjs http://127.0.0.1:7860/ many.mid /usr/bin/chromium
 */

import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [address, file, executablePath] = process.argv.slice(2);
const args = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync".split(" ");
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
await page.goto(address);
await page.waitForSelector("body[data-online=true]");

/** Milliseconds from the drop to the frame that shows notes; the median of several. */
const base64 = readFileSync(file).toString("base64");
const drops = [];
for (let i = 0; i < 7; i++) {
  await page.waitForTimeout(1000); // what is decoded and counted behind the picture is no part of it
  drops.push(
    await page.evaluate(async (text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], "many.mid"));
      const takes = document.querySelectorAll(".take").length;
      const begun = performance.now();
      document.querySelector("main").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
      while (document.querySelectorAll(".take").length === takes) await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame); // the roll paints in the frame after the page has changed
      return performance.now() - begun;
    }, base64),
  );
}

/** Milliseconds between frames while `act` runs in every one of them. */
const frames = (act) =>
  page.evaluate(
    async ([text, count]) => {
      const act = new Function("i", text);
      const stamps = [];
      for (let i = 0; i < count; i++) {
        act(i);
        stamps.push(await new Promise(requestAnimationFrame));
      }
      return stamps.slice(1).map((stamp, i) => stamp - stamps[i]);
    },
    [act, 300],
  );

for (let i = 0; i < 12; i++) await page.click("[data-do=zoom-out]"); // all 5,000 notes are to be seen
const wheel = `document.querySelector("partimento-roll").dispatchEvent(
  new WheelEvent("wheel", { deltaX: i % 100 < 50 ? 4 : -4, bubbles: true, cancelable: true }))`;
const still = await frames("");
const scrolling = await frames(wheel);
await page.keyboard.press("Space");
await page.waitForSelector("[data-do=play][aria-pressed=true]");
const playing = await frames("");
const both = await frames(wheel);

const sorted = (values) => [...values].sort((a, b) => a - b);
const summary = (values) => ({ median: sorted(values)[values.length >> 1], p95: sorted(values)[Math.floor(values.length * 0.95)] });
const result = { drop: summary(drops), still: summary(still), scrolling: summary(scrolling), playing: summary(playing), both: summary(both) };
console.log(JSON.stringify(result));
await browser.close();
