// Tells on the desktop that a run is over, if the user asked for it: nothing is asked before the button is
// pressed, and nothing happens when the browser was told no.

const KEY = "pigeonhole-notify";

function isWished() {
  return localStorage.getItem(KEY) === "yes" && Notification.permission === "granted";
}

function show(button) {
  const isRefused = Notification.permission === "denied";
  button.hidden = isRefused;
  button.setAttribute("aria-pressed", String(isWished()));
  button.textContent = isWished() ? "You will be told when it is done" : "Tell me when it is done";
  // A hidden page asks on: else nobody would notice the end.
  document.querySelectorAll("[data-progress]").forEach((root) => root.toggleAttribute("data-awake", isWished()));
}

async function toggle(button) {
  if (isWished()) localStorage.removeItem(KEY);
  else if ((await Notification.requestPermission()) === "granted") localStorage.setItem(KEY, "yes");
  show(button);
}

function tell(button, facts) {
  if (!isWished() || !(facts.is_over || facts.next)) return;
  new Notification(button.dataset.notify, { body: facts.message ?? (facts.verdict || facts.words), tag: globalThis.location.pathname });
}

document.querySelectorAll("[data-notify]").forEach((button) => {
  if (!("Notification" in globalThis)) return;
  show(button);
  button.addEventListener("click", () => toggle(button));
  document.addEventListener("progress", (event) => tell(button, event.detail));
});
