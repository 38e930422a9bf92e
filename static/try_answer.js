// An answer of the API put on the page: status, time and size, headers, and the body as what it is.
import { colourJson } from "./json_colours.js";

const LARGEST_SHOWN = 300_000; // characters; more is offered as a file

function make(tag, className, ...inside) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...inside);
  return element;
}

export function showProblem(place, words) {
  place.replaceChildren(make("p", "text-danger mb-0", words));
}

export async function showAnswer(place, answer, content, milliseconds) {
  place.querySelectorAll("[data-made]").forEach(({ dataset }) => URL.revokeObjectURL(dataset.made));
  place.replaceChildren(status(answer, content, milliseconds), ...(await body(answer, content)), headers(answer));
}

function status(answer, content, milliseconds) {
  const look = answer.ok ? "is-good" : "is-wrong";
  const size = content.size < 1000 ? `${content.size} bytes` : `${(content.size / 1000).toFixed(1)} kB`;
  const more = make("span", "field-kind", `${Math.round(milliseconds)} ms · ${size}`);
  const line = make("div", "try-status", make("strong", look, `${answer.status} ${answer.statusText.toLowerCase()}`), more);
  if (answer.status !== 401) return line;
  const link = make("a", "", "Put your token in");
  link.href = "#try";
  line.append(link);
  return line;
}

function headers(answer) {
  const list = make("dl", "facts");
  for (const [name, value] of answer.headers) list.append(make("dt", "", name), make("dd", "", value));
  return make("details", "fold", make("summary", "", "Headers"), list);
}

async function body(answer, content) {
  const type = (answer.headers.get("Content-Type") ?? "").split(";")[0];
  if (!content.size) return [];
  if (type.startsWith("image/")) return [picture(content), download(answer, content)];
  const isText = type.endsWith("json") || type.endsWith("yaml") || type.startsWith("text/");
  const text = isText ? await content.text() : "";
  if (!isText || text.length > LARGEST_SHOWN) return [download(answer, content)];
  return [block(text, type.endsWith("json"))];
}

function block(text, isJson) {
  const code = make("code", "", isJson ? JSON.stringify(JSON.parse(text), null, 2) : text);
  if (isJson) colourJson(code);
  const shown = make("pre", "code-block", code);
  shown.tabIndex = 0;
  shown.setAttribute("aria-label", "The answer's body");
  return shown;
}

function picture(content) {
  const image = make("img");
  image.alt = "The image that was answered";
  image.src = image.dataset.made = URL.createObjectURL(content);
  return image;
}

function download(answer, content) {
  const sent = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition") ?? "");
  const link = make("a", "btn btn-sm btn-outline-secondary", "Save the file");
  link.href = link.dataset.made = URL.createObjectURL(content);
  link.download = sent?.[1] ?? "answer";
  return make("p", "mb-2", link);
}
