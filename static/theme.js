// Sets light or dark before the page is painted: the system's wish, unless this browser has chosen.
// Loaded blocking in <head>, so it stays tiny and is no module.
(() => {
  const root = document.documentElement;
  const isDark = matchMedia("(prefers-color-scheme: dark)");

  const read = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is blocked: follow the system
    }
  };

  const apply = () => {
    const chosen = read();
    root.dataset.bsTheme = chosen || (isDark.matches ? "dark" : "light");
    root.dataset.themeChoice = chosen || "system";
  };

  apply();
  isDark.addEventListener("change", apply);
  addEventListener("storage", apply);
  root.addEventListener("theme-chosen", apply);
})();
