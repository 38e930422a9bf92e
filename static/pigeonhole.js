// What every page has: the theme switch, and what makes its forms and grids easier.
import { watchThemeSwitch } from "./theme_switch.js";
import { watchSelection } from "./selection.js";
import { watchCopyButtons } from "./copy.js";
import { watchConfirmations } from "./confirm.js";
import { watchKeys } from "./keys.js";
import { watchTokens } from "./tokens.js";
import { watchLanguages } from "./languages.js";

watchThemeSwitch();
watchCopyButtons();
watchConfirmations();
watchKeys();
watchLanguages();
document.querySelectorAll("[data-tokens]").forEach(watchTokens);
document.querySelectorAll("[data-selection]").forEach(watchSelection);
