// The threshold page: sliders beside the numbers, and what they make of the images, looked up as they move.
import { fillSource } from "./charts.js";

const STEPS = 1000;
const Z = 1.959963984540054;
const form = document.querySelector("[data-thresholds]");
const isSingle = form?.dataset.thresholds === "single-label";
const sent = document.getElementById("threshold-tables");
const tables = sent ? unpack(JSON.parse(sent.textContent)) : {};

function unpack(told) {
  const open = (table) => ({ ...table, right: table.right.map(fromEachStepOn), wrong: table.wrong.map(fromEachStepOn) });
  return Object.fromEntries(Object.entries(told).map(([name, table]) => [name, open(table)]));
}

// [step, how many lie there, …] as how many lie at each step or above it.
function fromEachStepOn(pairs) {
  const counts = new Int32Array(STEPS + 1);
  for (let place = 0; place < pairs.length; place += 2) counts[pairs[place]] = pairs[place + 1];
  for (let step = STEPS - 1; step >= 0; step -= 1) counts[step] += counts[step + 1];
  return counts;
}

const one = form?.querySelector("[name=at]");
const each = [...(form?.querySelectorAll("[name^='at-']") ?? [])];

function toStep(input) {
  const limit = Number(input.value);
  return Math.min(STEPS, Math.max(0, Math.ceil(Number((limit * STEPS).toFixed(6))))) || 0;
}

function isEach() {
  return form.elements.mode.value === "each";
}

function steps() {
  return isEach() ? each.map(toStep) : each.map(() => toStep(one));
}

function ofLabel(table, place, step) {
  return { right: table.right[place][step], wrong: table.wrong[place][step], of: table.counts[place] };
}

function total(table, chosen) {
  const sum = { right: 0, wrong: 0, of: table.of };
  chosen.forEach((step, place) => {
    sum.right += table.right[place][step];
    sum.wrong += table.wrong[place][step];
  });
  return sum;
}

function percent(part, whole) {
  return whole ? `${(Math.floor((1000 * part) / whole + 0.5) / 10).toFixed(1)} %` : "–";
}

function wilson(right, said) {
  if (!said) return [0, 1];
  const share = right / said;
  const middle = (share + Z ** 2 / (2 * said)) / (1 + Z ** 2 / said);
  const reach = (Z * Math.sqrt((share * (1 - share)) / said + Z ** 2 / (4 * said ** 2))) / (1 + Z ** 2 / said);
  return [Math.max(0, middle - reach), Math.min(1, middle + reach)];
}

function words({ right, wrong, of }) {
  const said = right + wrong;
  const open = isSingle ? of - said : of - right;
  const [low, high] = wilson(right, said);
  return {
    said, right, wrong, open, of,
    share: percent(said, of),
    precision: percent(right, said),
    recall: percent(right, of),
    f1: percent(2 * right, said + of),
    interval: `${percent(low, 1)} to ${percent(high, 1)}`,
  };
}

function write(place, found) {
  const told = words(found);
  for (const cell of place.querySelectorAll("[data-cell]")) {
    const value = told[cell.dataset.cell];
    cell.textContent = typeof value === "number" ? value.toLocaleString("en") : value;
  }
}

function show() {
  const chosen = steps();
  for (const place of document.querySelectorAll("[data-total]")) write(place, total(tables[place.dataset.total], chosen));
  for (const row of document.querySelectorAll("[data-label]")) {
    const place = Number(row.dataset.label);
    const missed = ofLabel(tables.table, place, chosen[place]);
    write(row, missed);
  }
  movePoint(total(tables.table, chosen));
}

function movePoint({ right, wrong, of }) {
  const said = right + wrong;
  const across = isSingle ? said / of : right / of;
  fillSource("present", said ? { x: [across], y: [right / said] } : { x: [], y: [] });
}

function addSlider(input) {
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.001, value: input.value, className: "form-range" });
  slider.setAttribute("aria-label", `${input.labels[0].textContent.trim()}, slider`);
  slider.addEventListener("input", () => {
    input.value = slider.value;
    show();
  });
  input.addEventListener("input", () => {
    slider.value = input.value;
    show();
  });
  input.after(slider);
}

// One for all goes on from nothing; each goes on from what all had.
function switchMode() {
  if (isEach() && !form.dataset.hadEach) each.forEach((input) => { input.value = one.value; });
  form.dataset.hadEach = "yes";
  enable();
  each.forEach((input) => { input.nextElementSibling.value = input.value; });
  show();
}

function enable() {
  one.disabled = one.nextElementSibling.disabled = isEach();
  each.forEach((input) => { input.disabled = input.nextElementSibling.disabled = !isEach(); });
}

if (form && tables.table) {
  [one, ...each].forEach(addSlider);
  if (isEach()) form.dataset.hadEach = "yes";
  form.querySelectorAll("[name=mode]").forEach((radio) => radio.addEventListener("change", switchMode));
  form.querySelectorAll("[data-without-scripts]").forEach((button) => { button.hidden = true; });
  enable();
}
