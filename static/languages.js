// Calls shown in several languages: the reader picks one, for all of them and for the next visit.
const KEY = "language";

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is blocked: the first language it is
  }
}

function remember(language) {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // storage is blocked: it holds for this page
  }
}

function show(language) {
  for (const samples of document.querySelectorAll("[data-samples]")) {
    const figures = [...samples.querySelectorAll("[data-sample]")];
    const chosen = figures.find((figure) => figure.dataset.sample === language) ?? figures[0];
    figures.forEach((figure) => (figure.hidden = figure !== chosen));
    for (const button of samples.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", button.dataset.language === chosen.dataset.sample);
    }
    samples.classList.add("is-switched");
    samples.querySelector("[data-language-choice]").hidden = false;
  }
}

export function watchLanguages() {
  if (!document.querySelector("[data-samples]")) return;
  show(remembered());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-language]");
    if (!button) return;
    const before = button.getBoundingClientRect().top;
    remember(button.dataset.language);
    show(button.dataset.language);
    scrollBy(0, button.getBoundingClientRect().top - before); // what was pressed stays under the finger
  });
}
