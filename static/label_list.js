// A CSV of labels sent ahead of the images it names: which of them are wanted, and which labels they bear.
import { reasonOf, send } from "./sending.js";

const LIST_NAMES = /^(labels?|tags|data|manifest)\.csv$/i;

// The fields of a form's label choices, as the server reads them; the CSV itself apart.
export function choicesOf(form) {
  const fields = form.querySelectorAll("[data-label-choices] [name]:not([type=file])");
  return Object.fromEntries([...fields].filter(({ value }) => value).map(({ name, value }) => [name, value]));
}

export function chosenList(form) {
  return form.querySelector("[data-label-choices] [type=file]").files[0] ?? null;
}

// Of several CSVs among the files the one that is called like a list; {file} or {problem} or neither.
export function findList(files) {
  const named = files.filter(({ path }) => LIST_NAMES.test(path.split("/").at(-1)));
  const found = files.length > 1 ? named : files;
  if (files.length && found.length !== 1) return { problem: "Call the CSV with the labels labels.csv." };
  return { file: found[0]?.file };
}

// Gives {labels, number, url} or {problem}.
export async function askForLabels(address, list, images, choices) {
  const form = new FormData();
  form.append("list", list, list.name);
  form.append("names", new Blob([images.map(({ path }) => path).join("\n")]), "names.txt");
  for (const [name, value] of Object.entries(choices)) form.append(name, value);
  const answer = await send(address, form, () => {});
  if (answer.status !== 200) return { problem: reasonOf(answer) };
  return { labels: answer.body.labels, number: answer.body.import, url: answer.body.url };
}
