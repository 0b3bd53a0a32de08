/**
 * The roll's colours: how loud is how deep, whose it is is the hue. Light and dark follow the page.
 *
 *     const colours = coloursOf(element);
 *     context.fillStyle = colours.people[loudness(80)];
 */

/** Steps of loudness that the eye tells apart. */
export const STEPS = 8;

export interface Colours {
  paper: string;
  dusk: string;
  line: string;
  faint: string;
  ink: string;
  quiet: string;
  accent: string;
  whiteKey: string;
  blackKey: string;
  /** What people played, and what the model did, from soft to loud. */
  people: readonly string[];
  model: readonly string[];
  peoplePlain: string;
  modelPlain: string;
}

export function loudness(velocity: number): number {
  return Math.min(STEPS - 1, Math.max(0, Math.floor(((velocity - 16) / 100) * STEPS)));
}

export function coloursOf(element: HTMLElement): Colours {
  const style = getComputedStyle(element);
  const value = (name: string): string => style.getPropertyValue(name).trim();
  const dark = value("--scheme") === "dark";
  const ramp = (hue: number, chroma: number): string[] =>
    Array.from({ length: STEPS }, (_, i) => {
      const t = i / (STEPS - 1);
      const light = dark ? 0.46 + 0.4 * t : 0.82 - 0.42 * t;
      const colour = chroma * (dark ? 0.55 + 0.45 * t : 0.45 + 0.55 * t);
      return `oklch(${light.toFixed(3)} ${colour.toFixed(3)} ${hue})`;
    });
  return {
    paper: value("--paper"),
    dusk: value("--roll-dusk"),
    line: value("--roll-line"),
    faint: value("--roll-faint"),
    ink: value("--ink"),
    quiet: value("--quiet"),
    accent: value("--accent"),
    whiteKey: value("--white-key"),
    blackKey: value("--black-key"),
    people: ramp(256, 0.15),
    model: ramp(dark ? 62 : 44, 0.17),
    peoplePlain: value("--people"),
    modelPlain: value("--model"),
  };
}
