// The page: takes files, sends requests and shows the results. Everything is kept in this tab only.

import { RequestError, blobOf, call, formOf, onToken } from "/static/api.js";
import { Controls } from "/static/controls.js";
import { containsBoth, inOrder } from "/static/pairing.js";
import { Scores } from "/static/scores.js";
import { Viewer } from "/static/viewer.js";

const find = (id) => document.getElementById(id);
const FUSE_DELAY = 140; // ms without a change before a request is sent
const SCORE_DELAY = 700; // ms without a change before scores are computed
const CACHE_SIZE = 24; // results that are kept, to switch back at once
const SMALL = 4e6; // pixels up to which PNG is fetched and scores are computed without being asked for
const REGISTER_HINT = "Aligns the infrared image with the visible one if the cameras have different viewpoints.";
const LABELS = { infrared: "Infrared", visible: "Visible", fused: "Fused" };

const files = { ir: null, vi: null };
const results = new Map();
let capabilities = null;
let single = false; // the infrared file contains both images
let current = null; // the displayed result
let running = null; // AbortController of the running request
let fuseTimer = 0;
let scoreTimer = 0;
let pixels = 0; // of the last result

const viewer = new Viewer(find);
const scores = new Scores(find);
const controls = new Controls(find, () => scheduleFusion());

// Messages

function showError(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof RequestError)) console.error(error);
  find("problem").textContent = error instanceof RequestError ? error.message[0].toUpperCase() + error.message.slice(1) : "The page encountered an unexpected error; please reload it.";
  find("problem").hidden = false;
}

function clearError() { find("problem").hidden = true; }

function setStatus(text) { find("status").textContent = text; }

// Files

async function addFiles(given, slot = null) {
  clearError();
  const list = [...given].slice(0, 2);
  if (!list.length) return;
  if (list.length === 2) [files.ir, files.vi] = inOrder(...list);
  else if (slot) files[slot] = list[0];
  else if (await containsBoth(list[0])) Object.assign(files, { ir: list[0], vi: null });
  else files[files.ir && !files.vi ? "vi" : "ir"] = list[0];
  await pairChanged();
}

async function pairChanged(settings = {}) {
  single = Boolean(files.ir && !files.vi && await containsBoth(files.ir));
  clearResults();
  controls.reset({ single, ...settings });
  find("swap").disabled = single;
  for (const place of ["ir", "vi"]) {
    const file = files[place];
    find(`name-${place}`).textContent = file ? file.name : place === "vi" && single ? "Included in the infrared file" : "Drop or choose a file";
    find(`slot-${place}`).classList.toggle("filled", Boolean(file));
    find(`thumb-${place}`).hidden = true;
  }
  if (files.ir && (files.vi || single)) scheduleFusion(0);
  else if (files.ir || files.vi) find(files.ir ? "name-vi" : "name-ir").textContent = "Now drop or choose this image";
}

function clearResults() {
  running?.abort();
  for (const { urls } of results.values()) Object.values(urls).forEach(URL.revokeObjectURL);
  results.clear();
  current = null;
  pixels = 0;
}

