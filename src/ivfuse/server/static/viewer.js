// Compares two images with a divider between them; zoom and pan by pointer, wheel and keyboard, also of other surfaces.

const MAX_ZOOM = 16;
const ZOOM_STEP = 1.5;
const PIXELATED_FROM = 3; // zoom above which pixels are drawn as squares

export class Viewer {
  constructor(find) {
    Object.assign(this, { frame: find("frame"), views: find("views"), split: find("split"), zoomOutput: find("zoom-value"), onChange: () => {} });
    this.images = [find("left"), find("right")];
    this.tags = [find("tag-left"), find("tag-right")];
    this.pointers = new Map();
    this.reset();
    this.split.addEventListener("input", () => this.divide(Number(this.split.value)));
    find("zoom-in").addEventListener("click", () => this.zoomBy(ZOOM_STEP));
    find("zoom-out").addEventListener("click", () => this.zoomBy(1 / ZOOM_STEP));
    find("zoom-fit").addEventListener("click", () => this.reset());
    this.frame.addEventListener("keydown", (event) => this.key(event));
    this.attach(this.frame);
    this.divide(50);
  }

  /** Zoom and pan by the pointer on an element that shows the whole image. */
  attach(surface) {
    surface.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    surface.addEventListener("dblclick", (event) => (this.zoom > 1 ? this.reset() : this.zoomBy(ZOOM_STEP * ZOOM_STEP, this.at(event))));
    surface.addEventListener("pointerdown", (event) => this.down(event));
    surface.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) surface.addEventListener(name, (event) => this.up(event));
  }

  /** Show two images of the same size, each { url, label }. */
  show(left, right, width, height) {
    this.views.style.setProperty("--aspect", width / height);
    [left, right].forEach(({ url, label }, side) => {
      if (this.images[side].src !== url) this.images[side].src = url;
      this.images[side].alt = `${label} image`;
      this.tags[side].textContent = label;
    });
    this.split.setAttribute("aria-label", `Divider between ${left.label.toLowerCase()} and ${right.label.toLowerCase()}`);
  }

  divide(percent) {
    const share = Math.min(100, Math.max(0, percent));
    this.frame.style.setProperty("--split", `${share}%`);
    this.split.value = share;
    this.split.setAttribute("aria-valuetext", `${Math.round(share)}% of the width`);
  }

  reset() { Object.assign(this, { zoom: 1, x: 0, y: 0 }); this.apply(); }

  zoomBy(factor, about = [0.5, 0.5]) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor));
    const factorApplied = zoom / this.zoom;
    this.x = about[0] - (about[0] - this.x) * factorApplied;
    this.y = about[1] - (about[1] - this.y) * factorApplied;
    this.zoom = zoom;
    this.apply();
  }

  pan(x, y) { this.x += x; this.y += y; this.apply(); }

  /** Apply zoom and offset to the images, which always cover the frame. */
  apply() {
    this.x = Math.min(0, Math.max(1 - this.zoom, this.x));
    this.y = Math.min(0, Math.max(1 - this.zoom, this.y));
    for (const [name, value] of [["--zoom", this.zoom], ["--x", `${this.x * 100}%`], ["--y", `${this.y * 100}%`]]) this.views.style.setProperty(name, value);
    this.views.classList.toggle("zoomed", this.zoom > 1);
    this.views.classList.toggle("pixelated", this.zoom >= PIXELATED_FROM);
    this.zoomOutput.textContent = `${Math.round(this.zoom * 100)}%`;
    this.onChange();
  }

  /** The place of an event on its surface, from 0 to 1. */
  at(event) {
    const box = event.currentTarget.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  /** A place of the frame as one of the image, both from 0 to 1. */
  onImage([x, y]) { return [(x - this.x) / this.zoom, (y - this.y) / this.zoom]; }

  /** A place of the image as one of the frame. */
  onFrame([x, y]) { return [x * this.zoom + this.x, y * this.zoom + this.y]; }

  key(event) {
    const step = 0.1;
    const keys = {
      "+": () => this.zoomBy(ZOOM_STEP), "=": () => this.zoomBy(ZOOM_STEP), "-": () => this.zoomBy(1 / ZOOM_STEP), 0: () => this.reset(),
      ArrowLeft: () => this.sideways(step), ArrowRight: () => this.sideways(-step),
      ArrowUp: () => this.pan(0, step), ArrowDown: () => this.pan(0, -step),
    };
    const upDown = event.key === "ArrowUp" || event.key === "ArrowDown";
    const probes = event.shiftKey && event.key.startsWith("Arrow");
    if (!keys[event.key] || probes || event.ctrlKey || event.metaKey || event.altKey || (upDown && this.zoom === 1)) return;
    event.preventDefault();
    keys[event.key]();
  }

  /** Pan, or move the divider while the whole image is visible. */
  sideways(step) {
    if (this.zoom > 1) this.pan(step, 0);
    else if (!this.frame.parentElement.hidden) this.divide(Number(this.split.value) - step * 50);
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // leave scrolling to the page
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY / 200), this.at(event));
  }

  down(event) {
    if (event.button) return;
    const surface = event.currentTarget;
    surface.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    this.dividing = surface === this.frame && this.pointers.size === 1 && (this.zoom === 1 || Boolean(event.target.closest(".divider")));
    if (this.dividing && event.pointerType === "mouse") this.divide(this.at(event)[0] * 100);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const distance = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
      this.zoomBy(distance(now) / Math.max(distance(before), 1e-3), other);
    } else if (this.dividing) this.divide(now[0] * 100);
    else this.pan(now[0] - before[0], now[1] - before[1]);
    this.pointers.set(event.pointerId, now);
  }

  up(event) { this.pointers.delete(event.pointerId); }
}
