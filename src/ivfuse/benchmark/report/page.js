"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const images = JSON.parse(document.getElementById("images").textContent);
const $ = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function shown(value) {
  return value === null ? "–" : Number(value.toPrecision(4)).toString();
}

/* Methods that are hidden vanish from tables, plots and gallery alike. */
for (const box of document.querySelectorAll("nav input")) {
  const apply = () => document.body.classList.toggle("hide-" + box.dataset.method, !box.checked);
  box.addEventListener("change", apply);
  apply();
}

/* Tables sort by a click on a head; quoted rows stay below. */
function number(row, column) {
  const found = parseFloat(row.children[column].textContent.replace(/^[^\d.–-]*/, ""));
  return Number.isNaN(found) ? Infinity : found;
}
for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    const button = make("button", { type: "button", textContent: cell.textContent });
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = cell.ariaSort === "ascending";
      for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
      cell.ariaSort = falling ? "descending" : "ascending";
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => column
        ? number(a, column) - number(b, column)
        : a.cells[0].textContent.localeCompare(b.cells[0].textContent));
      table.tBodies[0].append(...(falling ? rows.reverse() : rows));
    });
  });
}

/* The state of a pair's view: zoom and the place of the image, shared by all images of its card. */
function view(card) {
  const state = { z: 1, x: 0, y: 0 };
  const clamp = (value) => Math.min(0, Math.max(1 - state.z, value));
  function apply() {
    state.x = clamp(state.x);
    state.y = clamp(state.y);
    for (const key of ["z", "x", "y"]) card.style.setProperty("--" + key, state[key]);
    card.classList.toggle("zoomed", state.z > 1);
  }
  return {
    state,
    zoom(factor, px = 0.5, py = 0.5) {
      const z = Math.min(12, Math.max(1, state.z * factor));
      state.x = px - ((px - state.x) * z) / state.z;
      state.y = py - ((py - state.y) * z) / state.z;
      state.z = z;
      apply();
    },
    move(dx, dy) { state.x += dx; state.y += dy; apply(); },
    reset() { state.z = 1; apply(); },
  };
}

function place(frame, event) {
  const box = frame.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, box];
}

function zoomable(frame, look) {
  const fingers = new Map();
  let apart = 0;
  let tapped = 0;
  frame.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    apart = 0;
    if (look.state.z > 1) frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const [px, py, box] = place(frame, event);
    fingers.set(event.pointerId, event);
    if (fingers.size === 1 && look.state.z > 1) {
      look.move((event.clientX - before.clientX) / box.width, (event.clientY - before.clientY) / box.height);
    } else if (fingers.size === 2) {
      const [a, b] = [...fingers.values()];
      const now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (apart) look.zoom(now / apart, px, py);
      apart = now;
    }
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    frame.addEventListener(end, (event) => { fingers.delete(event.pointerId); apart = 0; });
  }
  frame.addEventListener("click", (event) => {
    const again = event.timeStamp - tapped < 350;
    tapped = again ? 0 : event.timeStamp;
    if (!again) return;
    const [px, py] = place(frame, event);
    if (look.state.z > 1) look.reset(); else look.zoom(3, px, py);
  });
  frame.addEventListener("wheel", (event) => {
    if (look.state.z === 1 && !event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    const [px, py] = place(frame, event);
    look.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, px, py);
  }, { passive: false });
}

function keys(card, look) {
  const step = 0.15;
  const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  card.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select")) return;
    if (event.key === "+" || event.key === "=") look.zoom(1.5);
    else if (event.key === "-") look.zoom(1 / 1.5);
    else if (event.key === "0") look.reset();
    else if (moves[event.key] && look.state.z > 1) look.move(...moves[event.key]);
    else return;
    event.preventDefault();
  });
}

/* What a card can show: the sources, then every method. */
function views(pair) {
  return [
    { name: "infrared", image: pair.sources[0], failure: "", states: pair.targets.states[0] },
    { name: "visible", image: pair.sources[1], failure: "", states: pair.targets.states[1] },
    ...pair.methods.map((each, index) => ({ name: data.methods[index], method: index, ...each })),
  ];
}

function image(each, alt) {
  const source = each.image ? images[each.image.number] : "";
  return source ? make("img", { src: source, alt, draggable: false, decoding: "async" }) : null;
}

/* The thermal targets of a pair, drawn over an image of it: each in the color of how it shows there. */
const STATES = { l: "lost", s: "seen", u: "unsure" };
function outlines(pair, states) {
  const [width, height] = pair.targets.size;
  const polygons = pair.targets.polygons.map((points, index) =>
    `<polygon points="${points}" class="${STATES[states[index]]}"/>`);
  const holder = make("template");
  holder.innerHTML = `<svg class="targets" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none">`
    + polygons.join("") + "</svg>";
  return holder.content.firstChild;
}

/* A preview and over it the targets; nothing where there is no preview. */
function outlined(each, pair, alt) {
  const preview = image(each, alt);
  return preview && each.states ? [preview, outlines(pair, each.states)] : preview ? [preview] : [];
}

function lost(states) { return [...states].filter((each) => each === "l").length; }

function compare(pair, look) {
  const all = views(pair).filter((each) => each.image && images[each.image.number]);
  if (all.length < 2) return "";
  const stage = make("div", { className: "frame stage", tabIndex: 0 });
  stage.setAttribute("aria-label", "before and after of " + pair.name);
  const sides = ["left", "right"].map((side) => {
    const select = make("select", {}, ...all.map((each, index) => make("option", { value: index }, each.name)));
    select.setAttribute("aria-label", side + " image");
    select.addEventListener("change", draw);
    return select;
  });
  sides[0].value = Math.min(1, all.length - 1);
  sides[1].value = Math.min(2, all.length - 1);
  const slider = make("input", { type: "range", min: 0, max: 100, value: 50 });
  slider.setAttribute("aria-label", "before and after");
  slider.addEventListener("input", () => stage.style.setProperty("--cut", slider.value + "%"));
  function draw() {
    const [left, right] = sides.map((select) => all[select.value]);
    const over = make("div", { className: "over" }, ...outlined(right, pair, right.name));
    stage.replaceChildren(...outlined(left, pair, left.name), over);
  }
  draw();
  zoomable(stage, look);
  return make("div", { className: "compare" }, stage, slider, make("div", { className: "sides" }, ...sides));
}

