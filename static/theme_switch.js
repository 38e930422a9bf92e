// The button that goes round: system, light, dark.
const NEXT = { system: "light", light: "dark", dark: "system" };

function choose(theme) {
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    return; // storage is blocked: the system decides
  }
  document.documentElement.dispatchEvent(new Event("theme-chosen"));
}

export function watchThemeSwitch() {
  const button = document.querySelector("[data-theme-switch]");
  const root = document.documentElement;
  const name = button.querySelector("[data-theme-name]");
  const show = () => {
    const theme = root.dataset.themeChoice;
    name.textContent = `Theme: ${theme}. Change to ${NEXT[theme]}.`;
    button.title = `Theme: ${theme}`;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    choose(NEXT[root.dataset.themeChoice]);
    show();
  });
  show();
}
