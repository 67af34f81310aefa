// The files of a drop, those in folders included.

const MAX_FILES = 4000;
const HIDDEN = /^(\.|Thumbs\.db$|desktop\.ini$)/i;

/** All files that were dropped; those of folders carry the path of theirs as `folder`. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()); // gone after the first await
  const plain = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  const found = [];
  for (const entry of entries) if (entry) await collect(entry, "", found);
  return found;
}

async function collect(entry, folder, found) {
  if (found.length >= MAX_FILES || HIDDEN.test(entry.name)) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
    found.push(Object.assign(file, { folder }));
    return;
  }
  const reader = entry.createReader();
  for (;;) { // a reader returns at most 100 entries at a time
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) return;
    for (const each of some) await collect(each, folder ? `${folder}/${entry.name}` : entry.name, found);
  }
}
