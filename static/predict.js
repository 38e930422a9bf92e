// Comfort for the predict page: drop or paste an image anywhere, see it at once, send it without a click.
import { offerCamera } from "./camera.js";

const form = document.querySelector("[data-drop]");
if (form) prepare(form);

function prepare(form) {
  const input = form.querySelector("input[type=file]");
  form.querySelector("[data-with-scripts]").hidden = false;
  offerCamera(form.querySelector("[data-camera]"), input);
  input.addEventListener("change", () => send(form, input));
  addEventListener("pageshow", () => reset(form)); // back from the answer: ready for the next image

  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("is-over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) form.classList.remove("is-over");
  });
  addEventListener("drop", (event) => {
    form.classList.remove("is-over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(form, input, event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(form, input, event.clipboardData.files);
  });
}

function take(form, input, files) {
  const image = [...files].find((file) => file.type.startsWith("image/"));
  if (!image) return tell(form, "That is not an image.", true);
  const chosen = new DataTransfer();
  chosen.items.add(image);
  input.files = chosen.files;
  return send(form, input);
}

function send(form, input) {
  const [file] = input.files;
  if (!file) return;
  const limit = Number(form.dataset.maxBytes);
  if (file.size > limit - 4096) {
    input.value = "";
    tell(form, `${file.name} is larger than ${Math.floor(limit / 1048576)} MiB. Send a smaller copy.`, true);
    return;
  }
  preview(form, file);
  tell(form, `Looking at ${file.name} …`);
  form.requestSubmit();
}

function preview(form, file) {
  const image = form.querySelector("[data-preview]");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.alt = `Preview of ${file.name}`;
  image.hidden = false;
}

function tell(form, words, isWrong = false) {
  const status = form.querySelector("[data-status]");
  status.textContent = words;
  status.classList.toggle("is-wrong", isWrong);
}

function reset(form) {
  form.reset();
  form.querySelector("[data-preview]").hidden = true;
  tell(form, "");
}
