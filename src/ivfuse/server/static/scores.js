// The table of scores, which the server computes once the image has not changed for a while.

import { call, formOf } from "/static/api.js";

export class Scores {
  constructor(find) {
    Object.assign(this, { find, names: [], summaries: {}, cache: new WeakMap() });
  }

  /** Take the names and summaries of the metrics from the server's capabilities. */
  configure(capabilities) {
    this.names = capabilities.usual_metrics;
    this.summaries = Object.fromEntries(capabilities.metrics.map(({ name, summary }) => [name, summary]));
  }

  /** Whether the scores of a result are known. */
  has(result) { return this.cache.has(result); }

  /** Show the scores of a result, after computing them from its source images (ir, vi) if needed. */
  async showScoresOf(result, images, signal) {
    this.clear("Computing scores …");
    if (!this.has(result)) {
      // The server scores the images that it fuses; the previews are encoded with loss.
      const form = formOf({ ...images, ...result.fields, format: "json", encoding: "jpeg", metrics: this.names.join(",") });
      this.cache.set(result, (await (await call("/api/fuse", { form, signal })).json()).scores);
    }
    this.show(this.cache.get(result));
  }

  clear(text = "") {
    this.find("scores").tBodies[0].replaceChildren();
    this.find("scores-hint").textContent = text;
  }

  show({ values, higher_is_better: higher, reasons }) {
    const cell = (tag, text, properties = {}) => Object.assign(document.createElement(tag), { textContent: text }, properties);
    this.find("scores").tBodies[0].replaceChildren(...Object.entries(values).map(([name, value]) => {
      const row = document.createElement("tr");
      const direction = cell("td", higher[name] ? "↑" : "↓", { title: higher[name] ? "higher is better" : "lower is better" });
      direction.setAttribute("aria-label", direction.title);
      row.append(cell("th", name, { scope: "row", title: this.summaries[name] ?? "" }),
        cell("td", value === null ? "–" : value.toFixed(value >= 100 ? 1 : 3), { title: reasons[name] ?? "" }), direction);
      return row;
    }));
    this.find("scores-hint").textContent = "Computed from the fused image without compression. Scores compare methods on one pair; they do not replace visual inspection.";
  }
}
