// What every page has: the theme switch, and checkboxes and tables made easier where a page has them.
import { watchThemeSwitch } from "./theme_switch.js";
import { watchSelection } from "./selection.js";
import { watchCopyButtons } from "./copy.js";
import { watchConfirmations } from "./confirm.js";

watchThemeSwitch();
watchCopyButtons();
watchConfirmations();
document.querySelectorAll("[data-selection]").forEach(watchSelection);
