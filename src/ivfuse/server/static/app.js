// The page: takes files, sends requests and shows the results. Everything is kept in this tab only.

import { RequestError, call, formOf, onToken } from "/static/api.js";
import { Batch, MAX_PAIRS } from "/static/batch.js";
import { Controls } from "/static/controls.js";
import { droppedFiles } from "/static/files.js";
import { Fusion } from "/static/fusion.js";
import { MethodGrid } from "/static/methods.js";
import { containsBoth, inOrder, pairFiles } from "/static/pairing.js";
import { Probe } from "/static/probe.js";
import { save } from "/static/save.js";
import { Scores } from "/static/scores.js";
import { Viewer } from "/static/viewer.js";

const find = (id) => document.getElementById(id);
const FUSE_DELAY = 140; // ms without a change before a request is sent
const SCORE_DELAY = 700; // ms without a change before scores are computed
const REGISTER_HINT = "Aligns the infrared image with the visible one if the cameras have different viewpoints.";
const LABELS = { infrared: "Infrared", visible: "Visible", fused: "Fused" };
const EMPTY = "Drop or choose files";

let chosen = { ir: [], vi: [] }; // files by slot
let current = null; // the displayed result
let running = null; // AbortController of the running request
let fuseTimer = 0;
let scoreTimer = 0;

const fusion = new Fusion();
const viewer = new Viewer(find);
const probe = new Probe(find, viewer);
const scores = new Scores(find);
const controls = new Controls(find, () => { batch.update(); scheduleFusion(); });
const methods = new MethodGrid(find, { fusion, viewer, use: showAlone, failed: showError });
const batch = new Batch(find, { choose: (pair) => showPair(pair), fields: () => controls.fields(), failed: showError });

// Messages

function showError(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof RequestError)) console.error(error);
  find("problem").textContent = error instanceof RequestError ? error.message : "The page encountered an unexpected error; please reload it.";
  find("problem").hidden = false;
}

function clearError() { find("problem").hidden = true; }

function setStatus(text) { find("status").textContent = text; }

// Files

async function addFiles(given, slot = null) {
  clearError();
  const list = [...given];
  if (!list.length) return;
  if (slot) chosen = { ...chosen, [slot]: list };
  else if (list.length === 1) chosen = await withOne(list[0]);
  else if (list.length === 2 && !(await Promise.all(list.map(containsBoth))).every(Boolean)) {
    const [ir, vi] = inOrder(...list);
    chosen = { ir: [ir], vi: [vi] };
  } else return showBatch(await pairFiles({ others: list }));
  if (chosen.ir.length <= 1 && chosen.vi.length <= 1) return showChosen();
  const found = await pairFiles(chosen);
  return found.pairs.length || (chosen.ir.length && chosen.vi.length) ? showBatch(found) : showSlots();
}

/** The choice after a further file, which fills the empty slot unless it contains both images. */
async function withOne(file) {
  if (await containsBoth(file)) return { ir: [file], vi: [] };
  const waits = chosen.ir.length === 1 && !chosen.vi.length;
  return waits ? { ir: chosen.ir, vi: [file] } : { ir: [file], vi: chosen.ir.length ? [] : chosen.vi };
}

async function showChosen(settings = {}) {
  const [ir, vi] = [chosen.ir[0] ?? null, chosen.vi[0] ?? null];
  const single = Boolean(ir && !vi && await containsBoth(ir));
  batch.set([]);
  controls.reset({ single, ...settings });
  if (ir && (vi || single)) showPair({ ir, vi });
  else showSlots();
}

