// The pair fused by several methods, side by side; zoom and pan are those of the viewer.

import { RequestError } from "/static/api.js";
import { make } from "/static/dom.js";

const CLASSICAL_AT_FIRST = 3; // shown beside the default method, since they take the least time
const SOURCES = { infrared: "Infrared", visible: "Visible" };

export class MethodGrid {
  /** `use(name)` is called with the method of a tile that was chosen, `failed(error)` with an unexpected error. */
  constructor(find, { fusion, viewer, use, failed }) {
    Object.assign(this, { section: find("methods"), choices: find("method-choices"), tiles: find("tiles"), fusion, viewer, use, running: null });
    this.choices.addEventListener("change", () => this.refresh().catch(failed));
    this.tiles.addEventListener("keydown", (event) => viewer.key(event));
  }

  /** Offer the methods of the server, of which the trained ones come first. */
  configure({ methods, default: preferred }) {
    const rank = ({ name, kind }) => (name === preferred ? 0 : kind === "learned" ? 1 : 2);
    const names = [...methods].sort((a, b) => rank(a) - rank(b)).map(({ name }) => name);
    const classical = methods.filter(({ kind }) => kind === "classical").map(({ name }) => name);
    const first = [preferred, ...classical.slice(0, CLASSICAL_AT_FIRST)];
    this.choices.replaceChildren(...[...Object.keys(SOURCES), ...names].map((value) => {
      return make("label", {}, make("input", { type: "checkbox", value, checked: first.includes(value) }), make("span", { textContent: SOURCES[value] ?? value }));
    }));
  }

  get shown() { return !this.section.hidden; }

  hide() {
    this.section.hidden = true;
    this.running?.abort();
  }

  /** Fuse the pair by each chosen method, with the other fields of `result`, which is known. */
  async show(result) {
    this.section.hidden = false;
    this.result = result;
    await this.refresh();
  }

  async refresh() {
    this.running?.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    const names = [...this.choices.querySelectorAll(":checked")].map(({ value }) => value);
    const tiles = names.map((name) => this.tile(name));
    this.tiles.replaceChildren(...tiles.map(({ figure }) => figure));
    for (const [index, name] of names.entries()) {
      if (signal.aborted) return;
      await this.fill(tiles[index], name, signal);
    }
  }

  tile(name) {
    const image = make("img", { alt: "", draggable: false });
    const surface = make("div", { className: "tile" }, image, make("span", { className: "spinner" }));
    const title = name in SOURCES ? make("b", { textContent: SOURCES[name] }) : make("button", { type: "button", className: "link", textContent: name, title: `Show ${name} alone` });
    title.addEventListener("click", () => name in SOURCES || this.use(name));
    const fact = make("span", { className: "fact" });
    this.viewer.attach(surface);
    return { figure: make("figure", {}, surface, make("figcaption", {}, title, fact)), image, surface, fact };
  }

  async fill({ image, surface, fact }, name, signal) {
    try {
      const source = name in SOURCES;
      const result = source ? this.result : await this.fusion.fuse({ ...this.result.fields, method: name }, signal);
      image.src = result.urls[source ? name : "fused"];
      image.alt = source ? `${SOURCES[name]} image` : `Fused by ${name}`;
      fact.textContent = source ? "" : `${result.seconds.toFixed(2)} s`;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof RequestError)) throw error;
      surface.classList.add("failed");
      fact.textContent = error.message;
    }
    surface.querySelector(".spinner").remove();
  }
}
