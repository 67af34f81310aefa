// Finds the infrared and the visible file of each pair by their names, and recognizes files that contain both.

const THERMAL = /(^|[^a-z])(ir|lwir|mwir|tir|nir|flir|infrared|thermal|therm|heat|t)(?=[^a-z]|$)/i;
const VISIBLE = /(^|[^a-z])(vi|vis|visible|visual|rgb|photo|color|colour|eo|v)(?=[^a-z]|$)/i;
const CAMERA = /\.(irg|hir|fff)$/i;
const SEARCHED = 1 << 20; // bytes at the beginning of a file in which its segments are searched
const IRG_HEADER = 128; // bytes, followed by an 8-bit and a 16-bit image and perhaps a photo as JPEG
const IRG_MARKS = [0xcaac, 0xbaab, 0xb00b, 0x04a0];

const stem = (file) => file.name.replace(/\.[^.]*$/, "");
const folder = (file) => (file.folder ?? "").split("/").pop();

/** Order two files as [infrared, visible]. */
export function inOrder(first, second) {
  const thermalScore = ({ name }) => (THERMAL.test(name) || CAMERA.test(name) ? 1 : 0) - (VISIBLE.test(name) ? 1 : 0)
    + (/\.tiff?$/i.test(name) ? 0.5 : 0);
  return thermalScore(second) > thermalScore(first) ? [second, first] : [first, second];
}

/** "ir" or "vi" by the name of a file, else by that of its folder; null if neither tells. */
function modality(file) {
  for (const text of [stem(file), folder(file)]) {
    const [thermal, visible] = [THERMAL.test(text), VISIBLE.test(text)];
    if (thermal !== visible) return thermal ? "ir" : "vi";
  }
  return CAMERA.test(file.name) ? "ir" : null;
}

/** The name of a pair: that of a file without the words for its modality. */
function pairName(file) {
  const strip = (pattern) => (text) => text.replace(new RegExp(pattern.source, "gi"), "$1").replace(/([\s_.-])[\s_.-]+/g, "$1").replace(/^[\s_.-]+|[\s_.-]+$/g, "");
  return strip(VISIBLE)(strip(THERMAL)(stem(file))) || stem(file);
}

/**
 * Pair files by name: equal names, or names that are equal but for the words for the modality.
 * Takes those known to be infrared, known to be visible, and others, and returns { pairs, rest }: pairs are
 * { name, ir, vi }, vi being null for a file that contains both; rest are { file, reason }.
 */
export async function pairFiles({ ir = [], vi = [], others = [] }) {
  const groups = new Map();
  const add = (file, place) => {
    const name = pairName(file);
    const key = name.toLowerCase().replace(/[\s_.-]+/g, "_");
    if (!groups.has(key)) groups.set(key, { name, ir: [], vi: [], unknown: [] });
    groups.get(key)[place].push(file);
  };
  ir.forEach((file) => add(file, "ir"));
  vi.forEach((file) => add(file, "vi"));
  others.forEach((file) => add(file, modality(file) ?? "unknown"));
  const pairs = [];
  const rest = [];
  for (const group of groups.values()) await settle(group, pairs, rest);
  const byName = (first, second) => first.name.localeCompare(second.name, undefined, { numeric: true });
  return { pairs: pairs.sort(byName), rest: rest.sort((first, second) => byName(first.file, second.file)) };
}

/** Make a pair of the files of one name, or give a reason why there is none. */
async function settle({ name, ir, vi, unknown }, pairs, rest) {
  if (ir.length === 1 && !vi.length) vi = unknown.splice(0, unknown.length === 1 ? 1 : 0);
  else if (vi.length === 1 && !ir.length) ir = unknown.splice(0, unknown.length === 1 ? 1 : 0);
  if (ir.length === 1 && vi.length === 1 && !unknown.length) {
    pairs.push({ name, ir: ir[0], vi: vi[0] });
    return;
  }
  const alone = !vi.length && !(ir.length && unknown.length);
  for (const file of [...ir, ...vi, ...unknown]) {
    if (alone && await containsBoth(file)) pairs.push({ name: stem(file), ir: file, vi: null });
    else if (ir.length + vi.length + unknown.length > 1) rest.push({ file, reason: "several files have this name" });
    else rest.push({ file, reason: vi.length ? "no infrared file has this name" : "no visible file has this name" });
  }
}

/** Whether a camera's file contains both images: a radiometric JPEG of FLIR, or an IRG file with a photo. */
export async function containsBoth(file) {
  const bytes = new Uint8Array(await file.slice(0, SEARCHED).arrayBuffer());
  if (IRG_MARKS.includes(bytes[0] * 256 + bytes[1]) && bytes[2] === IRG_HEADER && bytes[3] === 0) return irgContainsPhoto(file, bytes);
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return false;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda;) {
    if (bytes[at + 1] === 0xff) { at += 1; continue; }
    const signature = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (bytes[at + 1] === 0xe1 && signature === "FLIR") return true;
    at += 2 + bytes[at + 2] * 256 + bytes[at + 3];
  }
  return false;
}

async function irgContainsPhoto(file, bytes) {
  const pixels = (bytes[8] + 256 * bytes[9]) * (bytes[10] + 256 * bytes[11]);
  const at = IRG_HEADER + 3 * pixels;
  const start = new Uint8Array(await file.slice(at, at + 3).arrayBuffer());
  return start[0] === 0xff && start[1] === 0xd8 && start[2] === 0xff;
}
