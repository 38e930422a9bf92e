// Adds photos, folders, zips and pasted pictures without leaving the page, a few requests at a time.
// Without this script the page's forms do the same.
import { chosenFiles, droppedFiles } from "./dropped_files.js";
import { askForLabels, choicesOf, chosenList, findList } from "./label_list.js";
import { reasonOf, send } from "./sending.js";

const PARALLEL = 3;
const MOST_FILES = 24; // in one request
const MOST_BYTES = 24 * 1024 * 1024;

const zone = document.querySelector("[data-upload]");
const part = (name) => zone.querySelector(`[data-upload-${name}]`);
const labelField = zone.querySelector("#label");
const state = { queue: [], failed: [], total: 0, done: 0, added: 0, skipped: 0, refused: 0, running: 0, number: null };

// ---------- what is waiting ----------
async function add(files, form = part("form")) {
  const ending = (pattern) => files.filter(({ path }) => pattern.test(path));
  const [zips, tables] = [ending(/\.zip$/i), ending(/\.csv$/i)];
  const images = besideTheirJson(files.filter((file) => !zips.includes(file) && !tables.includes(file)));
  const [label, choices] = [labelField.value.trim(), choicesOf(form)];
  const isByFolder = label || choices.labels_from === "folders";
  const { file, problem } = chosenList(form) || isByFolder ? { file: chosenList(form) } : findList(tables);
  if (problem) return showProblem(tables[0].path, problem);
  if (zips.length) sendZip(zips[0].file, labelField.value, choices, file, images.length + zips.length > 1);
  if (!images.length) return;
  if (file) return addListed(images, file, { ...choices, label });
  enqueue(images.map((image) => ({ ...image, label, way: choices.labels_from ?? "auto" })));
}

// The images that a CSV names, with its labels; the report tells of the others.
async function addListed(images, list, choices) {
  part("progress").hidden = false;
  part("words").textContent = `Reading ${list.name} …`;
  const answer = await askForLabels(zone.dataset.uploadList, list, images, choices);
  if (answer.problem) return showProblem(list.name, answer.problem);
  state.number = answer.number;
  part("report").href = answer.url;
  const labelsOf = ({ path }) => answer.labels[path.normalize("NFC")];
  enqueue(images.filter(labelsOf).map((image) => ({ ...image, label: "", labels: labelsOf(image) })));
}

function enqueue(images) {
  state.queue.push(...images);
  state.total += images.length;
  part("progress").hidden = false;
  fillLanes();
}

function showProblem(name, problem) {
  part("progress").hidden = false;
  part("words").textContent = "Nothing was sent.";
  showBad(name, problem);
}

// labelme's JSON files travel with their images.
function besideTheirJson(files) {
  const stem = ({ path }) => path.replace(/\.[^./]*$/, "");
  const isJson = ({ path }) => /\.json$/i.test(path);
  const jsons = new Map(files.filter(isJson).map((file) => [stem(file), file]));
  return files.filter((file) => !isJson(file)).map((file) => ({ ...file, beside: jsons.get(stem(file)) }));
}

function nextBatch() {
  const batch = [];
  let bytes = 0;
  while (state.queue.length && batch.length < MOST_FILES) {
    const [first] = state.queue;
    const isLike = (one) => one.label === first.label && !one.labels === !first.labels;
    const isOther = batch.length && (!isLike(batch[0]) || bytes + first.file.size > MOST_BYTES);
    if (isOther) break;
    bytes += first.file.size;
    batch.push(state.queue.shift());
  }
  return batch;
}

// The first request makes the import that the others go on filling.
function fillLanes() {
  const lanes = state.number === null ? 1 : PARALLEL;
  while (state.running < lanes && state.queue.length) {
    state.running += 1;
    sendBatch(nextBatch()).finally(() => {
      state.running -= 1;
      fillLanes();
      if (!state.running && !state.queue.length) finish();
    });
  }
  tell();
}

// ---------- on the way ----------
async function sendBatch(batch) {
  const lines = batch.map(({ path }) => lineFor(path));
  for (;;) {
    const answer = await send(zone.dataset.upload, formOf(batch), (loaded) => moveLines(batch, lines, loaded));
    if (answer.status === 429 || answer.status === 503) {
      await new Promise((resolve) => setTimeout(resolve, answer.retryAfter * 1000));
      continue;
    }
    lines.forEach((line) => line.remove());
    return note(batch, answer);
  }
}

