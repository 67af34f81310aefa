// The page: files in, requests to the server, images out. Nothing is kept but in this tab.

import { Refusal, blobOf, call, formOf, onToken } from "/static/api.js";
import { Controls } from "/static/controls.js";
import { holdsBoth, inOrder } from "/static/pairing.js";
import { Scores } from "/static/scores.js";
import { Viewer } from "/static/viewer.js";

const find = (id) => document.getElementById(id);
const CALM = 140; // ms without a change before the server is asked
const STILL = 700; // ms before the scores are computed
const KEPT = 24; // results that are kept, to switch back at once
const SMALL = 4e6; // pixels up to which PNG is fetched, and scores are computed unasked
const LABELS = { infrared: "Infrared", visible: "Visible", fused: "Fused" };

const files = { ir: null, vi: null };
const results = new Map();
let can = null;
let single = false; // the infrared file holds both images
let shown = null;
let running = null;
let timer = 0;
let scoring = 0;
let size = 0; // pixels of the last result

const viewer = new Viewer(find);
const scores = new Scores(find);
const controls = new Controls(find, () => later());

// Problems and words

function complain(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Refusal)) console.error(error);
  find("problem").textContent = error instanceof Refusal ? error.message[0].toUpperCase() + error.message.slice(1) : "The page met an error that it did not expect; please load it again.";
  find("problem").hidden = false;
}

function calm() { find("problem").hidden = true; }

function say(text) { find("status").textContent = text; }

// Files

async function take(given, place = null) {
  calm();
  const list = [...given].slice(0, 2);
  if (!list.length) return;
  if (list.length === 2) [files.ir, files.vi] = inOrder(...list);
  else if (place) files[place] = list[0];
  else if (await holdsBoth(list[0])) Object.assign(files, { ir: list[0], vi: null });
  else files[files.ir && !files.vi ? "vi" : "ir"] = list[0];
  await pairChanged();
}

async function pairChanged(facts = {}) {
  single = Boolean(files.ir && !files.vi && await holdsBoth(files.ir));
  forget();
  controls.renew({ single, ...facts });
  find("swap").disabled = single;
  for (const place of ["ir", "vi"]) {
    const file = files[place];
    find(`name-${place}`).textContent = file ? file.name : place === "vi" && single ? "Taken from the same file" : "Drop or choose a file";
    find(`slot-${place}`).classList.toggle("filled", Boolean(file));
    find(`thumb-${place}`).hidden = true;
  }
  if (files.ir && (files.vi || single)) later(0);
  else if (files.ir || files.vi) find(files.ir ? "name-vi" : "name-ir").textContent = "Now drop or choose this one";
}

function forget() {
  running?.abort();
  for (const { urls } of results.values()) Object.values(urls).forEach(URL.revokeObjectURL);
  results.clear();
  shown = null;
  size = 0;
}

async function sample() {
  calm();
  find("sample").disabled = true;
  find("sample").textContent = "Painting a street …";
  try {
    const part = async (name) => new File([await (await call(`/api/sample/night/${name}`)).blob()], `street-by-night-${name}.png`, { type: "image/png" });
    files.ir = await part("infrared");
    files.vi = await part("visible");
    await pairChanged({ scale: "0.01K" });
  } catch (error) {
    complain(error);
  } finally {
    find("sample").disabled = false;
    find("sample").textContent = "Try the sample";
  }
}

// Fusing

function later(wait = CALM) {
  clearTimeout(timer);
  clearTimeout(scoring);
  if (!files.ir || !(files.vi || single)) return;
  timer = setTimeout(refuse, wait);
}

async function refuse() {
  running?.abort();
  const fields = controls.fields();
  const key = JSON.stringify(fields);
  if (results.has(key)) { show(results.get(key)); return; }
  running = new AbortController();
  const { signal } = running;
  document.body.dataset.state = "ready";
  find("busy").hidden = false;
  if (!shown) say("Fusing …");
  try {
    checkSize();
    const form = formOf({ ir: files.ir, vi: files.vi, ...fields, format: "json", encoding: size > SMALL ? "jpeg" : "png", previews: "true" });
    const result = dressed(await (await call("/api/fuse", { form, signal })).json(), fields);
    results.set(key, result);
    if (results.size > KEPT) drop(results.keys().next().value);
    calm();
    show(result);
  } catch (error) {
    if (!signal.aborted) { complain(error); if (!shown) document.body.dataset.state = "empty"; }
  } finally {
    if (running?.signal === signal) find("busy").hidden = true;
  }
}

