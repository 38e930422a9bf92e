// Sends a model, or a zip to be answered, with progress and goes on to what is next. Without this script the form does the same.
import { reasonOf, send } from "./sending.js";

const button = document.querySelector("[data-model-upload]");
const part = (name) => document.querySelector(`[data-model-${name}]`);

async function upload(event) {
  event.preventDefault();
  const [file] = document.querySelector("#file").files;
  const form = new FormData();
  form.append("file", file, file.name);
  button.disabled = true;
  part("progress").hidden = false;
  part("bar").hidden = false;
  part("words").textContent = `Sending ${file.name} …`;
  const answer = await send(button.formAction, form, (loaded, total) => {
    part("bar").max = total;
    part("bar").value = loaded;
    if (loaded >= total) look(file);
  });
  if (answer.status === 201) return globalThis.location.assign(answer.body.url);
  button.disabled = false;
  part("bar").hidden = true;
  part("words").textContent = reasonOf(answer);
}

function look(file) {
  part("bar").removeAttribute("value");
  part("words").textContent = `Looking at ${file.name}${button.dataset.modelUpload || ": about ten seconds"} …`;
}

button?.form.addEventListener("submit", upload);
