// The API's documentation: the search, links into folded operations, colours, and the forms that send requests.
import { colourJson } from "./json_colours.js";
import { watchTryForms } from "./try_it.js";

const operations = [...document.querySelectorAll("[data-operation]")];

// A link to an operation unfolds it; its place is inside, so that browsers without this script do so too.
function openLinked() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target?.closest("details");
  if (!folded) return;
  folded.open = true;
  folded.scrollIntoView({ block: "start" });
  folded.querySelector("summary").focus({ preventScroll: true });
}

function search(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (operation) => wanted.every((word) => operation.dataset.words.toLowerCase().includes(word));
  let found = 0;
  for (const operation of operations) {
    operation.hidden = !fits(operation);
    found += !operation.hidden;
    const name = operation.querySelector(".operation-body").id;
    document.querySelector(`[data-index="${name}"]`).hidden = operation.hidden;
  }
  for (const noun of document.querySelectorAll("[data-noun]")) {
    noun.hidden = !noun.querySelector("[data-operation]:not([hidden])");
    document.querySelector(`.index-nouns a[href="#${noun.id}"]`).parentElement.hidden = noun.hidden;
  }
  document.querySelector("[data-nothing-found]").hidden = found > 0;
  document.querySelector("[data-search-count]").textContent = wanted.length ? `${found} of ${operations.length}` : "";
}

function watchSearch() {
  const panel = document.querySelector("[data-search]");
  const field = panel.querySelector("input");
  panel.hidden = false;
  field.addEventListener("input", () => search(field.value));
  field.addEventListener("keydown", (event) => {
    const first = operations.find((operation) => !operation.hidden);
    if (event.key !== "Enter" || !first) return;
    location.hash = first.querySelector(".operation-body").id;
    openLinked();
  });
}

document.querySelectorAll("[data-json]").forEach(colourJson);
addEventListener("hashchange", openLinked);
document.querySelector(".reference-index").addEventListener("click", (event) => {
  if (event.target.closest("a")?.hash === location.hash) openLinked(); // the same link once more
});
openLinked();
watchSearch();
watchTryForms();
