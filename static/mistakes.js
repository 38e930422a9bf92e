// Mistakes put right without reloading: every form of an image is sent in the background, one after the other, while
// the focus is on the next image already. Keys work while an image has the focus; see the page's list of them.
import { reasonOf, send } from "./sending.js";

const STEPS = { ArrowRight: 1, ArrowDown: 1, j: 1, ArrowLeft: -1, ArrowUp: -1, k: -1 };

function watch(root) {
  const list = root.querySelector("[data-images]");
  const told = root.querySelector("[data-told]");
  const undoButton = root.querySelector("[data-undo]");
  const undone = []; // {address, id} of what can be taken back, the last one last
  let turn = Promise.resolve(); // what is sent waits for what was sent before

  const cards = () => [...list.querySelectorAll(".mistake")];
  const current = () => document.activeElement?.closest?.(".mistake") ?? null;

  function tell(text, isWrong = false) {
    told.textContent = text;
    told.classList.toggle("text-danger", isWrong);
  }

  function focusOn(card) {
    cards().forEach((other) => (other.tabIndex = other === card ? 0 : -1));
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }

  function isOpen(card) {
    return !card.dataset.state && !card.hasAttribute("aria-busy");
  }

  function step(by) {
    const all = cards();
    const card = current();
    const place = card ? all.indexOf(card) + by : by > 0 ? all.findIndex(isOpen) : all.length - 1;
    if (all[place]) focusOn(all[place]);
  }

  // Goes to the next image to do after this one, else the first; says whether there is one.
  function goOn(card) {
    const all = cards();
    const place = all.indexOf(card);
    const next = [...all.slice(place + 1), ...all.slice(0, place)].find(isOpen);
    if (next) focusOn(next);
    return Boolean(next);
  }

  // Where none is left on the page: the next page, or training.
  function goFurther(card) {
    const way = root.querySelector("[data-next]") ?? root.querySelector("[data-again]:not([hidden]) button");
    (way ?? card).focus();
  }

  function show(facts) {
    for (const name of ["done", "total"]) {
      const field = root.querySelector(`[data-${name}]`);
      if (field && name in facts) field.textContent = facts[name].toLocaleString("en");
    }
    document.querySelectorAll("[data-left]").forEach((field) => (field.textContent = facts.left.toLocaleString("en")));
    const again = root.querySelector("[data-again]");
    if (again) {
      again.querySelector("[data-put-right]").textContent = facts.put_right.toLocaleString("en");
      again.hidden = !facts.put_right;
    }
    undoButton.hidden = !undone.length;
  }

  function replace(card, html) {
    const template = document.createElement("template");
    template.innerHTML = html.trim();
    const fresh = template.content.firstElementChild;
    const hadFocus = card.contains(document.activeElement);
    fresh.tabIndex = card.tabIndex;
    card.replaceWith(fresh);
    if (hadFocus) focusOn(fresh);
    return fresh;
  }

  // What was done about an image may settle those that it looks like; one that is on its way brings its own answer.
  function replaceBeside(cardsById) {
    for (const [id, html] of Object.entries(cardsById ?? {})) {
      const card = list.querySelector(`#${id}`);
      if (card && !card.hasAttribute("aria-busy")) replace(card, html);
    }
  }

  // Sends when its turn has come; gives the facts, or null where it was refused, which is told.
  function ask(card, address, form) {
    card.setAttribute("aria-busy", "true");
    const mine = turn.then(async () => {
      const answer = await send(address, form, () => {});
      if (answer.status === 200) return answer.body;
      const now = list.querySelector(`#${card.id}`) ?? card;
      now.removeAttribute("aria-busy");
      tell(reasonOf(answer), true);
      focusOn(now);
      return null;
    });
    turn = mine.catch(() => null);
    return mine;
  }

  async function submit(form, button) {
    const card = form.closest(".mistake");
    if (card.hasAttribute("aria-busy")) return;
    const fields = new FormData(form, button);
    const asked = ask(card, form.action, fields);
    let isMore = goOn(card);
    const facts = await asked;
    if (!facts) return;
    if (facts.undo) undone.push({ address: facts.undo, id: card.id });
    const fresh = replace(card, facts.card);
    replaceBeside(facts.beside);
    show(facts);
    if (current()?.dataset.state === "settled") isMore = goOn(current());
    if (!isMore) goFurther(fresh);
    const left = cards().filter(isOpen).length;
    tell(`${facts.name}: ${facts.words}.${left ? "" : " All on this page are done."}`);
  }

  async function undo() {
    await turn; // what is on its way can be taken back, too
    const last = undone.pop();
    if (!last) return;
    const card = list.querySelector(`#${last.id}`);
    const facts = await ask(card, last.address, new FormData());
    if (!facts) return showUndo();
    focusOn(replace(card, facts.card));
    replaceBeside(facts.beside);
    show(facts);
    tell(`${facts.name}: ${facts.words}.`);
  }

  function showUndo() {
    undoButton.hidden = !undone.length;
  }

  // What a key does to an image: presses its button, ticks its box or goes to its field.
  function press(card, key) {
    const target = card.querySelector(`[data-key="${key}"]`) ?? (key === "s" ? card.querySelector("[data-suggested]") : null);
    if (!target) return false;
    if (target.type === "text") target.focus();
    else target.click();
    return true;
  }

  function isTyping(element) {
    return element.closest("select, textarea, input:not([type=checkbox])");
  }

  // A press on an image shows it large; with Ctrl or the middle button its page opens as from any link.
  const large = root.querySelector("[data-large-view]");
  list.addEventListener("click", (event) => {
    const link = event.target.closest("[data-large]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const image = large.querySelector("[data-large-image]");
    image.src = link.dataset.large;
    image.alt = link.querySelector("img").alt;
    large.querySelector("[data-large-link]").href = link.href;
    large.showModal();
    large.addEventListener("close", () => focusOn(link.closest(".mistake")), { once: true });
  });

  document.addEventListener("keydown", (event) => {
    if (large.open || event.altKey || event.ctrlKey || event.metaKey) return;
    const card = current();
    if (isTyping(event.target)) {
      if (event.key === "Escape" && card) focusOn(card);
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key === "Delete" ? "x" : event.key;
    if (key in STEPS && (card || event.target === document.body)) {
      event.preventDefault();
      return step(STEPS[key]);
    }
    const isBar = event.target.closest("[data-mistakes]") || event.target === document.body;
    if (key === "u" && isBar && !undoButton.hidden) return undo();
    if (!card || (key === "Enter" && event.target !== card)) return; // Enter on a button is the button's
    if (key === "Enter" && !card.querySelector('[data-key="Enter"]')) return card.querySelector("[data-large]")?.click();
    if (press(card, key)) event.preventDefault();
  });

  list.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(event.target, event.submitter);
  });
  // A click on an image's card makes it the one that keys are for.
  list.addEventListener("focusin", (event) => {
    const card = event.target.closest(".mistake");
    cards().forEach((other) => (other.tabIndex = other === card ? 0 : -1));
  });
  undoButton.addEventListener("click", undo);
  const first = cards().find(isOpen) ?? cards()[0];
  if (first) first.tabIndex = 0;
  root.classList.add("has-keys");
  root.querySelector("[data-keys-help]")?.removeAttribute("hidden");
}

document.querySelectorAll("[data-mistakes]").forEach((root) => {
  if (root.querySelector("[data-images]")) watch(root);
});
