// The settings panel: method, colors, thermal range and registration, as fields of a request.

import { make } from "/static/dom.js";
import { Histogram } from "/static/histogram.js";

export class Controls {
  constructor(find, changed) {
    this.find = find;
    this.histogram = new Histogram(find, () => { find("window").value = "range"; changed(); });
    find("settings").addEventListener("submit", (event) => event.preventDefault());
    find("settings").addEventListener("change", (event) => {
      if (event.target.type === "range") return;
      if (event.target.id === "scale") find("window").value = "percentile"; // a range in other units is meaningless
      this.update();
      changed();
    });
    find("strength").addEventListener("input", () => { this.showStrength(); changed(); });
  }

  /** Fill in the methods and colormaps of the server. */
  configure(capabilities) {
    const { find } = this;
    this.methods = Object.fromEntries(capabilities.methods.map((method) => [method.name, method]));
    const groups = [["learned", "Trained"], ["classical", "Classical"]].map(([kind, label]) =>
      make("optgroup", { label }, ...capabilities.methods.filter((each) => each.kind === kind)
        .map(({ name }) => make("option", { value: name, textContent: name + (name === capabilities.default ? " (default)" : "") }))));
    find("method").replaceChildren(...groups.filter((group) => group.children.length));
    find("method").value = capabilities.default;
    const chips = [["", "Visible", "photo"], ["gray", "Gray", "gray"], ...capabilities.colormaps.map(({ name, colors }) => [name, label(name), colors])];
    find("colors").replaceChildren(...chips.map(([value, text, swatchColors]) => {
      const swatch = make("i");
      if (typeof swatchColors === "string") swatch.className = swatchColors;
      else if (swatchColors.length) swatch.style.background = `linear-gradient(90deg, ${swatchColors.join(", ")})`;
      const radio = make("input", { type: "radio", name: "color", value, checked: value === "" });
      return make("label", {}, radio, make("span", {}, ...(swatchColors.length ? [swatch] : []), text));
    }));
    this.camera = find("colors").querySelector('[value="camera"]')?.parentElement;
    this.update();
  }

  /** Reset what depends on the pair. */
  reset({ scale = "", single = false } = {}) {
    this.find("scale").value = scale;
    this.find("window").value = "percentile";
    this.histogram.clear();
    this.find("ends").hidden = true;
    if (this.camera) this.camera.hidden = !single;
    if (!single && this.color() === "camera") this.find("colors").querySelector("input").checked = true;
    this.update();
  }

  color() { return this.find("settings").elements.color.value; }

  /** The fields of a request. */
  fields() {
    const { find } = this;
    const color = this.color();
    return {
      method: find("method").value,
      strength: find("strength").value,
      emphasis: find("emphasis").value,
      gray: color === "gray" ? "true" : "",
      colormap: color === "gray" ? "" : color,
      window: find("window").value === "range" ? this.histogram.field() : find("window").value === "plateau" ? "plateau" : "",
      scale: find("scale").value,
      register: find("register").checked ? "true" : "",
    };
  }

  showStrength() {
    const text = `${Math.round(100 * this.find("strength").value)} %`;
    this.find("strength-value").textContent = text;
    this.find("strength").setAttribute("aria-valuetext", text);
  }

  /** Take the range of the thermal values from a response. */
  setRange(thermal) {
    if (!thermal) return;
    const { find } = this;
    find("scale-field").hidden = !["counts", "values"].includes(thermal.unit) && !find("scale").value;
    find("ends").hidden = false;
    this.histogram.setRange(thermal, find("window").value === "range");
  }

  /** Update what depends on the selected method and window. */
  update() {
    const { find } = this;
    find("method-hint").textContent = label(this.methods?.[find("method").value]?.summary ?? "", " ");
  }
}

function label(name, dash = "-") {
  const text = name.replaceAll(dash, " ");
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