function showBatch({ pairs, rest }) {
  if (!pairs.length) throw new RequestError(`No pair was found among ${rest.length} files; expected names like x_ir.png and x_vi.png, or equal names in folders ir and vi.`);
  if (pairs.length > MAX_PAIRS) throw new RequestError(`The batch has ${pairs.length} pairs; this page takes up to ${MAX_PAIRS}, and ivfuse fuse any number.`);
  batch.limit = fusion.limit;
  batch.set(pairs, rest);
  chosen = { ir: pairs.map(({ ir }) => ir), vi: pairs.flatMap(({ vi }) => vi ?? []) };
  controls.reset({ single: pairs.every(({ vi }) => !vi) });
  showPair(pairs[0]);
}

/** Show the slots while a pair is incomplete. */
function showSlots() {
  stop();
  fusion.setPair(null);
  document.body.dataset.state = "empty";
  for (const [place, other] of [["ir", "vi"], ["vi", "ir"]]) {
    const files = chosen[place];
    const wanted = chosen[other].length ? `Now drop or choose ${chosen[other].length > 1 ? "these images" : "this image"}` : EMPTY;
    nameSlot(place, files.length > 1 ? `${files.length} files` : files[0]?.name ?? wanted, files.length > 0);
  }
}

function nameSlot(place, text, filled) {
  find(`name-${place}`).textContent = text;
  find(`slot-${place}`).classList.toggle("filled", filled);
  find(`thumb-${place}`).hidden = true;
}

/** Show a pair of files; the settings are kept. */
function showPair(pair) {
  stop();
  fusion.setPair(pair);
  batch.mark(pair);
  find("swap").disabled = !pair.vi || batch.rows.length > 0;
  nameSlot("ir", pair.ir.name, true);
  nameSlot("vi", pair.vi?.name ?? "Included in the infrared file", Boolean(pair.vi));
  scheduleFusion(0);
}

function stop() {
  running?.abort();
  methods.hide();
  current = null;
}

async function loadSample() {
  clearError();
  find("sample").disabled = true;
  find("sample").textContent = "Rendering the sample …";
  try {
    const fetchImage = async (name) => new File([await (await call(`/api/sample/night/${name}`)).blob()], `street-at-night-${name}.png`, { type: "image/png" });
    chosen = { ir: [await fetchImage("infrared")], vi: [await fetchImage("visible")] };
    await showChosen({ scale: "0.01K" });
  } catch (error) {
    showError(error);
  } finally {
    find("sample").disabled = false;
    find("sample").textContent = "Try a sample pair";
  }
}

// Fusing

function scheduleFusion(delay = FUSE_DELAY) {
  clearTimeout(fuseTimer);
  clearTimeout(scoreTimer);
  if (fusion.pair) fuseTimer = setTimeout(fuse, delay);
}

async function fuse() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  document.body.dataset.state = "ready";
  find("busy").hidden = false;
  if (!current) setStatus("Fusing …");
  try {
    const result = await fusion.fuse(controls.fields(), signal);
    if (signal.aborted) return;
    clearError();
    show(result);
  } catch (error) {
    if (signal.aborted) return;
    showError(error);
    if (current) return;
    if (batch.rows.length) showNothing();
    else document.body.dataset.state = "empty";
  } finally {
    if (running?.signal === signal) find("busy").hidden = true;
  }
}

/** Show no image: the pair of a batch that is displayed failed. */
function showNothing() {
  find("single").hidden = true;
  find("notes").hidden = true;
  setDownloads(false);
  probe.set(null);
  scores.clear();
  setStatus("This pair cannot be fused.");
}

