/**
 * Seconds and pitches <-> pixels of the roll.
 *
 * Knows the margins (keys on the left, time above, pedal below). Refuses to know canvases and notes.
 *
 *     const view = fitted({ width: 900, height: 400 }, 31.2, 36, 84);
 *     view.x(12.5); view.seconds(300); view.y(60);
 */

export const KEYS = 46;
export const RULER = 26;
export const PEDAL = 24;
const MOST_ZOOM = 600;

export interface Size {
  width: number;
  height: number;
}

export class View {
  constructor(
    readonly size: Size,
    /** Seconds at the left edge, behind the keys. */
    readonly start: number,
    /** Pixels a second. */
    readonly zoom: number,
    readonly lowest: number,
    readonly highest: number,
  ) {}

  get shown(): number {
    return (this.size.width - KEYS) / this.zoom;
  }

  get end(): number {
    return this.start + this.shown;
  }

  /** Top and bottom of the notes' part, pixels. */
  get top(): number {
    return RULER;
  }

  get bottom(): number {
    return this.size.height - PEDAL;
  }

  get row(): number {
    return (this.bottom - this.top) / (this.highest - this.lowest + 1);
  }

  x(seconds: number): number {
    return KEYS + (seconds - this.start) * this.zoom;
  }

  seconds(x: number): number {
    return this.start + (x - KEYS) / this.zoom;
  }

  /** The upper edge of a pitch's row. */
  y(pitch: number): number {
    return this.top + (this.highest - pitch) * this.row;
  }

  /** Moved so that `start` is at the left; what lies before 0 or far behind `end` is not shown. */
  at(start: number, end: number): View {
    const latest = Math.max(0, end - this.shown * 0.5);
    return new View(this.size, Math.min(Math.max(0, start), latest), this.zoom, this.lowest, this.highest);
  }

  /** Nearer (factor above 1) or further; the second at `x` stays where it is. */
  zoomed(factor: number, x: number, end: number): View {
    const least = (this.size.width - KEYS) / Math.max(20, end * 1.5);
    const zoom = Math.min(MOST_ZOOM, Math.max(least, this.zoom * factor));
    const start = this.seconds(x) - (x - KEYS) / zoom;
    return new View(this.size, this.start, zoom, this.lowest, this.highest).at(start, end);
  }

  with(changes: { size?: Size; lowest?: number; highest?: number }): View {
    return new View(
      changes.size ?? this.size,
      this.start,
      this.zoom,
      changes.lowest ?? this.lowest,
      changes.highest ?? this.highest,
    );
  }
}

/** All of a piece, or of a long one its first part at a readable width. */
export function fitted(size: Size, seconds: number, lowest: number, highest: number): View {
  const width = Math.max(50, size.width - KEYS);
  return new View(size, 0, Math.max(width / Math.max(8, seconds + 1), Math.min(24, width / 12)), lowest, highest);
}

/** Octaves that hold all pitches and at least C3 to C6. */
export function pitchRange(pitches: readonly number[]): [number, number] {
  let [low, high] = [48, 84];
  for (const pitch of pitches) {
    low = Math.min(low, pitch);
    high = Math.max(high, pitch);
  }
  return [Math.max(0, low - 2), Math.min(127, high + 2)];
}

/** A step between lines of the ruler, seconds, at which their labels have room. */
export function rulerStep(zoom: number): number {
  return [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300].find((step) => step * zoom >= 64) ?? 600;
}