async function loadSample() {
  clearError();
  find("sample").disabled = true;
  find("sample").textContent = "Rendering the sample …";
  try {
    const fetchImage = async (name) => new File([await (await call(`/api/sample/night/${name}`)).blob()], `street-at-night-${name}.png`, { type: "image/png" });
    files.ir = await fetchImage("infrared");
    files.vi = await fetchImage("visible");
    await pairChanged({ scale: "0.01K" });
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
  if (!files.ir || !(files.vi || single)) return;
  fuseTimer = setTimeout(fuse, delay);
}

async function fuse() {
  running?.abort();
  const fields = controls.fields();
  const key = JSON.stringify(fields);
  if (results.has(key)) { show(results.get(key)); return; }
  running = new AbortController();
  const { signal } = running;
  document.body.dataset.state = "ready";
  find("busy").hidden = false;
  if (!current) setStatus("Fusing …");
  try {
    checkSize();
    const form = formOf({ ir: files.ir, vi: files.vi, ...fields, format: "json", encoding: pixels > SMALL ? "jpeg" : "png", previews: "true" });
    const result = withUrls(await (await call("/api/fuse", { form, signal })).json(), fields);
    results.set(key, result);
    if (results.size > CACHE_SIZE) evict(results.keys().next().value);
    clearError();
    show(result);
  } catch (error) {
    if (!signal.aborted) { showError(error); if (!current) document.body.dataset.state = "empty"; }
  } finally {
    if (running?.signal === signal) find("busy").hidden = true;
  }
}

function checkSize() {
  const total = (files.ir?.size ?? 0) + (files.vi?.size ?? 0);
  if (capabilities && total > capabilities.limits.upload_bytes) throw new RequestError(`The images are ${(total / 1e6).toFixed(1)} MB together; this server accepts up to ${(capabilities.limits.upload_bytes / 1e6).toFixed(0)} MB.`);
}

function evict(key) {
  const old = results.get(key);
  results.delete(key);
  if (old !== current) Object.values(old.urls).forEach(URL.revokeObjectURL);
}

function withUrls(reply, fields) {
  const blobs = { fused: blobOf(reply.image, reply.media_type), infrared: blobOf(reply.infrared, "image/jpeg"), visible: blobOf(reply.visible, "image/jpeg") };
  const urls = Object.fromEntries(Object.entries(blobs).map(([name, blob]) => [name, URL.createObjectURL(blob)]));
  const { image, infrared, visible, ...metadata } = reply;
  return { ...metadata, fields, blobs, urls };
}

function show(result) {
  current = result;
  pixels = result.width * result.height;
  find("busy").hidden = true;
  const [left, right] = find("compare").querySelector(":checked").value.split(" ");
  viewer.show({ url: result.urls[left], label: LABELS[left] }, { url: result.urls[right], label: LABELS[right] }, result.width, result.height);
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

function showRegistration(registration) {
  find("register-hint").textContent = registration?.summary ?? REGISTER_HINT;
}

// Scores

function scheduleScores(result) {
  clearTimeout(scoreTimer);
  const known = scores.has(result);
  const onDemand = pixels > SMALL && !known;
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
    await scores.showScoresOf(current, { ir: files.ir, vi: files.vi }, running?.signal);
  } catch (error) {
    scores.clear(error instanceof RequestError ? error.message : "");
  }
}

// Downloads

async function download(kind) {
  if (!current) return;
  clearError();
  const suffix = kind === "jpeg" ? "jpg" : "png";
  try {
    let blob = current.blobs.fused;
    if (kind !== "png" || blob.type !== "image/png") {
      const form = formOf({ ir: files.ir, vi: files.vi, ...current.fields, format: kind === "jpeg" ? "jpeg" : "png", bits: kind === "png16" ? 16 : "" });
      blob = await (await call("/api/fuse", { form })).blob();
    }
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `fused.${suffix}` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
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
  addFiles(event.dataTransfer.files, slot ? slot.id.slice(5) : null).catch(showError);
});
find("sample").addEventListener("click", loadSample);
find("swap").addEventListener("click", () => { [files.ir, files.vi] = [files.vi, files.ir]; pairChanged().catch(showError); });
find("compare").addEventListener("change", () => current && show(current));
find("score").addEventListener("click", computeScores);
document.querySelectorAll("[data-download]").forEach((button) => button.addEventListener("click", () => download(button.dataset.download)));

onToken(() => new Promise((resolve) => {
  const dialog = find("token-dialog");
  dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? find("token").value.trim() : null), { once: true });
  dialog.showModal();
}));

try {
  capabilities = await (await call("/api/methods")).json();
  controls.configure(capabilities);
  scores.configure(capabilities);
} catch (error) {
  showError(error);
}
