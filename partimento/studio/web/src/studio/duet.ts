/**
 * Playing in turns on the page: its panel, what is chosen there and remembered in this browser, and where answers sound.
 *
 * Knows the panel's fields, instruments and the browser's memory. Refuses to know whose turn it is (`input/turns.ts`)
 * and how an answer is made.
 *
 *     const duet = new Duet(page);
 *     duet.toggle();
 *     if (duet.hear("on", 60, 80, now)) ...  // it was music
 */

import { described, type HandOver, type Kind, type Sign, SUSTAIN, turnOf, USUAL } from "../input/hand-over";
import { Turns } from "../input/turns";
import { Instrument } from "../sound/instrument";
import { find } from "./find";
import type { Page } from "./page";

const KEPT = "partimento.duet";
/** Seconds between two times that the server is told what was played. */
const READ_EVERY = 0.5;

/** How turns are handed over, and the name of the instrument that sounds the answers; "" is this page. */
interface Choice extends HandOver {
  sound: string;
}

export class Duet {
  readonly #page: Page;
  readonly #panel = find<HTMLFormElement>("#turns");
  readonly #turns: Turns;
  #choice = remembered();
  #asking = false;
  /** Answers since it began: each has a seed of its own. */
  #answers = 0;
  /** Whether a person holds the pedal. */
  #foot = false;
  #read = 0;
  /** The output that answers go to, while it is there. */
  #port: MIDIOutput | null = null;

