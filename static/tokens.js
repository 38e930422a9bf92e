// Several labels by keyboard: Enter in the field ticks the label above, making its box if it is new. With the field
// empty Enter saves. Without this script Enter saves at once, the label in the field with the others.
export function watchTokens(fieldset) {
  const input = fieldset.form.querySelector("[data-token-input]");
  const help = fieldset.form.querySelector("[data-token-help]");
  const boxes = () => [...fieldset.querySelectorAll("input[type=checkbox]")];
  const tidy = (text) => text.normalize("NFC").trim().replace(/\s+/g, " ");

  input.addEventListener("keydown", (event) => {
    const name = tidy(input.value);
    if (event.key !== "Enter" || !name) return;
    event.preventDefault();
    const box = boxes().find(({ value }) => value === name) ?? addBox(fieldset, name);
    box.checked = true;
    box.scrollIntoView({ block: "nearest" });
    input.value = "";
  });
  help.hidden = false;
}

function addBox(fieldset, name) {
  const [line, box, label] = ["div", "input", "label"].map((tag) => document.createElement(tag));
  line.className = "form-check";
  Object.assign(box, { type: "checkbox", className: "form-check-input", name: "label", value: name });
  box.id = `label-new-${fieldset.children.length}`;
  label.className = "form-check-label";
  label.htmlFor = box.id;
  label.textContent = name;
  line.append(box, label);
  fieldset.append(line);
  return box;
}
