// The histogram of the thermal values, and the window between black and white: two sliders, and the span between them.

const STEPS = 400; // of each slider
const [WIDTH, HEIGHT] = [1000, 100]; // of the drawing, in its own units
const UNITS = { C: " °C", levels: "", counts: "", values: "" };

export class Histogram {
  constructor(find, changed) {
    Object.assign(this, { box: find("histogram"), shape: find("histogram-bars"), low: find("low"), high: find("high"), texts: { low: find("low-value"), high: find("high-value") }, changed, range: null });
    for (const end of ["low", "high"]) {
      this[end].addEventListener("input", () => { this.keepOrder(end); this.show(); changed(); });
    }
    this.box.addEventListener("pointerdown", (event) => this.down(event));
    this.box.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.box.addEventListener(name, () => { this.grabbed = null; });
  }

  /** Show the range of a response, and its window unless the one that the user has chosen is to be kept. */
  setRange(thermal, keepWindow) {
    const { min, max, unit, histogram } = thermal;
    const kept = keepWindow && this.range?.unit === unit;
    const [low, high] = kept ? [Number(this.low.value), Number(this.high.value)] : [thermal.low, thermal.high];
    this.range = { unit, min: Math.min(min, low), max: Math.max(max, high) };
    this.draw(histogram, min, max);
    const finest = { C: 0.01, values: 0 }[unit] ?? 1;
    for (const [end, value] of [["low", low], ["high", high]]) {
      Object.assign(this[end], { min: this.range.min, max: this.range.max, step: Math.max(this.span() / STEPS, finest) });
      this[end].value = value;
    }
    this.show();
  }

  span() { return Math.max(this.range.max - this.range.min, 1e-6); }

  share(value) { return (value - this.range.min) / this.span(); }

  clear() { this.range = null; }

  /** Draw the counts with heights by their square roots, so that small warm targets are visible. */
  draw(counts, min, max) {
    const most = Math.sqrt(Math.max(...counts, 1));
    const x = (index) => (WIDTH * this.share(min + (index * (max - min)) / counts.length)).toFixed(1);
    const bars = counts.map((count, index) => `V${(HEIGHT * (1 - Math.sqrt(count) / most)).toFixed(1)}H${x(index + 1)}`);
    this.shape.setAttribute("d", `M${x(0)} ${HEIGHT}${bars.join("")}V${HEIGHT}Z`);
  }

  /** Keep the low end below the high one by moving the other slider. */
  keepOrder(moved) {
    const { low, high } = this;
    if (Number(low.value) < Number(high.value)) return;
    const other = moved === "low" ? high : low;
    const step = Number(low.step) * (moved === "low" ? 1 : -1);
    other.value = Number(this[moved].value) + step;
    if (Number(low.value) >= Number(high.value)) this[moved].value = Number(other.value) - step;
  }

  /** A value as a text, with as many digits as the range needs. */
  number(value) {
    const { min, max, unit } = this.range;
    return Number(value).toFixed(max - min < 20 ? 2 : unit === "C" ? 1 : 0);
  }

  /** The window as a field of a request. */
  field() {
    if (!this.range) return "";
    return `${this.number(this.low.value)}..${this.number(this.high.value)}${this.range.unit === "C" ? "C" : ""}`;
  }

  show() {
    for (const end of ["low", "high"]) {
      const text = this.number(this[end].value) + UNITS[this.range.unit];
      this.texts[end].textContent = text;
      this[end].setAttribute("aria-valuetext", text);
      this.box.parentElement.style.setProperty(`--${end}`, this.share(this[end].value));
    }
  }

  /** The value at a pointer. */
  at(event) {
    const box = this.shape.parentElement.getBoundingClientRect();
    return this.range.min + ((event.clientX - box.left) / box.width) * (this.range.max - this.range.min);
  }

  down(event) {
    if (event.target.type === "range" || event.button || !this.range) return; // the sliders move themselves
    const value = this.at(event);
    const [low, high] = [Number(this.low.value), Number(this.high.value)];
    const inside = value > low && value < high;
    this.grabbed = inside ? { low: low - value, high: high - value } : { [Math.abs(value - low) < Math.abs(value - high) ? "low" : "high"]: 0 };
    this.box.setPointerCapture(event.pointerId);
    event.preventDefault();
    this.move(event);
  }

  move(event) {
    if (!this.grabbed) return;
    let value = this.at(event);
    if ("low" in this.grabbed && "high" in this.grabbed) { // the width of the window is kept
      value = Math.min(this.range.max - this.grabbed.high, Math.max(this.range.min - this.grabbed.low, value));
    }
    for (const [end, distance] of Object.entries(this.grabbed)) this[end].value = value + distance;
    if (Object.keys(this.grabbed).length === 1) this.keepOrder(Object.keys(this.grabbed)[0]);
    this.show();
    this.changed();
  }
}
