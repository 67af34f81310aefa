// The choices: method, colors, thermal range; what they say is what the server is asked for.

const STEPS = 400; // of the sliders of the thermal range
const UNITS = { C: " °C", levels: "", counts: "", values: "" };

const make = (tag, facts = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), facts);
  made.append(...children);
  return made;
};

export class Controls {
  constructor(find, changed) {
    this.find = find;
    this.range = null;
    find("choices").addEventListener("submit", (event) => event.preventDefault());
    find("choices").addEventListener("change", (event) => {
      if (event.target.type === "range") return;
      if (event.target.id === "scale") find("window").value = "percentile"; // ends in other units mean nothing
      this.tell();
      changed();
    });
    for (const end of ["low", "high"]) {
      find(end).addEventListener("input", () => { this.keepOrder(end); this.sayEnds(); changed(); });
    }
  }

  /** Fill in what the server can do. */
  fill(can) {
    const { find } = this;
    this.methods = Object.fromEntries(can.methods.map((method) => [method.name, method]));
    const groups = [["learned", "Trained"], ["classical", "Classical"]].map(([kind, label]) =>
      make("optgroup", { label }, ...can.methods.filter((each) => each.kind === kind)
        .map(({ name }) => make("option", { value: name, textContent: name + (name === can.default ? " (default)" : "") }))));
    find("method").replaceChildren(...groups.filter((group) => group.children.length));
    find("method").value = can.default;
    const chips = [["", "Photo", "photo"], ["gray", "Gray", "gray"], ...can.palettes.map(({ name, colors }) => [name, label(name), colors])];
    find("colors").replaceChildren(...chips.map(([value, text, look]) => {
      const swatch = make("i");
      if (typeof look === "string") swatch.className = look;
      else if (look.length) swatch.style.background = `linear-gradient(90deg, ${look.join(", ")})`;
      const radio = make("input", { type: "radio", name: "color", value, checked: value === "" });
      return make("label", {}, radio, make("span", {}, ...(look.length ? [swatch] : []), text));
    }));
    this.camera = find("colors").querySelector('[value="camera"]')?.parentElement;
    this.tell();
  }

  /** Forget what belonged to the last pair. */
  renew({ scale = "", single = false } = {}) {
    this.find("scale").value = scale;
    this.find("window").value = "percentile";
    this.range = null;
    if (this.camera) this.camera.hidden = !single;
    if (!single && this.color() === "camera") this.find("colors").querySelector("input").checked = true;
    this.tell();
  }

  color() { return this.find("choices").elements.color.value; }

  /** The fields of a request. */
  fields() {
    const { find } = this;
    const color = this.color();
    return {
      method: find("method").value,
      gray: color === "gray" ? "true" : "",
      palette: color === "gray" ? "" : color,
      window: find("window").value === "range" ? this.ends() : find("window").value === "plateau" ? "plateau" : "",
      scale: find("scale").value,
      register: find("register").checked ? "true" : "",
    };
  }

  /** Take the range of the thermal values from an answer. */
  learn(thermal) {
    if (!thermal) return;
    const { find } = this;
    const news = !this.range || this.range.unit !== thermal.unit || this.range.min !== thermal.min || this.range.max !== thermal.max;
    this.range = thermal;
    find("scale-field").hidden = !["counts", "values"].includes(thermal.unit) && !find("scale").value;
    if (news || find("window").value !== "range") {
      const span = Math.max(thermal.max - thermal.min, 1e-6);
      for (const end of ["low", "high"]) {
        Object.assign(find(end), { min: thermal.min, max: thermal.max, step: thermal.unit === "C" ? Math.max(span / STEPS, 0.01) : Math.max(span / STEPS, thermal.unit === "values" ? 0 : 1) });
        find(end).value = thermal[end];
      }
    }
    this.sayEnds();
  }

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

  sayEnds() {
    for (const end of ["low", "high"]) {
      const text = this.number(end) + UNITS[this.range?.unit ?? "levels"];
      this.find(`${end}-said`).textContent = text;
      this.find(end).setAttribute("aria-valuetext", text);
    }
  }

  tell() {
    const { find } = this;
    find("ends").hidden = find("window").value !== "range";
    find("method-said").textContent = label(this.methods?.[find("method").value]?.summary ?? "", " ");
  }
}

function label(name, dash = "-") {
  const text = name.replaceAll(dash, " ");
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
