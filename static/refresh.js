// Keeps [data-refreshed] as the server would show it now, without reloading the page.

const PAUSE_MILLISECONDS = 3000;

function isInUse(part) {
  return document.hidden || part.contains(document.activeElement);
}

async function refresh(part) {
  const answer = await fetch(globalThis.location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-refreshed]");
  if (!fresh || isInUse(part) || fresh.innerHTML === part.innerHTML) return;
  part.replaceChildren(...fresh.childNodes);
}

document.querySelectorAll("[data-refreshed]").forEach((part) => {
  setInterval(() => isInUse(part) || refresh(part).catch(console.debug), PAUSE_MILLISECONDS);
});
