// Follows long work without reloading: asks the address in data-progress and writes what it hears into
// [data-field], [data-bar] and [data-phase]. When the work is over the page is loaded once more, whole.

const POLL_MILLISECONDS = 700;
const MOST_MILLISECONDS = 10_000;

function valueAt(facts, path) {
  return path.split(".").reduce((value, key) => value?.[key], facts);
}

function asText(value) {
  return typeof value === "number" ? value.toLocaleString("en") : (value ?? "…");
}

function writeFields(root, facts) {
  for (const element of root.querySelectorAll("[data-field]")) {
    const text = asText(valueAt(facts, element.dataset.field));
    if (element.textContent === text) continue;
    const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 4;
    element.textContent = text;
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  }
}

function moveBars(root, facts) {
  for (const bar of root.querySelectorAll("[data-bar]")) {
    const percent = valueAt(facts, bar.dataset.bar);
    if (percent === null || percent === undefined) bar.removeAttribute("value");
    else bar.value = percent;
  }
}

function makePhase(phase) {
  const line = document.createElement("li");
  const [dot, words, detail] = ["span", "span", "span"].map((name) => document.createElement(name));
  line.dataset.phase = phase.name;
  dot.className = "dot";
  dot.setAttribute("aria-hidden", "true");
  words.textContent = phase.words;
  detail.className = "number fw-normal";
  detail.dataset.phaseWords = "";
  line.append(dot, words, detail);
  return line;
}

function markPhase(line, phase) {
  line.dataset.state = phase.state;
  if (phase.state === "current") line.setAttribute("aria-current", "step");
  else line.removeAttribute("aria-current");
  line.querySelector("[data-phase-words]").textContent = phase.detail;
}

function markPhases(root, facts) {
  const list = root.querySelector(".phases");
  if (!list || !facts.phases) return;
  const known = new Map([...list.children].map((line) => [line.dataset.phase, line]));
  const lines = facts.phases.map((phase) => known.get(phase.name) ?? makePhase(phase));
  if (lines.length !== list.children.length || lines.some((line, place) => line !== list.children[place])) {
    list.replaceChildren(...lines); // some runs do more than others, and say so only when they get there
  }
  facts.phases.forEach((phase, place) => markPhase(lines[place], phase));
}

function showAway(root, isAway) {
  for (const note of root.querySelectorAll("[data-away]")) note.hidden = !isAway;
}

async function follow(root) {
  let wait = POLL_MILLISECONDS;
  let state = null;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (document.hidden && !("awake" in root.dataset)) continue;
    try {
      const answer = await fetch(root.dataset.progress, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const facts = await answer.json();
      writeFields(root, facts);
      moveBars(root, facts);
      markPhases(root, facts);
      root.dispatchEvent(new CustomEvent("progress", { detail: facts, bubbles: true }));
      if (facts.next && !("stay" in root.dataset)) return globalThis.location.assign(facts.next);
      if (facts.is_over || (state !== null && state !== facts.state)) return globalThis.location.reload();
      state = facts.state;
      wait = POLL_MILLISECONDS;
      showAway(root, false);
    } catch {
      wait = Math.min(wait * 2, MOST_MILLISECONDS); // the server is away: ask less and less often
      showAway(root, wait > 3 * POLL_MILLISECONDS);
    }
  }
}

document.querySelectorAll("[data-progress]").forEach(follow);
document.querySelectorAll(".log").forEach((log) => (log.scrollTop = log.scrollHeight));
