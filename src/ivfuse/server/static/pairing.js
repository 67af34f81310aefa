// Finds the infrared one of two files by their names, and recognizes files that contain both images.

const THERMAL = /(^|[^a-z])(ir|lwir|mwir|tir|nir|flir|infrared|thermal|therm|heat|t)(?=[^a-z]|$)/i;
const VISIBLE = /(^|[^a-z])(vi|vis|visible|rgb|photo|color|colour|eo|v)(?=[^a-z]|$)/i;
const SEARCHED = 1 << 20; // bytes at the beginning of a file in which its segments are searched

/** Order two files as [infrared, visible]. */
export function inOrder(first, second) {
  const thermalScore = ({ name }) => (THERMAL.test(name) ? 1 : 0) - (VISIBLE.test(name) ? 1 : 0)
    + (/\.tiff?$/i.test(name) ? 0.5 : 0);
  return thermalScore(second) > thermalScore(first) ? [second, first] : [first, second];
}

/** Whether a file is a radiometric JPEG, which contains both images. */
export async function containsBoth(file) {
  const bytes = new Uint8Array(await file.slice(0, SEARCHED).arrayBuffer());
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return false;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda;) {
    if (bytes[at + 1] === 0xff) { at += 1; continue; }
    const signature = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (bytes[at + 1] === 0xe1 && signature === "FLIR") return true;
    at += 2 + bytes[at + 2] * 256 + bytes[at + 3];
  }
  return false;
}
