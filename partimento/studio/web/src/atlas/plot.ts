/**
 * The points, drawn by the graphics processor (regl-scatterplot): zoom, the point under the pointer, the lasso.
 *
 * Knows points and colours. Refuses to know what a point is.
 *
 *     const plot = new Plot(canvas, x, y);
 *     plot.onchoose = (points) => list(points);
 *     await plot.paint(classes, ["#aa3377", "#777777"], theme);
 */

import createScatterplot from "regl-scatterplot";

export interface Theme {
  ground: string;
  ink: string;
  accent: string;
}

type Scatterplot = ReturnType<typeof createScatterplot>;

export class Plot {
  onchoose: (points: number[], byLasso: boolean) => void = () => {};
  onhover: (point: number | null) => void = () => {};
  /** Points stand elsewhere on the canvas. */
  onview: () => void = () => {};
  #plot: Scatterplot;
  #lassoing = false;
  #shown: Set<number> | null = null;
  /** Changes of what is to be seen follow each other; of those that wait the last one counts. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    canvas: HTMLCanvasElement,
    private x: Float32Array,
    private y: Float32Array,
  ) {
    const { width, height } = canvas.parentElement!.getBoundingClientRect();
    this.#plot = createScatterplot({
      canvas,
      width,
      height,
      pointSize: sizeOf(x.length),
      pointSizeSelected: 3,
      pointOutlineWidth: 2,
      opacity: x.length > 20_000 ? 0.7 : 0.85,
      lassoLineWidth: 2,
      lassoOnLongPress: true,
      deselectOnDblClick: false,
      cameraDistance: distance(width, height),
    });
    this.#plot.subscribe("lassoStart", () => (this.#lassoing = true));
    this.#plot.subscribe("lassoEnd", () => {
      this.#lassoing = false;
      // It may have caught points that are hidden, and tells nothing where it caught what was chosen before.
      const caught = this.#plot.get("selectedPoints") as number[];
      this.onchoose(caught.filter((point) => this.#shown?.has(point) ?? true), true);
    });
    this.#plot.subscribe("select", ({ points }) => this.#lassoing || this.onchoose(points, false));
    this.#plot.subscribe("deselect", () => this.#lassoing || this.onchoose([], false));
    this.#plot.subscribe("pointOver", (point) => this.onhover(point));
    this.#plot.subscribe("pointOut", () => this.onhover(null));
    this.#plot.subscribe("view", () => this.onview());
  }

  /** Other points from the next `paint` on. */
  points(x: Float32Array, y: Float32Array): void {
    [this.x, this.y] = [x, y];
  }

  /** Draws all points, each in the colour of its class. */
  paint(classes: Uint16Array, colours: string[], theme: Theme): Promise<unknown> {
    return this.#next(async () => {
      this.#plot.set({
        backgroundColor: theme.ground,
        colorBy: "valueA",
        pointColor: colours,
        pointColorActive: theme.ink,
        pointColorHover: theme.ink,
        lassoColor: theme.accent,
        reticleColor: theme.accent,
        showReticle: false,
      });
      await this.#plot.draw({ x: this.x, y: this.y, valueA: classes }, { zDataType: "categorical" });
    });
  }

  /** Marks points as chosen without telling so. */
  mark(points: number[]): void {
    if (points.length) this.#plot.select(points, { preventEvent: true });
    else this.#plot.deselect({ preventEvent: true });
  }

  /** Shows these points only; all, if none are given. */
  only(points: number[] | null): Promise<unknown> {
    this.#shown = points && new Set(points);
    return this.#next(() => (points ? this.#plot.filter(points) : this.#plot.unfilter()));
  }

  /** Moves until these points are to be seen; where they lie far apart, all of the map is. */
  goTo(points: number[]): Promise<unknown> {
    const reach = [this.x, this.y].map((axis) => points.map((point) => axis[point]!)).map((at) => Math.max(...at) - Math.min(...at));
    if (Math.max(...reach) > 0.5) return this.all();
    return this.#next(() => this.#plot.zoomToPoints(points, { padding: 3, ...moving() }));
  }

  /** All of the map, whatever the shape of the canvas. */
  all(): Promise<unknown> {
    const far = distance(this.#plot.get("width") as number, this.#plot.get("height") as number);
    return this.#next(() => this.#plot.zoomToLocation([0, 0], far, moving()));
  }

  lasso(on: boolean): void {
    this.#plot.set({ mouseMode: on ? "lasso" : "panZoom" });
  }

  resize(width: number, height: number): void {
    this.#plot.set({ width, height });
  }

  /** Where a point stands on the canvas, or null where it is out of sight. */
  positionOf(point: number): [number, number] | null {
    return this.#plot.getScreenPosition(point) ?? null;
  }

  destroy(): void {
    this.#plot.destroy();
  }

  #next(change: () => Promise<unknown>): Promise<unknown> {
    this.#turn = this.#turn.then(change, change);
    return this.#turn;
  }
}

const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/** How the camera moves: not at all for those who do not want to see that. */
function moving(): { transition: boolean; transitionDuration: number } {
  return { transition: !STILL.matches, transitionDuration: 400 };
}

/** How far away the camera sees all of the map: at 1 its height fills the canvas. */
function distance(width: number, height: number): number {
  return Math.max(1, height / Math.max(1, width));
}

/** Pixels of a point: fewer where there are many. */
function sizeOf(points: number): number {
  return points > 30_000 ? 2 : points > 5_000 ? 4 : points > 800 ? 6 : 9;
}
