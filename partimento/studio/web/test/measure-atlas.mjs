/**
 * How quick a map's page is, in Chromium: prints one line of JSON. benchmarks/library/page.py makes the page and runs this.
 *
 *     node test/measure-atlas.mjs atlas.html /usr/bin/chromium
 */

import { chromium } from "playwright-core";

const [file, executablePath] = process.argv.slice(2);
const args = "--headless --no-sandbox --disable-quic --no-first-run --disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist";
const browser = await chromium.launch({ executablePath, args: args.split(" ") });
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
const begun = Date.now();
await page.goto(`file://${file}`);
await page.waitForSelector("partimento-atlas[data-drawn=true]");
const opened = Date.now() - begun;
const renderer = await page.evaluate(() => {
  const gl = document.createElement("canvas").getContext("webgl");
  return gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info").UNMASKED_RENDERER_WEBGL);
});

/** Seconds that all processes of the browser have computed: unlike frames, these do not hang on what else the machine does. */
const devtools = await browser.newBrowserCDPSession();
const computed = async () => (await devtools.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);

/** Seconds that the page's own thread has computed, and its script alone: without what draws, which is another process. */
const thread = await page.context().newCDPSession(page);
await thread.send("Performance.enable", { timeDomain: "threadTicks" });
const own = async () => {
  const { metrics } = await thread.send("Performance.getMetrics");
  return ["TaskDuration", "ScriptDuration"].map((name) => metrics.find((metric) => metric.name === name).value);
};

/** Milliseconds between frames, and computed for each, while an event goes to the canvas in every one of them. */
async function frames(act, count) {
  const before = await computed();
  const ownBefore = await own();
  const between = await page.evaluate(
    async ([text, count]) => {
      const canvas = document.querySelector("partimento-atlas").shadowRoot.querySelector("canvas");
      const box = canvas.getBoundingClientRect();
      const mouse = (type, x, y, more = {}) =>
        (type === "mouseup" ? window : canvas).dispatchEvent(
          new (type === "wheel" ? WheelEvent : MouseEvent)(type, { clientX: box.x + x, clientY: box.y + y, bubbles: true, composed: true, cancelable: true, ...more }),
        );
      const act = new Function("i", "mouse", text);
      const stamps = [];
      for (let i = 0; i < count; i++) {
        act(i, mouse);
        stamps.push(await new Promise(requestAnimationFrame));
      }
      return stamps.slice(1).map((stamp, i) => stamp - stamps[i]);
    },
    [act, count],
  );
  const sorted = between.sort((a, b) => a - b);
  const work = (1000 * ((await computed()) - before)) / count;
  const [task, script] = (await own()).map((seconds, i) => (1000 * (seconds - ownBefore[i])) / count);
  return { median: sorted[sorted.length >> 1], p95: sorted[Math.floor(sorted.length * 0.95)], computed: work, task, script };
}

const found = {
  still: await frames("", 120),
  hovering: await frames("mouse('mousemove', 200 + 5 * i, 300 + 2 * i)", 120),
  zooming: await frames("mouse('wheel', 500, 400, { deltaY: i % 20 < 10 ? -8 : 8 })", 40),
};
await frames("mouse('mousedown', 300, 300, { button: 0, buttons: 1 })", 1);
found.moving = await frames("mouse('mousemove', 300 + 3 * i, 300 + i, { button: 0, buttons: 1 })", 40);
console.log(JSON.stringify({ renderer, opened, frames: found }));
await browser.close();
