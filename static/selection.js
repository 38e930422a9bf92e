// Choosing many items of a grid: shift-click takes a range, arrows move, a bar says how many are chosen.
export function watchSelection(form) {
  const boxes = [...form.querySelectorAll("input[data-item]")];
  const bar = form.querySelector("[data-selection-bar]");
  const count = form.querySelector("[data-selection-count]");
  const all = form.querySelector("[data-select-all]");
  const filter = form.querySelector("[data-select-filter]"); // all that the filter shows, on every page
  let last = null;

  const chosen = () =>
    filter?.checked ? Number(filter.dataset.selectFilter) : boxes.filter((box) => box.checked).length;

  const show = () => {
    const number = chosen();
    bar.dataset.count = number;
    count.textContent = words(number);
    all.checked = number >= boxes.length;
    all.indeterminate = number > 0 && number < boxes.length;
    form.querySelectorAll("[data-needs-selection]").forEach((button) => (button.disabled = !number));
  };

  const takeRange = (from, to, isChecked) => {
    const [low, high] = from < to ? [from, to] : [to, from];
    boxes.slice(low, high + 1).forEach((box) => (box.checked = isChecked));
  };

  const clear = () => {
    if (filter) filter.checked = false;
    boxes.forEach((box) => (box.checked = false));
    show();
  };

  boxes.forEach((box, index) => {
    box.addEventListener("click", (event) => {
      if (filter) filter.checked = false;
      if (event.shiftKey && last !== null) takeRange(last, index, box.checked);
      last = index;
      show();
    });
    box.addEventListener("keydown", (event) => {
      const step = stepOf(event.key, boxes);
      if (step === null) return;
      event.preventDefault();
      const next = Math.min(Math.max(index + step, 0), boxes.length - 1);
      boxes[next].focus();
      if (event.shiftKey) {
        takeRange(index, next, true);
        last = next;
        show();
      }
    });
  });

  all.closest("[hidden]")?.removeAttribute("hidden");
  filter?.addEventListener("change", () => {
    boxes.forEach((box) => (box.checked = filter.checked));
    show();
  });
  all.addEventListener("change", () => {
    if (filter) filter.checked = false;
    boxes.forEach((box) => (box.checked = all.checked));
    show();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen()) clear();
  });
  show();
}

function words(number) {
  if (!number) return "Tick images to change them";
  return number === 1 ? "1 image chosen" : `${number.toLocaleString("en")} images chosen`;
}

// Returns by how many items an arrow key moves, or null for another key.
function stepOf(key, boxes) {
  const top = boxes[0].getBoundingClientRect().top;
  const columns = boxes.filter((box) => Math.abs(box.getBoundingClientRect().top - top) < 2).length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  return steps[key] ?? null;
}
