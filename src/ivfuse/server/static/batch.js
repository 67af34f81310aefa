// A batch of pairs: fused one after the other with the settings of the page, and downloaded as a ZIP archive.

import { RequestError, call, formOf } from "/static/api.js";
import { make } from "/static/dom.js";
import { checkSize } from "/static/fusion.js";
import { save } from "/static/save.js";
import { zip } from "/static/zip.js";

export const MAX_PAIRS = 1000;
const MAX_BYTES = 2e9; // of the results, which this tab keeps
const FORMATS = { png: { format: "png" }, jpeg: { format: "jpeg" }, png16: { format: "png", bits: "16" } };
const FORBIDDEN = /[\\/:*?"<>|\u0000-\u001f]/g; // in file names

export class Batch {
  /** `choose(pair)` shows a pair; `fields()` are those of a request; `failed(error)` shows an error. */
  constructor(find, { choose, fields, failed }) {
    Object.assign(this, { find, choose, fields, failed, rows: [], running: null, limit: Infinity });
    find("batch-run").addEventListener("click", () => this.run().catch(failed));
    find("batch-stop").addEventListener("click", () => this.running?.abort());
    find("batch-zip").addEventListener("click", () => this.download().catch(failed));
    find("batch-format").addEventListener("change", () => this.update());
  }

  /** Take pairs { name, ir, vi }, and { file, reason } of files without a partner; none hide the batch. */
  set(pairs, rest = []) {
    this.running?.abort();
    this.rows = pairs.map((pair) => this.row(pair));
    this.rest = rest;
    this.find("batch").hidden = !pairs.length;
    this.find("batch-list").replaceChildren(...this.rows.map(({ element }) => element),
      ...rest.map(({ file, reason }) => make("li", {}, make("span", { className: "name", textContent: file.name }), make("span", { className: "fact failed", textContent: `Left out: ${reason}` }))));
    this.update();
  }

  row(pair) {
    const button = make("button", { type: "button", className: "link", textContent: pair.name, title: `Show ${pair.name}` });
    const fact = make("span", { className: "fact" });
    button.addEventListener("click", () => this.choose(pair));
    return { pair, button, fact, element: make("li", {}, button, fact), key: "", blob: null, error: "" };
  }

  /** Mark the displayed pair. */
  mark(pair) {
    for (const row of this.rows) {
      if (row.pair === pair) row.button.setAttribute("aria-current", "true");
      else row.button.removeAttribute("aria-current");
    }
  }

  /** The settings that a result was made with. */
  key() { return JSON.stringify([this.fields(), this.find("batch-format").value]); }

  /** Show the state of each pair; results of other settings count as missing. */
  update() {
    const { find, rows, rest } = this;
    const key = this.key();
    for (const row of rows) {
      const current = row.key === key;
      row.fact.textContent = row.busy ? "Fusing …" : !current ? "" : row.error || "Fused";
      row.fact.classList.toggle("failed", current && Boolean(row.error));
    }
    const done = rows.filter((row) => row.key === key);
    const failures = done.filter((row) => row.error).length;
    const waiting = rows.length - done.length;
    const parts = [`${done.length - failures} of ${rows.length} pairs fused`];
    if (failures) parts.push(`${failures} failed`);
    if (rest?.length) parts.push(`${rest.length} ${rest.length === 1 ? "file" : "files"} left out`);
    find("batch-status").textContent = parts.join(", ");
    Object.assign(find("batch-progress"), { max: Math.max(rows.length, 1), value: done.length });
    find("batch-run").hidden = Boolean(this.running);
    find("batch-run").disabled = !waiting && !failures;
    find("batch-run").textContent = done.length && waiting ? `Fuse the remaining ${waiting}` : failures && !waiting ? "Retry the failed ones" : "Fuse all";
    find("batch-run").classList.toggle("main", waiting > 0);
    find("batch-stop").hidden = !this.running;
    find("batch-zip").classList.toggle("main", !waiting);
    find("batch-zip").disabled = Boolean(this.running) || done.length === failures;
    find("batch-format").disabled = Boolean(this.running);
  }

  /** Fuse the pairs that lack a result; the failure of one does not stop the others. */
  async run() {
    const running = this.running = new AbortController();
    const { signal } = running;
    const key = this.key();
    const fields = { ...this.fields(), ...FORMATS[this.find("batch-format").value] };
    try {
      for (const row of this.rows.filter((each) => each.key !== key || each.error)) {
        if (signal.aborted) break;
        this.checkMemory();
        await this.fuse(row, fields, key, signal);
      }
    } finally {
      if (this.running === running) this.running = null;
      this.update();
    }
  }

  async fuse(row, fields, key, signal) {
    row.busy = true;
    this.update();
    try {
      checkSize(row.pair, this.limit);
      const form = formOf({ ir: row.pair.ir, vi: row.pair.vi, ...fields });
      const blob = await (await call("/api/fuse", { form, signal })).blob();
      Object.assign(row, { blob, error: "", key });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof RequestError)) throw error;
      Object.assign(row, { blob: null, error: error.message, key });
    } finally {
      row.busy = false;
      this.update();
    }
  }

  checkMemory() {
    const bytes = this.rows.reduce((sum, { blob }) => sum + (blob?.size ?? 0), 0);
    if (bytes > MAX_BYTES) throw new RequestError(`The fused images are larger than ${MAX_BYTES / 1e9} GB, the most that this page keeps; use ivfuse fuse for such a batch.`);
  }

  /** Save the results as an archive, which lists the failures. */
  async download() {
    const key = this.key();
    const suffix = this.find("batch-format").value === "jpeg" ? "jpg" : "png";
    const done = this.rows.filter((row) => row.key === key);
    const taken = new Set();
    const files = done.filter(({ blob }) => blob).map(({ pair, blob }) => ({ name: uniqueName(pair.name, suffix, taken), blob }));
    const failures = [...done.filter(({ error }) => error).map(({ pair, error }) => `${pair.name}: ${error}`),
      ...this.rest.map(({ file, reason }) => `${file.name}: ${reason}`)];
    if (failures.length) files.push({ name: uniqueName("not fused", "txt", taken), blob: new Blob([`${failures.join("\n")}\n`]) });
    save(await zip(files), "fused.zip");
  }
}

function uniqueName(wanted, suffix, taken) {
  const name = wanted.replace(FORBIDDEN, "_");
  for (let number = 1; ; number++) {
    const file = `${name}${number > 1 ? `-${number}` : ""}.${suffix}`;
    if (taken.has(file.toLowerCase())) continue;
    taken.add(file.toLowerCase());
    return file;
  }
}
