/**
 * A vertical line on the roll that is taken with the pointer or moved with the arrow keys: a slider to screen readers.
 *
 *     const handle = new Handle("prompt-handle", "End of the prompt");
 *     handle.wire({ drag, step, home, end });
 *     handle.place(12.5, view.x(12.5), 31.2, (seconds) => `${seconds} seconds`);
 */

export interface Moves {
  drag(event: PointerEvent): void;
  /** An arrow key; `direction` is -1 or 1. */
  step(direction: number, event: KeyboardEvent): void;
  home(): void;
  end(): void;
}

export class Handle {
  readonly element = document.createElement("div");

  constructor(name: string, label: string) {
    this.element.className = `handle ${name}`;
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "slider");
    this.element.setAttribute("aria-label", label);
    this.element.setAttribute("aria-valuemin", "0");
    this.element.hidden = true;
  }

  /** `x` in pixels, null where it is out of sight; `seconds` null: there is none. */
  place(seconds: number | null, x: number | null, most: number, text: (seconds: number) => string): void {
    this.element.hidden = seconds === null;
    if (seconds === null) return;
    this.element.classList.toggle("away", x === null);
    this.element.style.translate = `${x ?? -100}px 0`;
    this.element.setAttribute("aria-valuenow", seconds.toFixed(2));
    this.element.setAttribute("aria-valuemax", most.toFixed(2));
    this.element.setAttribute("aria-valuetext", text(seconds));
  }

  wire(moves: Moves): void {
    const element = this.element;
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element.focus({ preventScroll: true });
      element.setPointerCapture(event.pointerId);
      const drag = (next: PointerEvent): void => moves.drag(next);
      element.addEventListener("pointermove", drag);
      const up = (): void => element.removeEventListener("pointermove", drag);
      element.addEventListener("lostpointercapture", up, { once: true });
    });
    element.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (direction) moves.step(direction, event);
      else if (event.key === "Home") moves.home();
      else if (event.key === "End") moves.end();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
}
