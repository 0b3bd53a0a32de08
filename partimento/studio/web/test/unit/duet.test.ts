/** Whose turn it is, as tests/live/test_hand_over.py reads it from the same list; and what an instrument is sent. */

/// <reference types="node" />

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type HandOver, type Kind, USUAL } from "../../src/input/hand-over";
import { type Clock, Turns } from "../../src/input/turns";
import { Instrument } from "../../src/sound/instrument";

interface Case {
  name: string;
  how: Partial<HandOver>;
  events: [number, Kind | "enter" | "answered", number, number][];
  turns: [number, string][];
}

const list = new URL("../../../../../tests/live/hand_over.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(list, "utf8")) as { cases: Case[] };

/** Goes where it is told, and calls what was to be called on the way. */
class Script implements Clock {
  #now = 0;
  #due: [number, () => void] | null = null;

  now(): number {
    return this.#now;
  }

  at(seconds: number, call: () => void): () => void {
    const due: [number, () => void] = [seconds, call];
    this.#due = due;
    return () => {
      if (this.#due === due) this.#due = null;
    };
  }

  goTo(seconds: number): void {
    while (this.#due && this.#due[0] <= seconds) {
      const [at, call] = this.#due;
      this.#due = null;
      this.#now = at;
      call();
    }
    this.#now = seconds;
  }
}

describe("turns change when the case says", () => {
  test.each(cases)("$name", ({ how, events, turns }) => {
    const clock = new Script();
    const changes: [number, string][] = [];
    const played = new Turns(
      {
        handOver: () => changes.push([clock.now(), "answers"]),
        listen: () => changes.push([clock.now(), "listens"]),
      },
      clock,
    );
    played.begin({ ...USUAL, ...how });
    for (const [at, what, number = 0, value = 0] of events) {
      clock.goTo(at);
      if (what === "enter") played.sign(at);
      else if (what === "answered") {
        played.answered();
        changes.push([at, "listens"]);
      } else played.hear(what, number, value, at);
    }
    clock.goTo(99);
    expect(changes).toEqual(turns.map(([at, who]) => [expect.closeTo(at, 9), who]));
  });
});

describe("an instrument", () => {
  function played(): { sent: [number, number[]][]; instrument: Instrument; held: Set<number>; go: (ms: number) => void } {
    const sent: [number, number[]][] = [];
    const held = new Set<number>();
    let now = 5000;
    const port = { send: (data: number[], at?: number) => void sent.push([at ?? now, data]) };
    return { sent, held, instrument: new Instrument(port, (pitch) => held.has(pitch), () => now), go: (ms) => (now = ms) };
  }

  test("is sent each message for when its second of the music comes, a little before", () => {
    const { sent, instrument, go } = played();
    instrument.plan([[10, 0x90, 60, 70], [10.05, 0xb0, 64, 127], [10.2, 0x80, 60, 0]]);
    instrument.tick(9.9);
    expect(sent).toEqual([]);
    go(5060);
    instrument.tick(9.955); // a clock of sound that is 5 ms behind its own course
    expect(sent).toEqual([[expect.closeTo(5100), [0x90, 60, 70]]]);
    go(5160);
    instrument.tick(10.06);
    instrument.plan([[10.21, 0x90, 62, 70]]);
    go(5200);
    instrument.tick(10.1);
    expect(sent.slice(1).map(([at, data]) => [Math.round(at), data])).toEqual([[5160, [0xb0, 64, 127]]]);
    go(5300);
    instrument.tick(10.2);
    expect(sent.slice(2).map(([at, data]) => [Math.round(at), data])).toEqual([[5300, [0x80, 60, 0]], [5310, [0x90, 62, 70]]]);
  });

  test("that is silenced lets go of what was sent, the pedal too, and of nothing else", () => {
    const { sent, instrument } = played();
    instrument.plan([[10, 0x90, 60, 70], [10.02, 0xb0, 64, 127], [10.03, 0x80, 60, 0], [10.04, 0x90, 62, 70], [12, 0x90, 64, 70]]);
    instrument.tick(10);
    sent.length = 0;
    instrument.silence();
    expect(sent.map(([at, data]) => [Math.round(at), data])).toEqual([[5041, [0x80, 62, 0]], [5041, [0xb0, 64, 0]]]);
    sent.length = 0;
    instrument.tick(12);
    instrument.silence();
    expect(sent).toEqual([]);
  });

  test("leaves alone a key that a person holds", () => {
    const { sent, instrument, held } = played();
    held.add(60);
    instrument.plan([[10, 0x90, 60, 70], [10.01, 0x90, 64, 70], [10.04, 0x80, 60, 0], [10.05, 0x80, 64, 0]]);
    instrument.tick(10);
    expect(sent.map(([, data]) => data[1])).toEqual([64, 64]);
  });
});
