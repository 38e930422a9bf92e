// The forms that send a request to this server and show its answer.
import { showAnswer, showProblem } from "./try_answer.js";

const TOKEN = "pigeonhole-token";

function kept(key) {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return ""; // storage is blocked: it lives as long as the page
  }
}

function keep(key, value) {
  try {
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  } catch {
    // storage is blocked: it lives as long as the page
  }
}

export function watchTryForms() {
  const panel = document.querySelector("[data-token-panel]");
  const token = panel.querySelector("[data-token]");
  document.querySelector("[data-without-scripts]").hidden = true;
  panel.hidden = false;
  token.value = kept(TOKEN);
  token.addEventListener("input", () => keep(TOKEN, token.value.trim()));
  panel.querySelector("[data-forget]").addEventListener("click", () => {
    token.value = "";
    keep(TOKEN, "");
    token.focus();
  });
  for (const form of document.querySelectorAll("[data-try]")) watch(form, token);
}

function watch(form, token) {
  form.hidden = false;
  form.querySelector("[data-way]")?.addEventListener("change", (event) => chooseWay(form, event.target.value));
  form.querySelector("[data-base64]")?.addEventListener("change", (event) => putIn(form, event.target.files[0]));
  for (const field of form.querySelectorAll("[data-part=path]")) {
    field.addEventListener("change", () => shareValue(field));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, token.value.trim());
  });
}

function chooseWay(form, way) {
  for (const body of form.querySelectorAll("[data-body]")) {
    body.hidden = body.dataset.body !== way;
    body.disabled = body.hidden;
  }
}

// What was typed for one address is likely meant for the next one too.
function shareValue(field) {
  const alike = document.querySelectorAll(`[data-part=path][name="${field.name}"]`);
  for (const other of alike) if (!other.dataset.typed) other.value = field.value;
  field.dataset.typed = "yes";
}

async function putIn(form, file) {
  if (!file) return;
  const area = form.querySelector("[data-json-body]");
  const reader = new FileReader();
  reader.onload = () => (area.value = area.value.replace("<base64>", () => reader.result));
  reader.readAsDataURL(file);
}

async function send(form, token) {
  const place = form.querySelector("[data-answer]");
  const button = form.querySelector("button[type=submit]");
  let request;
  try {
    request = makeRequest(form, token);
  } catch (error) {
    showProblem(place, error.message);
    return;
  }
  button.disabled = true;
  place.textContent = "Sending …";
  const began = performance.now();
  try {
    const answer = await fetch(request);
    const content = await answer.blob();
    await showAnswer(place, answer, content, performance.now() - began);
  } catch {
    showProblem(place, "No answer came. Is the server still running?");
  } finally {
    button.disabled = false;
  }
}

function values(form, part) {
  const fields = [...form.querySelectorAll(`[data-part=${part}]`)].filter((field) => !field.closest("[hidden]"));
  return fields.filter((field) => field.value !== "");
}

function makeRequest(form, token) {
  const { method } = form.dataset;
  let { path } = form.dataset;
  for (const field of values(form, "path")) path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
  const address = new URL(path, location.origin);
  for (const field of values(form, "query")) address.searchParams.append(field.name, field.value);
  const headers = new Headers();
  if (token) headers.set("Authorization", `Bearer ${token}`);
  for (const field of values(form, "header")) headers.set(field.name, field.value);
  const body = makeBody(form, headers);
  return new Request(address, { method, headers, body, credentials: "omit", redirect: "manual" });
}

function makeBody(form, headers) {
  const way = form.querySelector("[data-body]:not([hidden])");
  if (way?.dataset.body === "json") {
    headers.set("Content-Type", "application/json");
    const text = way.querySelector("[data-json-body]").value;
    try {
      JSON.parse(text);
    } catch (error) {
      throw new Error(`That is not JSON yet: ${error.message}`);
    }
    return text;
  }
  if (way?.dataset.body === "raw") {
    const file = way.querySelector("[data-raw]").files[0];
    headers.set("Content-Type", file.type || "application/octet-stream");
    return file;
  }
  return way ? formData(form) : undefined;
}

function formData(form) {
  const data = new FormData();
  for (const field of values(form, "form")) {
    if (field.type === "file") for (const file of field.files) data.append(field.name, file, file.name);
    else if (field.tagName === "TEXTAREA") field.value.split("\n").forEach((line) => line.trim() && data.append(field.name, line.trim()));
    else data.append(field.name, field.value);
  }
  return data;
}
