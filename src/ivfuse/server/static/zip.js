// Writes ZIP archives without compression, since images are compressed already.
// Layout: APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end).

const UTF8_NAMES = 0x0800;
const VERSION = 20;

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Encode numbers, little-endian, each given as [value, bytes]. */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [, size]) => sum + size, 0)));
  let at = 0;
  for (const [value, size] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/** Date and time of MS-DOS, in steps of two seconds. */
function dosTime(date) {
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  const day = (Math.max(0, date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  return [[time, 2], [day, 2]];
}

/** Archive files, each { name, blob }, of less than 4 GB together; names must differ. */
export async function zip(files) {
  const stamp = dosTime(new Date());
  const parts = [];
  const directory = [];
  let offset = 0;
  let directorySize = 0;
  for (const { name, blob } of files) {
    const encoded = new TextEncoder().encode(name);
    const facts = [[VERSION, 2], [UTF8_NAMES, 2], [0, 2], ...stamp, [crc32(new Uint8Array(await blob.arrayBuffer())), 4],
      [blob.size, 4], [blob.size, 4], [encoded.length, 2], [0, 2]];
    const header = record([0x04034b50, 4], ...facts);
    const entry = record([0x02014b50, 4], [VERSION, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]);
    parts.push(header, encoded, blob);
    directory.push(entry, encoded);
    offset += header.length + encoded.length + blob.size;
    directorySize += entry.length + encoded.length;
  }
  const end = record([0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [directorySize, 4], [offset, 4], [0, 2]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