function formOf(batch) {
  const form = new FormData();
  form.append("label", batch[0].label);
  if (state.number !== null) form.append("import", state.number);
  form.append("labels_from", batch[0].way ?? "auto");
  if (batch[0].labels) {
    const pairs = batch.map(({ path, labels }) => [path.normalize("NFC"), labels]);
    form.append("labels", JSON.stringify(Object.fromEntries(pairs)));
  }
  for (const { file, path, beside } of batch) {
    form.append("image", file, path);
    if (beside && !batch[0].labels) form.append("image", beside.file, beside.path);
  }
  return form;
}

function note(batch, answer) {
  if (!answer.body?.refused) {
    state.failed.push(...batch);
    showBad(batch.length === 1 ? batch[0].path : `${batch.length} files`, reasonOf(answer));
    return tell();
  }
  const { added, skipped, refused } = answer.body;
  state.number = answer.body.import;
  part("report").href = answer.body.url;
  state.done += batch.length;
  state.added += added.length;
  state.skipped += skipped.length;
  state.refused += refused.length;
  refused.forEach(({ file, message }) => showBad(file, message));
  return tell();
}

// ---------- on the page ----------
function lineFor(path) {
  const line = document.createElement("li");
  const name = document.createElement("span");
  const bar = document.createElement("progress");
  name.textContent = path;
  bar.className = "bar-progress";
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", path);
  line.append(name, bar);
  part("files").append(line);
  return line;
}

// The browser tells how much of the request has gone; the files in it go one after the other.
function moveLines(batch, lines, loaded) {
  let left = loaded;
  batch.forEach(({ file }, place) => {
    const bar = lines[place].querySelector("progress");
    if (left >= file.size) bar.removeAttribute("value"); // all sent: being looked at
    if (left < file.size) bar.value = Math.max(0, left / file.size);
    left -= file.size;
  });
}

function showBad(name, reason) {
  const line = document.createElement("li");
  line.textContent = `${name}: ${reason}`;
  part("bad-files").append(line);
  part("bad").hidden = false;
}

function tell() {
  const { done, total, added, skipped, refused } = state;
  part("bar").max = Math.max(total, 1);
  part("bar").value = done;
  const counts = [`${done} of ${total} sent`, `${added} added`];
  if (skipped) counts.push(`${skipped} already here`);
  if (refused) counts.push(`${refused} refused`);
  part("words").textContent = counts.join(" · ");
  part("retry").hidden = !state.failed.length || state.running > 0;
}

function finish() {
  tell();
  part("report").hidden = state.number === null;
  const isClean = !state.failed.length && !state.refused && state.number !== null;
  if (isClean) globalThis.location.assign(part("report").href);
}

part("retry").addEventListener("click", () => {
  part("bad-files").replaceChildren();
  part("bad").hidden = true;
  state.queue.push(...state.failed.splice(0));
  fillLanes();
});

// ---------- a zip ----------
const zipForm = document.querySelector("[data-zip-form]");
const zipPart = (name) => document.querySelector(`[data-zip-${name}]`);

async function sendZip(file, label, choices, list = null, isStaying = false) {
  const form = new FormData();
  form.append("label", label);
  for (const [name, value] of Object.entries(choices)) form.append(name, value);
  if (list) form.append("list", list, list.name);
  form.append("archive", file, file.name);
  zipPart("progress").hidden = false;
  zipPart("words").textContent = `Sending ${file.name} …`;
  const answer = await send(zone.dataset.uploadZip, form, (loaded, total) => {
    zipPart("bar").max = total;
    zipPart("bar").value = loaded;
    if (loaded >= total) zipPart("words").textContent = `Checking ${file.name} …`;
  });
  if (answer.status !== 202) {
    zipPart("words").textContent = reasonOf(answer);
    return;
  }
  zipPart("words").textContent = `${file.name} is being worked through.`;
  if (!isStaying) globalThis.location.assign(answer.body.url);
}

zipForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const [archive] = zipForm.querySelector("[name=archive]").files;
  sendZip(archive, zipForm.querySelector("[name=label]").value, choicesOf(zipForm), chosenList(zipForm));
});

// ---------- ways in ----------
part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const inputs = [...part("form").querySelectorAll("input[name=image]")];
  const files = inputs.flatMap((input) => chosenFiles(input.files));
  inputs.forEach((input) => (input.value = ""));
  if (files.length) add(files);
  else inputs[0].focus();
});

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) add(chosenFiles(files));
});

for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    zone.classList.add("is-over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) zone.classList.remove("is-over");
});
document.addEventListener("drop", async (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  zone.classList.remove("is-over");
  add(await droppedFiles(event.dataTransfer));
});

document.querySelectorAll("[data-needs-script]").forEach((element) => (element.hidden = false));
