// Lets a table marked data-sortable be sorted by a press on a column's head.

function valueOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
}

function compare(one, other) {
  return typeof one === "number" ? one - other : one.localeCompare(other);
}

function sort(table, head) {
  const isUp = head.getAttribute("aria-sort") !== "ascending";
  table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(valueOf(one, head.cellIndex), valueOf(other, head.cellIndex)) * (isUp ? 1 : -1));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("[data-sortable]")) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort-button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head));
    head.append(button);
  }
}
