// Draws a run's curves and epoch table on, as its progress comes in: no reload, no drawing anew.
import { fillSource } from "./charts.js";

const written = new Map(); // what was written last, so that nothing unchanged is touched

function isNew(name, value) {
  const text = JSON.stringify(value);
  if (written.get(name) === text) return false;
  written.set(name, text);
  return true;
}

function withGaps(columns) {
  const filled = Object.entries(columns).map(([name, values]) => [name, values.map((value) => value ?? NaN)]);
  return Object.fromEntries(filled);
}

function makeRow(cells) {
  const row = document.createElement("tr");
  cells.forEach((text, place) => {
    const cell = document.createElement(place ? "td" : "th");
    if (!place) cell.scope = "row";
    cell.className = "number";
    cell.textContent = text;
    row.append(cell);
  });
  return row;
}

function drawOn({ curves }) {
  if (!curves) return;
  for (const [name, columns] of Object.entries(curves.sources)) {
    if (isNew(name, columns)) fillSource(name, withGaps(columns));
  }
  const body = document.querySelector("[data-epochs]");
  if (body && isNew("table", curves.epochs)) body.replaceChildren(...curves.epochs.map(makeRow));
  for (const part of document.querySelectorAll("[data-shown-with]")) {
    part.hidden = !Object.values(curves.sources[part.dataset.shownWith])[0].length;
  }
}

document.addEventListener("progress", (event) => drawOn(event.detail));