function show(result) {
  current = result;
  find("busy").hidden = true;
  setDownloads(true);
  showImages(result);
  for (const [place, name] of [["ir", "infrared"], ["vi", "visible"]]) {
    find(`thumb-${place}`).src = result.urls[name];
    find(`thumb-${place}`).hidden = false;
    find(`slot-${place}`).classList.add("filled");
  }
  setStatus(`Fused by ${result.method} in ${result.seconds.toFixed(2)} s, ${result.width} × ${result.height} pixels.`);
  controls.setRange(result.thermal);
  showRegistration(result.registration);
  find("notes").querySelector("ul").replaceChildren(...result.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
  find("notes").hidden = !result.notes.length;
  scheduleScores(result);
}

/** Show two images with a divider, or the methods side by side. */
function showImages(result) {
  const choice = find("compare").querySelector(":checked").value;
  const side = choice === "methods";
  find("single").hidden = side;
  const [left, right] = side ? ["infrared", "fused"] : choice.split(" ");
  viewer.show({ url: result.urls[left], label: LABELS[left] }, { url: result.urls[right], label: LABELS[right] }, result.width, result.height);
  probe.set(side ? null : fusion.temperatures(result));
  if (side) methods.show(result).catch(showError);
  else methods.hide();
}

/** Show one method of those side by side. */
function showAlone(name) {
  find("method").value = name;
  controls.update();
  find("compare").querySelector("input").checked = true;
  find("compare").querySelector("input").focus();
  scheduleFusion(0);
}

function showRegistration(registration) {
  find("register-hint").textContent = registration?.summary ?? REGISTER_HINT;
}

// Scores

function scheduleScores(result) {
  clearTimeout(scoreTimer);
  const known = scores.has(result);
  const onDemand = fusion.large && !known;
  find("score").hidden = !onDemand;
  if (onDemand) scores.clear("Computing the scores of an image of this size takes a while.");
  else {
    if (!known) scores.clear("Computing scores …");
    scoreTimer = setTimeout(computeScores, known ? 0 : SCORE_DELAY);
  }
}

async function computeScores() {
  find("score").hidden = true;
  try {
    await scores.showScoresOf(current, { ir: fusion.pair.ir, vi: fusion.pair.vi }, running?.signal);
  } catch (error) {
    scores.clear(error instanceof RequestError ? error.message : "");
  }
}

// Downloads

const downloads = document.querySelectorAll("[data-download]");

function setDownloads(possible) { downloads.forEach((button) => { button.disabled = !possible; }); }

async function download(kind) {
  if (!current) return;
  clearError();
  try {
    let blob = current.blobs.fused;
    if (kind !== "png" || blob.type !== "image/png") {
      const form = formOf({ ir: fusion.pair.ir, vi: fusion.pair.vi, ...current.fields, format: kind === "jpeg" ? "jpeg" : "png", bits: kind === "png16" ? 16 : "" });
      blob = await (await call("/api/fuse", { form })).blob();
    }
    save(blob, `fused.${kind === "jpeg" ? "jpg" : "png"}`);
  } catch (error) {
    showError(error);
  }
}

// Event handlers

for (const place of ["ir", "vi"]) {
  const slot = find(`slot-${place}`);
  find(`file-${place}`).addEventListener("change", (event) => { addFiles(event.target.files, place).catch(showError); event.target.value = ""; });
  slot.addEventListener("dragover", () => slot.classList.add("over"));
  for (const name of ["dragleave", "drop"]) slot.addEventListener(name, () => slot.classList.remove("over"));
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const slot = event.target.closest?.(".slot");
  droppedFiles(event.dataTransfer).then((files) => addFiles(files, slot ? slot.id.slice(5) : null)).catch(showError);
});
find("sample").addEventListener("click", loadSample);
find("swap").addEventListener("click", () => { chosen = { ir: chosen.vi, vi: chosen.ir }; showChosen().catch(showError); });
find("compare").addEventListener("change", () => current && showImages(current));
find("score").addEventListener("click", computeScores);
downloads.forEach((button) => button.addEventListener("click", () => download(button.dataset.download)));

onToken(() => new Promise((resolve) => {
  const dialog = find("token-dialog");
  dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? find("token").value.trim() : null), { once: true });
  dialog.showModal();
}));

try {
  const capabilities = await (await call("/api/methods")).json();
  fusion.limit = capabilities.limits.upload_bytes;
  controls.configure(capabilities);
  scores.configure(capabilities);
  methods.configure(capabilities);
} catch (error) {
  showError(error);
}
