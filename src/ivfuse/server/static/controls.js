// The settings panel: method, colors, thermal range and registration, as fields of a request.

const STEPS = 400; // of each slider of the thermal range
const UNITS = { C: " °C", levels: "", counts: "", values: "" };

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

export class Controls {
  constructor(find, changed) {
    this.find = find;
    this.range = null;
    find("settings").addEventListener("submit", (event) => event.preventDefault());
    find("settings").addEventListener("change", (event) => {
      if (event.target.type === "range") return;
      if (event.target.id === "scale") find("window").value = "percentile"; // a range in other units is meaningless
      this.update();
      changed();
    });
    find("strength").addEventListener("input", () => { this.showStrength(); changed(); });
    for (const end of ["low", "high"]) {
      find(end).addEventListener("input", () => { this.keepOrder(end); this.showEnds(); changed(); });
    }
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
    this.range = null;
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
      gray: color === "gray" ? "true" : "",
      colormap: color === "gray" ? "" : color,
      window: find("window").value === "range" ? this.ends() : find("window").value === "plateau" ? "plateau" : "",
      scale: find("scale").value,
      register: find("register").checked ? "true" : "",
    };
  }

  showStrength() {
    this.find("strength-value").textContent = `${Math.round(100 * this.find("strength").value)} %`;
  }

  /** Take the range of the thermal values from a response. */
  setRange(thermal) {
    if (!thermal) return;
    const { find } = this;
    const isNew = !this.range || this.range.unit !== thermal.unit || this.range.min !== thermal.min || this.range.max !== thermal.max;
    this.range = thermal;
    find("scale-field").hidden = !["counts", "values"].includes(thermal.unit) && !find("scale").value;
    if (isNew || find("window").value !== "range") {
      const span = Math.max(thermal.max - thermal.min, 1e-6);
      for (const end of ["low", "high"]) {
        Object.assign(find(end), { min: thermal.min, max: thermal.max, step: thermal.unit === "C" ? Math.max(span / STEPS, 0.01) : Math.max(span / STEPS, thermal.unit === "values" ? 0 : 1) });
        find(end).value = thermal[end];
      }
    }
    this.showEnds();
  }

  /** Keep the low end below the high one by moving the other slider. */
  keepOrder(moved) {
    const [low, high] = [this.find("low"), this.find("high")];
    if (Number(low.value) < Number(high.value)) return;
    const other = moved === "low" ? high : low;
    const step = Number(low.step) * (moved === "low" ? 1 : -1);
    other.value = Number(this.find(moved).value) + step;
    if (Number(low.value) >= Number(high.value)) this.find(moved).value = Number(other.value) - step;
  }

  number(end) {
    const value = Number(this.find(end).value);
    return this.range && this.range.max - this.range.min < 20 ? value.toFixed(2) : value.toFixed(this.range?.unit === "C" ? 1 : 0);
  }

  ends() {
    if (!this.range) return "";
    return `${this.number("low")}..${this.number("high")}${this.range.unit === "C" ? "C" : ""}`;
  }

  showEnds() {
    for (const end of ["low", "high"]) {
      const text = this.number(end) + UNITS[this.range?.unit ?? "levels"];
      this.find(`${end}-value`).textContent = text;
      this.find(end).setAttribute("aria-valuetext", text);
    }
  }

  /** Update what depends on the selected method and window. */
  update() {
    const { find } = this;
    find("ends").hidden = find("window").value !== "range";
    find("method-hint").textContent = label(this.methods?.[find("method").value]?.summary ?? "", " ");
  }
}

function label(name, dash = "-") {
  const text = name.replaceAll(dash, " ");
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
