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
  for (const snippets of document.querySelectorAll("[data-snippets]")) {
    const figures = [...snippets.querySelectorAll("[data-snippet]")];
    const chosen = figures.find((figure) => figure.dataset.snippet === language) ?? figures[0];
    figures.forEach((figure) => (figure.hidden = figure !== chosen));
    for (const button of snippets.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", button.dataset.language === chosen.dataset.snippet);
    }
    snippets.classList.add("is-switched");
    snippets.querySelector("[data-language-choice]").hidden = false;
  }
}

export function watchLanguages() {
  if (!document.querySelector("[data-snippets]")) return;
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