  constructor(page: Page) {
    this.#page = page;
    this.#turns = new Turns({
      handOver: (lead) => this.#answer(lead),
      listen: () => this.#listen(),
    });
    this.#panel.addEventListener("submit", (event) => event.preventDefault());
    this.#panel.addEventListener("change", () => this.#chosen());
    page.hands.onports = () => this.#plug();
    addEventListener("pagehide", () => page.studio.player.instrument?.reset());
    this.#fill();
  }

  get on(): boolean {
    return this.#turns.on;
  }

  /** What is played by hand; whether it is music. A key ends the answer, and what comes then is recorded. */
  hear(kind: Kind, number: number, value: number, now: number): boolean {
    const music = this.#turns.hear(kind, number, value, now);
    const { studio } = this.#page;
    if (kind === "control" && number === SUSTAIN) this.#foot = value >= 64;
    if (this.on && music && kind === "on" && !this.#turns.answering && !studio.recorder) this.#listen();
    if (this.on && !this.#turns.answering && now > this.#read + READ_EVERY) {
      this.#read = now;
      studio.readAhead();
    }
    return music;
  }

  /** Hands over, or takes back, whatever else is a sign. */
  sign(): void {
    this.#turns.sign(performance.now() / 1000);
  }

  /** Something has changed: perhaps the answer is over. */
  look(): void {
    const { maker, player } = this.#page.studio;
    const over = this.#turns.answering && !this.#asking && !maker.making && !player.playing && !player.starting;
    if (over) {
      this.#turns.answered();
      this.#page.studio.readAhead();
    }
    this.#show();
  }

  /** Begins with the first key; what was played last stays when it ends. */
  toggle(): void {
    const page = this.#page;
    const { studio, hands } = page;
    if (!this.on) {
      if (!studio.recorder) page.toggleRecording(true);
      this.#turns.begin(this.#choice);
      this.#answers = 0;
      this.#plug();
    } else {
      this.#turns.end();
      studio.maker.stop();
      studio.pause();
      this.#sound(null);
      if (studio.recorder) page.toggleRecording();
      hands.letters = false;
    }
    find("[data-do=duet]").setAttribute("aria-pressed", String(this.on));
    this.#panel.hidden = !this.on;
    this.#show();
  }

  #listen(): void {
    const { studio } = this.#page;
    studio.listen();
    if (this.#foot) studio.recorder?.pedal(true, performance.now() / 1000);
  }

  #answer(lead: number): void {
    const page = this.#page;
    const settings = page.settings();
    const bars = this.#choice.sign === "bars" ? { seconds: turnOf(this.#choice), end: false } : {};
    this.#asking = true; // what was played becomes a take first, and nothing is made or heard meanwhile
    page.studio.answer({ ...settings, seed: settings.seed + this.#answers++, variations: 1, ...bars }, lead);
    this.#asking = false;
    this.look();
  }

  #show(): void {
    const { display, studio } = this.#page;
    const sign = described(this.#choice);
    display.inTurns = !this.on
      ? ""
      : !this.#turns.answering
        ? `Listening: to hand over, ${sign}, or press Enter`
        : studio.player.playing && !studio.player.waiting
          ? "Playing: strike any key, or press Enter, and it listens"
          : "Thinking";
    display.update();
  }

  #chosen(): void {
    const how = { ...this.#choice };
    for (const [name, [low, high]] of Object.entries(RANGES)) {
      const field = find<HTMLInputElement>(`#turns [name=${name}]`);
      const value = Math.min(high, Math.max(low, Number(field.value) || USUAL[name as keyof typeof RANGES]));
      how[name as keyof typeof RANGES] = name === "silence" || name === "tempo" ? value : Math.round(value);
    }
    how.sign = find<HTMLSelectElement>("#turns [name=sign]").value as Sign;
    how.sound = find<HTMLSelectElement>("#turns [name=sound]").value;
    this.#choice = how;
    try {
      localStorage.setItem(KEPT, JSON.stringify(how));
    } catch {
      // this browser keeps nothing; it holds until the page is left
    }
    this.#fill();
    this.#turns.change(how);
    this.#plug();
    (document.activeElement as HTMLElement | null)?.blur(); // letters are piano keys again
    this.#show();
  }

  /** Shows what is chosen, and of the numbers those that its sign has. */
  #fill(): void {
    const { sign, sound } = this.#choice;
    find<HTMLSelectElement>("#turns [name=sign]").value = sign;
    for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) {
      const field = find<HTMLInputElement>(`#turns [name=${name}]`);
      field.value = String(this.#choice[name]);
      field.closest("label")!.hidden = field.closest<HTMLElement>("[data-sign]")!.dataset["sign"] !== sign;
    }
    const names = [...new Set([...this.#page.hands.outputs.map(nameOf), ...(sound ? [sound] : [])])];
    const options = names.map((name) => new Option(name, name));
    const select = find<HTMLSelectElement>("#turns [name=sound]");
    select.replaceChildren(new Option("here", ""), ...options);
    select.value = sound;
  }

  /** Instruments have come or gone: answers go to the chosen one, and if it is not there any more, it listens. */
  #plug(): void {
    this.#fill();
    const { sound } = this.#choice;
    const port = (this.on && sound && this.#page.hands.outputs.find((output) => nameOf(output) === sound)) || null;
    if (port === this.#port) return;
    if (this.#port && this.on && !port && sound) {
      this.#page.display.note(`${sound} is not there any more; answers sound here until it is back`);
      if (this.#turns.answering) this.sign();
    }
    this.#sound(port);
  }

  #sound(port: MIDIOutput | null): void {
    const { player } = this.#page.studio;
    this.#port = port;
    const instrument = port && new Instrument(port, (pitch) => this.#turns.holds(pitch));
    player.instrument = instrument;
    instrument?.reset();
  }
}

const RANGES = { silence: [0.2, 30], key: [0, 127], bars: [1, 64], beats: [1, 16], tempo: [20, 400] } as const;

function nameOf(port: MIDIPort): string {
  return port.name || port.id;
}

/** What was chosen last; what this browser cannot have kept is as usual. */
function remembered(): Choice {
  let kept: Partial<Choice> = {};
  try {
    kept = (JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {}) as Partial<Choice>;
  } catch {
    // nothing was kept, or nothing of ours
  }
  const choice: Choice = { ...USUAL, sound: typeof kept.sound === "string" ? kept.sound : "" };
  if (kept.sign && ["pedal", "silence", "key", "bars"].includes(kept.sign)) choice.sign = kept.sign;
  for (const [name, [low, high]] of Object.entries(RANGES) as [keyof typeof RANGES, readonly [number, number]][]) {
    const value = kept[name];
    if (typeof value === "number" && value >= low && value <= high) choice[name] = value;
  }
  return choice;
}
