// Fuses the pair of the page: results and grids of temperatures are kept, to switch back at once.

import { RequestError, blobOf, call, formOf } from "/static/api.js";

const KEPT = 24; // results
const SMALL = 4e6; // pixels up to which PNG is fetched and scores are computed without being asked for

export class Fusion {
  constructor() {
    Object.assign(this, { pair: null, results: new Map(), grids: new Map(), pixels: 0, limit: Infinity });
  }

  /** Take another pair { ir, vi }, or null; vi is null if the infrared file contains both images. */
  setPair(pair) {
    for (const result of this.results.values()) release(result);
    this.results.clear();
    this.grids.clear();
    this.pixels = 0;
    this.pair = pair;
  }

  /** Whether the images are so large that scores and PNG take a while. */
  get large() { return this.pixels > SMALL; }

  /** The result for the fields of a request, if it is known. */
  known(fields) {
    const key = JSON.stringify(fields);
    const result = this.results.get(key);
    if (!result) return null;
    this.results.delete(key); // the oldest is forgotten first
    this.results.set(key, result);
    return result;
  }

  /** Fuse the pair: the metadata of the server with `fields`, `blobs` and `urls` of the three images. */
  async fuse(fields, signal) {
    const known = this.known(fields);
    if (known) return known;
    const { pair } = this;
    checkSize(pair, this.limit);
    const place = gridKey(fields);
    const wanted = { format: "json", encoding: this.large ? "jpeg" : "png", previews: "true", temperatures: this.grids.has(place) ? "" : "true" };
    const reply = await (await call("/api/fuse", { form: formOf({ ir: pair.ir, vi: pair.vi, ...fields, ...wanted }), signal })).json();
    if (pair !== this.pair) throw new DOMException("another pair was chosen", "AbortError");
    if (wanted.temperatures) this.grids.set(place, reply.temperatures && decoded(reply.temperatures));
    const result = withUrls(reply, fields);
    this.results.set(JSON.stringify(fields), result);
    this.pixels = result.width * result.height;
    if (this.results.size > KEPT) {
      const [oldest] = this.results.keys();
      release(this.results.get(oldest));
      this.results.delete(oldest);
    }
    return result;
  }

  /** The temperatures of a result, { width, height, celsius(column, row) }, or null if they are unknown. */
  temperatures(result) { return this.grids.get(gridKey(result.fields)) ?? null; }
}

/** Throw a RequestError if the files of a pair are larger than the server accepts, in bytes. */
export function checkSize({ ir, vi }, limit) {
  const total = ir.size + (vi?.size ?? 0);
  if (total > limit) throw new RequestError(`The images are ${(total / 1e6).toFixed(1)} MB together; this server accepts up to ${(limit / 1e6).toFixed(0)} MB.`);
}

/** Temperatures and their place depend on these fields only. */
const gridKey = ({ scale, register }) => JSON.stringify([scale, register]);

const release = ({ urls }) => Object.values(urls).forEach((url) => URL.revokeObjectURL(url));

function decoded({ width, height, data }) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const celsius = (column, row) => {
    const value = view.getUint16(2 * (row * width + column), true); // 0.1 K, 0 if unknown
    return value ? value / 10 - 273.15 : null;
  };
  return { width, height, celsius };
}

function withUrls(reply, fields) {
  const blobs = { fused: blobOf(reply.image, reply.media_type), infrared: blobOf(reply.infrared, "image/jpeg"), visible: blobOf(reply.visible, "image/jpeg") };
  const urls = Object.fromEntries(Object.entries(blobs).map(([name, blob]) => [name, URL.createObjectURL(blob)]));
  const { image, infrared, visible, temperatures, ...metadata } = reply;
  return { ...metadata, fields, blobs, urls };
}
