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

function markPhases(root, facts) {
  for (const phase of facts.phases ?? []) {
    const line = root.querySelector(`[data-phase="${CSS.escape(phase.name)}"]`);
    if (!line) continue;
    line.dataset.state = phase.state;
    if (phase.state === "current") line.setAttribute("aria-current", "step");
    else line.removeAttribute("aria-current");
    line.querySelector("[data-phase-words]").textContent = phase.detail;
  }
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
    } catch {
      wait = Math.min(wait * 2, MOST_MILLISECONDS); // the server is away: ask less and less often
    }
  }
}

document.querySelectorAll("[data-progress]").forEach(follow);
document.querySelectorAll(".log").forEach((log) => (log.scrollTop = log.scrollHeight));