function best(pair, metric) {
  const values = pair.methods.map((each) => each.values[metric]).filter((value) => value !== null);
  return data.metrics[metric].higher ? Math.max(...values) : Math.min(...values);
}

function figure(each, pair, metric, look) {
  const frame = make("div", { className: "frame" });
  const shownAs = outlined(each, pair, each.name + " of " + pair.name);
  const preview = shownAs.length > 0;
  if (preview) zoomable(frame, look);
  else shownAs.push(make("div", { className: "failure", textContent: each.failure || "no preview" }));
  frame.append(...shownAs);
  const name = each.image && each.image.link
    ? make("a", { href: each.image.link, textContent: each.name, title: "open the file" })
    : make("span", { textContent: each.name });
  const caption = make("figcaption", {}, name);
  const node = make("figure", { tabIndex: preview ? 0 : -1 }, frame, caption);
  if (each.method !== undefined) {
    node.classList.add("m" + each.method);
    const value = metric === "lost" ? null : each.values[metric];
    const said = metric === "lost" ? lostText(each) : value === null ? each.failure || "no value" : data.metrics[metric].name + " " + shown(value);
    caption.append(" ", make("span", { className: "value", textContent: said }));
    if (value !== null && value === best(pair, metric)) node.classList.add("top");
  }
  return node;
}

function lostText(each) {
  if (each.failure || each.states === undefined) return each.failure || "no image";
  return each.states ? lost(each.states) + " of " + each.states.length + " targets lost" : "no target";
}

function fill(card, pair, metric) {
  const look = view(card);
  const button = (text, label, act) => {
    const node = make("button", { type: "button", textContent: text });
    node.setAttribute("aria-label", label);
    node.addEventListener("click", act);
    return node;
  };
  card.replaceChildren(
    make("div", { className: "tools" }, make("h3", { textContent: pair.name }),
      button("+", "zoom in", () => look.zoom(1.5)),
      button("−", "zoom out", () => look.zoom(1 / 1.5)),
      button("1:1", "whole image", () => look.reset())),
    compare(pair, look),
    make("div", { className: "strip" }, ...views(pair).map((each) => figure(each, pair, metric, look))),
  );
  keys(card, look);
}

/* The value that a pair is sorted by: of one method, or the worst of all. Pairs without one come first: they failed. */
function sortValue(pair, metric, method) {
  const chosen = method < 0 ? pair.methods : [pair.methods[method]];
  if (metric === "lost") return -Math.max(...chosen.map((each) => lost(each.states ?? "")));
  const sign = data.metrics[metric].higher ? 1 : -1;
  const values = chosen.map((each) => each.values[metric]);
  if (data.metrics[metric].share && !pair.targets.polygons.length) return Infinity; // nothing to lose
  return values.includes(null) ? -Infinity : Math.min(...values.map((value) => sign * value));
}

let watcher = null;
function render() {
  const set = data.sets[$("set").value];
  const byName = $("metric").value === "name";
  const metric = byName ? 0 : $("metric").value === "lost" ? "lost" : Number($("metric").value);
  const method = Number($("method").value);
  let pairs = [...set.pairs];
  if (!byName) {
    const values = new Map(pairs.map((pair) => [pair, sortValue(pair, metric, method)]));
    const sign = $("order").value === "best" ? -1 : 1;
    pairs.sort((a, b) => (values.get(a) === values.get(b) ? 0 : sign * (values.get(a) < values.get(b) ? -1 : 1)));
  }
  if (watcher) watcher.disconnect();
  const waiting = new Map();
  watcher = new IntersectionObserver((seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting || !waiting.has(entry.target)) continue;
      fill(entry.target, waiting.get(entry.target), metric);
      waiting.delete(entry.target);
      watcher.unobserve(entry.target);
    }
  }, { rootMargin: "800px" });
  $("cards").replaceChildren(...pairs.map((pair) => {
    const card = make("article", { className: "card" }, make("h3", { textContent: pair.name }));
    waiting.set(card, pair);
    watcher.observe(card);
    return card;
  }));
  $("said").textContent = pairs.length + " pairs of " + set.name;
  $("method").disabled = $("order").disabled = byName;
}

$("set").append(...data.sets.map((set, index) => make("option", { value: index }, set.name)));
$("metric").append(make("option", { value: "name" }, "name"),
  ...data.metrics.map((metric, index) => make("option", { value: index }, metric.name)));
const anyTargets = data.sets.some((set) => set.pairs.some((pair) => pair.targets.polygons.length));
if (anyTargets) {
  $("metric").prepend(make("option", { value: "lost" }, "lost targets"));
  $("metric").value = "lost";
}
$("outlines").parentNode.hidden = $("targets-note").hidden = !anyTargets;
$("outlines").addEventListener("change", () =>
  document.body.classList.toggle("no-outlines", !$("outlines").checked));
$("method").append(make("option", { value: -1 }, "the worst method"),
  ...data.methods.map((name, index) => make("option", { value: index }, name)));
for (const id of ["set", "metric", "method", "order"]) $(id).addEventListener("change", render);
$("sorting").addEventListener("submit", (event) => event.preventDefault());
render();
