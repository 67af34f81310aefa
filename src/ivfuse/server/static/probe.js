// The temperature under the pointer; with the keyboard, Shift and the arrow keys move the point.

const STEP = 0.01; // of the width or height, per key

export class Probe {
  constructor(find, viewer) {
    Object.assign(this, { mark: find("probe"), text: find("probe-value"), spoken: find("probe-spoken"), hint: find("probe-hint"), viewer, grid: null, at: null });
    const { frame } = viewer;
    for (const name of ["pointermove", "pointerdown"]) frame.addEventListener(name, (event) => this.place(viewer.onImage(viewer.at(event))));
    frame.addEventListener("pointerleave", () => this.place(null));
    frame.addEventListener("blur", () => this.place(null));
    frame.addEventListener("keydown", (event) => this.key(event));
    viewer.onChange = () => this.draw();
  }

  /** Take the temperatures of the displayed image, or null. */
  set(grid) {
    this.grid = grid;
    this.hint.hidden = !grid;
    this.draw();
  }

  place(point) {
    this.at = point;
    this.draw();
  }

  key(event) {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key === "Escape") this.place(null);
    if (!event.shiftKey || !moves[event.key] || !this.grid) return;
    event.preventDefault();
    const [x, y] = this.at ?? [0.5, 0.5];
    const within = (value) => Math.min(1, Math.max(0, value));
    this.place([within(x + moves[event.key][0]), within(y + moves[event.key][1])]);
    this.spoken.textContent = this.text.textContent;
  }

  draw() {
    const shown = this.grid && this.at;
    this.mark.hidden = !shown;
    if (!shown) return;
    const { width, height, celsius } = this.grid;
    const [x, y] = this.at;
    const value = celsius(Math.min(width - 1, Math.floor(x * width)), Math.min(height - 1, Math.floor(y * height)));
    this.text.textContent = value === null ? "No data" : `${value.toFixed(1)} °C`;
    const [left, top] = this.viewer.onFrame([x, y]);
    this.mark.style.left = `${100 * left}%`;
    this.mark.style.top = `${100 * top}%`;
    this.mark.classList.toggle("to-left", left > 0.75);
  }
}
