/**
 * <partimento-knob>: one knob from tame to wild, eleven steps; the numbers behind it on hover and focus.
 *
 *     knob.steps = model.knob;
 *     knob.value;  // the temperature and note cut that it stands at
 */

import type { KnobStep } from "../server/protocol";

const TURN = 270; // degrees from end to end
const PIXELS = 12; // to drag for one step

export class Knob extends HTMLElement {
  #steps: readonly KnobStep[] = [];
  #at = 5;
  #dial = document.createElement("div");
  #numbers = document.createElement("span");

  connectedCallback(): void {
    this.#numbers.className = "knob-numbers";
    this.#dial.className = "knob";
    this.#dial.tabIndex = 0;
    this.#dial.setAttribute("role", "slider");
    this.#dial.setAttribute("aria-label", "Tame to wild");
    this.#dial.setAttribute("aria-valuemin", "0");
    this.#dial.innerHTML = `<svg viewBox="0 0 40 40" aria-hidden="true"><path class="track" d="${arc(1)}"/><path class="value"/><path class="needle"/></svg>`;
    const [tame, wild] = [document.createElement("span"), document.createElement("span")];
    tame.textContent = "tame";
    wild.textContent = "wild";
    this.append(tame, this.#dial, wild, this.#numbers);
    this.#dial.addEventListener("keydown", (event) => this.#key(event));
    this.#dial.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#turn(this.#at - Math.sign(event.deltaY));
    });
    this.#dial.addEventListener("dblclick", () => this.#turn((this.#steps.length - 1) / 2));
    this.#dial.addEventListener("pointerdown", (event) => this.#drag(event));
    this.#show();
  }

  set steps(steps: readonly KnobStep[]) {
    this.#steps = steps;
    this.#turn(Math.floor((steps.length - 1) / 2));
  }

  get value(): KnobStep | undefined {
    return this.#steps[this.#at];
  }

  #drag(down: PointerEvent): void {
    this.#dial.setPointerCapture(down.pointerId);
    const began = this.#at;
    const move = (event: PointerEvent): void =>
      this.#turn(began + Math.round((event.clientX - down.clientX - (event.clientY - down.clientY)) / PIXELS));
    this.#dial.addEventListener("pointermove", move);
    this.#dial.addEventListener("lostpointercapture", () => this.#dial.removeEventListener("pointermove", move), { once: true });
  }

  #key(event: KeyboardEvent): void {
    const last = this.#steps.length - 1;
    const to = {
      ArrowUp: this.#at + 1,
      ArrowRight: this.#at + 1,
      ArrowDown: this.#at - 1,
      ArrowLeft: this.#at - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.#turn(to);
  }

  #turn(to: number): void {
    this.#at = Math.min(Math.max(0, this.#steps.length - 1), Math.max(0, Math.floor(to)));
    this.#show();
  }

  #show(): void {
    const most = Math.max(1, this.#steps.length - 1);
    const share = this.#at / most;
    const step = this.value;
    const numbers = step ? `temperature ${step.temperature.toFixed(2)}, note cut ${step.min_p.toFixed(3)}` : "";
    this.#numbers.textContent = numbers;
    const words = ["very tame", "tame", "as the model is", "wild", "very wild"][Math.round(share * 4)];
    this.#dial.setAttribute("aria-valuemax", String(most));
    this.#dial.setAttribute("aria-valuenow", String(this.#at));
    this.#dial.setAttribute("aria-valuetext", `${words}: ${numbers}`);
    this.#dial.querySelector(".value")?.setAttribute("d", share > 0 ? arc(share) : "");
    const angle = ((share * TURN - TURN / 2) * Math.PI) / 180;
    const [x, y] = [Math.sin(angle), -Math.cos(angle)];
    this.#dial
      .querySelector(".needle")
      ?.setAttribute("d", `M${20 + 5 * x} ${20 + 5 * y}L${20 + 11 * x} ${20 + 11 * y}`);
  }
}

/** The dial's arc from its beginning to a share of it, as an SVG path. */
function arc(share: number): string {
  const point = (degrees: number): string => {
    const angle = ((degrees - 90) * Math.PI) / 180;
    return `${(20 + 16 * Math.cos(angle)).toFixed(2)} ${(20 + 16 * Math.sin(angle)).toFixed(2)}`;
  };
  const turn = TURN * share;
  return `M${point(-TURN / 2)}A16 16 0 ${turn > 180 ? 1 : 0} 1 ${point(-TURN / 2 + turn)}`;
}

customElements.define("partimento-knob", Knob);
