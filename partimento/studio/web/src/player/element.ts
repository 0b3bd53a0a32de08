/**
 * <partimento-player src="x.mid">: plays a MIDI file with its pedal on any page, without the studio and without a server.
 *
 *     <script src="player.js"></script>
 *     <partimento-player src="nocturne.mid"></partimento-player>
 *
 * `samples` is the folder of the piano's recordings; by default `samples/` beside this script. A page that was exported
 * has notes and recordings inside the element instead, as JSON.
 */

import { clock, endOf, type Music } from "../music/music";
import { Roll, type RollEvents } from "../roll/roll";
import { type MusicColumns, toMusic } from "../server/protocol";
import { Player } from "../sound/player";
import { fromFolder, type Source } from "../sound/samples";
import colours from "../style/colours.css?inline";
import own from "../style/player.css?inline";
import roll from "../style/roll.css?inline";
import round from "../style/round.css?inline";
import type { Span } from "../takes/tree";
import { readMidi } from "./smf";

/** What an exported page holds. A span whose `to` is null goes on to the end. */
interface Inside {
  title: string;
  music: MusicColumns;
  spans: { from: number; to: number | null }[];
  samples: Record<string, string>;
}

const BESIDE = document.currentScript instanceof HTMLScriptElement && document.currentScript.src;
const ICON = `<svg viewBox="0 0 24 24" aria-hidden="true"><path class="go" d="M8 5v14l11-7z"/><path class="halt" d="M7 5h4v14H7zm6 0h4v14h-4z"/></svg>`;

export class PlayerElement extends HTMLElement {
  static readonly observedAttributes = ["src"];
  #roll = new Roll();
  #button = document.createElement("button");
  #time = document.createElement("output");
  #words = document.createElement("p");
  #music: Music | null = null;
  #spans: Span[] = [];
  #player: Player | null = null;
  #at = 0;

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(colours + round + roll + own);
    root.adoptedStyleSheets = [sheet];
    this.#button.type = "button";
    this.#button.className = "round";
    this.#button.innerHTML = ICON;
    this.#words.setAttribute("role", "status");
    this.#time.setAttribute("aria-live", "off");
    const stage = document.createElement("div");
    stage.className = "stage";
    stage.append(this.#roll);
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.append(this.#button, this.#time, this.#words);
    root.replaceChildren(stage, bar);
    this.#button.addEventListener("click", () => void this.#toggle());
    this.#roll.addEventListener("seek", (event) => this.#seek((event as CustomEvent<RollEvents["seek"]>).detail.seconds));
    this.#roll.addEventListener("span", () => (this.#roll.selection = null));
    void this.#load();
  }

  disconnectedCallback(): void {
    this.#player?.stop();
  }

  attributeChangedCallback(): void {
    if (this.shadowRoot) void this.#load();
  }

  /** Shows a MIDI file that is at hand, with the piano from `source`; plays it, from a second on, if told so. */
  async open(midi: ArrayBuffer, source: Source, play = false, from = 0): Promise<void> {
    this.#player?.stop();
    this.#at = from;
    this.#music = readMidi(midi);
    this.#spans = [];
    this.#player = this.#playerOf(source);
    this.#roll.show(this.#music, this.#spans, true);
    this.#show();
    if (play) await this.#toggle();
  }

  /** Silence. */
  stop(): void {
    this.#player?.stop();
    this.#show();
  }

  async #load(): Promise<void> {
    this.#player?.stop();
    this.#at = 0;
    this.#words.textContent = "";
    try {
      const inside = this.querySelector("script[type='application/json']")?.textContent;
      if (inside) this.#inside(JSON.parse(inside) as Inside);
      else if (this.getAttribute("src")) await this.#fetch(this.getAttribute("src")!);
      else return;
    } catch (error) {
      this.#words.textContent = error instanceof Error ? error.message : String(error);
    }
    if (this.#music) this.#roll.show(this.#music, this.#spans, true);
    this.#show();
  }

  async #fetch(src: string): Promise<void> {
    const answer = await fetch(src);
    if (!answer.ok) throw new Error(`${src} cannot be fetched (${answer.status})`);
    this.#music = readMidi(await answer.arrayBuffer());
    this.#spans = [];
    const beside = new URL("samples/", BESIDE || document.baseURI).href;
    this.#player = this.#playerOf(fromFolder(this.getAttribute("samples") ?? beside));
  }

  #inside(inside: Inside): void {
    this.#music = toMusic(inside.music);
    this.#spans = inside.spans.map(({ from, to }) => ({ from, to: to ?? Infinity }));
    this.#player = this.#playerOf(async (name) => {
      const text = atob(inside.samples[name] ?? "");
      return Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer;
    });
  }

  #playerOf(source: Source): Player {
    const player = new Player(source);
    player.onend = () => {
      this.#at = 0;
      this.#show();
    };
    return player;
  }

  async #toggle(): Promise<void> {
    const [player, music] = [this.#player, this.#music];
    if (!player || !music) return;
    if (player.playing) {
      this.#at = player.position();
      player.stop();
    } else {
      this.#words.textContent = "";
      try {
        await player.start(music, this.#at >= endOf(music) ? 0 : this.#at);
      } catch (error) {
        this.#words.textContent = error instanceof Error ? error.message : String(error);
      }
    }
    this.#frame();
  }

  #seek(seconds: number): void {
    this.#at = seconds;
    if (this.#player?.playing && this.#music) void this.#player.start(this.#music, seconds);
    this.#show();
  }

  #frame(): void {
    this.#show();
    if (this.#player?.playing) requestAnimationFrame(() => this.#frame());
  }

  #show(): void {
    const playing = this.#player?.playing ?? false;
    const seconds = playing ? this.#player!.position() : this.#at;
    this.#roll.moment(seconds, playing);
    this.#button.setAttribute("aria-pressed", String(playing));
    this.#button.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.#time.textContent = `${clock(seconds)} / ${clock(this.#music ? endOf(this.#music) : 0)}`;
  }
}

customElements.define("partimento-player", PlayerElement);