function checkSize() {
  const total = (files.ir?.size ?? 0) + (files.vi?.size ?? 0);
  if (can && total > can.limits.upload_bytes) throw new Refusal(`The images are ${(total / 1e6).toFixed(1)} MB together; this server takes ${(can.limits.upload_bytes / 1e6).toFixed(0)} MB.`);
}

function drop(key) {
  const old = results.get(key);
  results.delete(key);
  if (old !== shown) Object.values(old.urls).forEach(URL.revokeObjectURL);
}

function dressed(reply, fields) {
  const blobs = { fused: blobOf(reply.image, reply.media_type), infrared: blobOf(reply.infrared, "image/jpeg"), visible: blobOf(reply.visible, "image/jpeg") };
  const urls = Object.fromEntries(Object.entries(blobs).map(([name, blob]) => [name, URL.createObjectURL(blob)]));
  const { image, infrared, visible, ...facts } = reply;
  return { ...facts, fields, blobs, urls };
}

function show(result) {
  shown = result;
  size = result.width * result.height;
  find("busy").hidden = true;
  const [left, right] = find("compare").querySelector(":checked").value.split(" ");
  viewer.show({ url: result.urls[left], label: LABELS[left] }, { url: result.urls[right], label: LABELS[right] }, result.width, result.height);
  for (const [place, name] of [["ir", "infrared"], ["vi", "visible"]]) {
    find(`thumb-${place}`).src = result.urls[name];
    find(`thumb-${place}`).hidden = false;
    find(`slot-${place}`).classList.add("filled");
  }
  say(`Fused by ${result.method} in ${result.seconds.toFixed(2)} s, ${result.width} × ${result.height} pixels.`);
  controls.learn(result.thermal);
  sayRegistration(result.registration);
  find("notes").querySelector("ul").replaceChildren(...result.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
  find("notes").hidden = !result.notes.length;
  const big = size > SMALL && !scores.known.has(result);
  find("measure").hidden = !big;
  clearTimeout(scoring);
  if (big) scores.clear("Measuring an image of this size takes a while.");
  else { if (!scores.known.has(result)) scores.clear("Measuring …"); scoring = setTimeout(measure, scores.known.has(result) ? 0 : STILL); }
}

function sayRegistration(registration) {
  find("register-said").textContent = registration
    ? `${registration.summary} Score: ${registration.score.toFixed(2)} of 1.`
    : "Lays the infrared image onto the visible one if the cameras did not look from the same place.";
}

async function measure() {
  find("measure").hidden = true;
  try {
    await scores.of(shown, running?.signal);
  } catch (error) {
    scores.clear(error instanceof Refusal ? error.message : "");
  }
}

// Downloads

async function download(kind) {
  if (!shown) return;
  calm();
  const suffix = kind === "jpeg" ? "jpg" : "png";
  try {
    let blob = shown.blobs.fused;
    if (kind !== "png" || blob.type !== "image/png") {
      const form = formOf({ ir: files.ir, vi: files.vi, ...shown.fields, format: kind === "jpeg" ? "jpeg" : "png", bits: kind === "png16" ? 16 : "" });
      blob = await (await call("/api/fuse", { form })).blob();
    }
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `fused.${suffix}` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    complain(error);
  }
}

// Wiring

for (const place of ["ir", "vi"]) {
  const slot = find(`slot-${place}`);
  find(`file-${place}`).addEventListener("change", (event) => { take(event.target.files, place).catch(complain); event.target.value = ""; });
  slot.addEventListener("dragover", () => slot.classList.add("over"));
  for (const name of ["dragleave", "drop"]) slot.addEventListener(name, () => slot.classList.remove("over"));
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const slot = event.target.closest?.(".slot");
  take(event.dataTransfer.files, slot ? slot.id.slice(5) : null).catch(complain);
});
find("sample").addEventListener("click", sample);
find("swap").addEventListener("click", () => { [files.ir, files.vi] = [files.vi, files.ir]; pairChanged().catch(complain); });
find("compare").addEventListener("change", () => shown && show(shown));
find("measure").addEventListener("click", measure);
document.querySelectorAll("[data-download]").forEach((button) => button.addEventListener("click", () => download(button.dataset.download)));

onToken(() => new Promise((answer) => {
  const dialog = find("token-dialog");
  dialog.addEventListener("close", () => answer(dialog.returnValue === "ok" ? find("token").value.trim() : null), { once: true });
  dialog.showModal();
}));

try {
  can = await (await call("/api/methods")).json();
  controls.fill(can);
  scores.fill(can);
} catch (error) {
  complain(error);
}
