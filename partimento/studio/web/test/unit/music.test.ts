import { expect, test } from "vitest";
import { Recorder } from "../../src/input/recorder";
import { addPedal, clock, emptied, emptyMusic, gaps, latest, type Music, nearestGap, slice, soundingEnds } from "../../src/music/music";
import { Making } from "../../src/studio/making";

function music(notes: [pitch: number, onset: number, duration: number][], pedals: [number, number][] = []): Music {
  const made: Music = {
    ...emptyMusic(),
    pitch: notes.map(([pitch]) => pitch),
    velocity: notes.map(() => 70),
    onset: notes.map(([, onset]) => onset),
    duration: notes.map(([, , duration]) => duration),
    channel: notes.map(() => 0),
  };
  for (const [down, up] of pedals) addPedal(made, down, up);
  return made;
}

test("a string sounds until the pedal is up, or its key is struck again", () => {
  const held = music(
    [
      [60, 0, 0.2],
      [62, 0.5, 2],
      [60, 1, 0.1],
    ],
    [[0.1, 1.5]],
  );
  expect([...soundingEnds(held)]).toEqual([1, 2.5, 1.5]);
});

test("a prompt ends between chords, never in one", () => {
  const chords = music([
    [60, 0, 0.5],
    [64, 0.01, 0.5],
    [67, 1, 0.5],
  ]);
  expect(gaps(chords)).toEqual([0.995, 1.5]);
  expect(nearestGap(gaps(chords), 0.2)).toBe(0.995);
  expect(nearestGap(gaps(chords), 1.4)).toBe(1.5);
  expect(nearestGap([], 3)).toBe(3);
});

test("a slice keeps its clock and its durations, and lets the pedal go at its end", () => {
  const part = slice(music([[60, 0, 1], [62, 2, 5], [64, 4, 1]], [[1.5, 6]]), 1, 3);
  expect(part).toMatchObject({ pitch: [62], onset: [2], duration: [5], pedalDown: [1.5], pedalUp: [3] });
});

test("around a gap everything stays as it is", () => {
  const whole = music([[60, 0, 3], [62, 2, 1], [64, 5, 1]], [[1, 2.5], [2.6, 3], [3.5, 6]]);
  const kept = emptied(whole, 2, 4);
  expect(kept).toMatchObject({ pitch: [60, 64], duration: [3, 1], pedalDown: [1, 4], pedalUp: [2.5, 6] });
});

test("time for people", () => {
  expect(clock(0)).toBe("0:00.0");
  expect(clock(59.96)).toBe("1:00.0");
  expect(clock(125.04)).toBe("2:05.0");
  expect(clock(65, 0)).toBe("1:05");
});

test("a recording begins with its first key, and has its pedal", () => {
  const recorder = new Recorder();
  recorder.pedal(true, 9);
  recorder.press(60, 90, 10);
  recorder.release(60, 10.5);
  recorder.press(64, 50, 11);
  recorder.pedal(false, 12);
  expect(recorder.sofar(12.5)).toMatchObject({
    pitch: [60, 64],
    velocity: [90, 50],
    onset: [0, 1],
    duration: [0.5, 1.5],
    pedalDown: [0],
    pedalUp: [2],
  });
});

test("what can be read ahead has ended: keys are up, and so is the pedal that held them", () => {
  const recorder = new Recorder(music([[48, 0, 1]], []), 2);
  const pitches = (): number[] => recorder.certain().pitch;
  recorder.press(60, 80, 10);
  expect(pitches()).toEqual([48]);
  recorder.release(60, 10.5);
  expect(pitches()).toEqual([48, 60]);
  recorder.press(62, 80, 11);
  recorder.pedal(true, 11.2);
  recorder.press(64, 80, 11.5);
  recorder.release(64, 11.8);
  expect(pitches()).toEqual([48, 60]); // a key is down
  recorder.release(62, 12);
  expect(pitches()).toEqual([48, 60]); // the pedal holds it
  recorder.pedal(false, 13);
  expect(recorder.certain()).toEqual(recorder.sofar(14));
});

test("of a long evening the latest notes are told, and where they begin moves seldom", () => {
  const notes = (n: number): Music => music(Array.from({ length: n }, (_, i) => [60, i, 0.5]));
  const begin = (n: number): number => latest(notes(n), 10).onset[0]!;
  expect([5, 10, 19, 20, 29, 30, 39, 40].map(begin)).toEqual([0, 0, 0, 10, 10, 20, 20, 30]);
});

test("a variation grows by notes, and what is complete takes their place", () => {
  const making = new Making("r", ["x", "y"], music([[60, 0, 1]]), 2);
  const notes = { onset: [2.5], duration: [3], pitch: [72], velocity: [60] };
  making.notes({ type: "notes", id: "r", variation: 1, notes, pedal: { down: [], up: [] }, until: 2.5, ahead: null, messages: null });
  expect(making.music(0).pitch).toEqual([60]);
  expect(making.music(1).pitch).toEqual([60, 72]);
  expect([making.until(0), making.until(1)]).toEqual([2, 2.5]);
  const written = { notes: { ...notes, duration: [0.5] }, pedal: { down: [2.6], up: [5.5] } };
  const facts = { tokens: 9, ended: null, fallback: null, retries: 0, originality: null, messages: null };
  making.complete({ type: "take", id: "r", variation: 1, music: written, ...facts });
  expect(making.music(1)).toMatchObject({ pitch: [60, 72], duration: [1, 0.5], pedalDown: [2.6] });
  expect(making.until(1)).toBe(Infinity);
});

test("what is played behind other music goes on where that was left", () => {
  const recorder = new Recorder(music([[60, 0, 1]], [[0.2, 0.8]]), 3.5);
  expect(recorder.empty).toBe(true);
  expect(recorder.elapsed(99)).toBe(3.5);
  recorder.pedal(true, 9);
  recorder.press(64, 80, 10);
  recorder.release(64, 10.5);
  recorder.pedal(false, 11);
  expect(recorder.elapsed(12)).toBe(5.5);
  const played = recorder.sofar(12);
  expect([played.pitch, played.onset, played.duration]).toEqual([[60, 64], [0, 3.5], [1, 0.5]]);
  expect([played.pedalDown, played.pedalUp]).toEqual([[0.2, 3.5], [0.8, 4.5]]);
});
