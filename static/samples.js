// Shows sample images as the form's settings vary them, in place, without sending the form away.

const POLL_MILLISECONDS = 700;

async function ask(address, options) {
  const answer = await fetch(address, { ...options, headers: { Accept: "application/json" } });
  return answer.ok ? answer.json() : null;
}

async function follow(facts, part) {
  while (facts && !facts.is_over) {
    part.querySelector("[data-words]").textContent = facts.words;
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    facts = await ask(facts.address);
  }
  return facts;
}

function show(facts, part) {
  const picture = part.querySelector("img");
  part.querySelector("[data-words]").textContent = facts?.words ?? "The samples could not be drawn. Try again.";
  picture.hidden = !facts?.picture;
  if (facts?.picture) picture.src = facts.picture;
}

function watch(button) {
  const part = document.querySelector(button.dataset.samples);
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    button.disabled = true;
    part.hidden = false;
    try {
      const facts = await ask(button.formAction, { method: "POST", body: new FormData(button.form) });
      if (!facts) return button.form.requestSubmit(resend(button)); // the page says what is wrong, at the fields
      show(await follow(facts, part), part);
    } finally {
      button.disabled = false;
    }
  });
}

// The same button once more, which this time sends the form as without scripts.
function resend(button) {
  const copy = button.cloneNode(true);
  copy.disabled = false;
  copy.hidden = true;
  button.after(copy);
  return copy;
}

document.querySelectorAll("button[data-samples]").forEach(watch);
