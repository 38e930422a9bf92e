// Files out of a drop, folders opened: each as {file, path}, the path with its folders.

const JUNK = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/i;

function readEntries(reader) {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

async function allEntries(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await readEntries(reader); // at most a hundred at a time
    if (!some.length) return found;
    found.push(...some);
  }
}

async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.replace(/^\//, "") }];
  }
  const inside = [];
  for (const child of await allEntries(entry)) inside.push(...(await filesOf(child)));
  return inside;
}

export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return chosenFiles(transfer.files);
  const found = [];
  for (const entry of entries) found.push(...(await filesOf(entry)));
  return found.filter(({ path }) => !JUNK.test(path));
}

export function chosenFiles(files) {
  return [...files]
    .map((file) => ({ file, path: file.webkitRelativePath || file.name }))
    .filter(({ path }) => !JUNK.test(path));
}
