// The scores of a result, computed by the server when the image stands still.

import { call, formOf } from "/static/api.js";

export class Scores {
  constructor(find) {
    Object.assign(this, { find, names: [], summaries: {}, known: new WeakMap() });
  }

  fill(can) {
    this.names = can.usual_metrics;
    this.summaries = Object.fromEntries(can.metrics.map(({ name, summary }) => [name, summary]));
  }

  /** Show the scores of a result; compute them unless they are known. */
  async of(result, signal) {
    this.clear("Measuring …");
    if (!this.known.has(result)) {
      const form = formOf({ fused: result.blobs.fused, ir: result.blobs.infrared, vi: result.blobs.visible, metrics: this.names.join(",") });
      this.known.set(result, await (await call("/api/metrics", { form, signal })).json());
    }
    this.show(this.known.get(result));
  }

  clear(text = "") {
    this.find("scores").tBodies[0].replaceChildren();
    this.find("scores-said").textContent = text;
  }

  show({ values, higher_is_better: higher, reasons }) {
    const cell = (tag, text, facts = {}) => Object.assign(document.createElement(tag), { textContent: text }, facts);
    this.find("scores").tBodies[0].replaceChildren(...Object.entries(values).map(([name, value]) => {
      const row = document.createElement("tr");
      const better = cell("td", higher[name] ? "↑" : "↓", { title: higher[name] ? "higher is better" : "lower is better" });
      better.setAttribute("aria-label", better.title);
      row.append(cell("th", name, { scope: "row", title: this.summaries[name] ?? "" }),
        cell("td", value === null ? "–" : value.toFixed(value >= 100 ? 1 : 3), { title: reasons[name] ?? "" }), better);
      return row;
    }));
    this.find("scores-said").textContent = "Of the image as it is shown. Scores compare methods on one pair; they do not replace looking.";
  }
}
