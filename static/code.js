// Python coloured behind a plain textarea, with line numbers; the textarea stays what one types and reads in.
const KEYWORDS =
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield";
const TOKEN = new RegExp(
  [
    /(?<comment>#[^\n]*)/,
    /(?<text>[rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))/,
    /(?<number>\b\d[\w.]*)/,
    new RegExp(`(?<keyword>\\b(?:${KEYWORDS.split(" ").join("|")})\\b)`),
    /(?<name>[A-Za-z_]\w*)/,
  ]
    .map((pattern) => pattern.source)
    .join("|"),
  "g",
);

// The pieces of a text, as [kind, words]; kind is "" for what has no colour.
export function tokens(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > at) found.push(["", text.slice(at, match.index)]);
    const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    found.push([kind === "name" ? "" : kind, match[0]]);
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push(["", text.slice(at)]);
  return found;
}

function lines(text) {
  const rows = [document.createElement("span")];
  for (const [kind, words] of tokens(text)) {
    words.split("\n").forEach((part, index) => {
      if (index) rows.push(document.createElement("span"));
      const piece = document.createElement("span");
      if (kind) piece.className = `code-${kind}`;
      piece.textContent = part;
      rows.at(-1).append(piece);
    });
  }
  return rows;
}

function draw(area, picture) {
  const wrong = Number(/^Line (\d+):/.exec(document.querySelector("#code-hint")?.textContent ?? "")?.[1]);
  const rows = lines(area.value);
  rows.forEach((row, index) => row.classList.toggle("code-wrong", index + 1 === wrong && !area.dataset.changed));
  picture.replaceChildren(...rows);
  follow(area, picture);
}

function follow(area, picture) {
  picture.scrollTop = area.scrollTop;
  picture.scrollLeft = area.scrollLeft;
}

// Enter keeps the indentation, and deepens it after a colon. Tab leaves the field, as everywhere.
function indent(event) {
  if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
  const area = event.target;
  const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
  const spaces = /^ */.exec(line)[0] + (/:\s*$/.test(line) ? "    " : "");
  if (!spaces) return;
  event.preventDefault();
  // execCommand keeps the browser's own undo, which setRangeText does not
  if (!document.execCommand("insertText", false, `\n${spaces}`)) area.setRangeText(`\n${spaces}`, area.selectionStart, area.selectionEnd, "end");
  area.dispatchEvent(new Event("input"));
}

for (const editor of document.querySelectorAll("[data-code-editor]")) {
  const area = editor.querySelector("textarea");
  const picture = document.createElement("pre");
  picture.setAttribute("aria-hidden", "true");
  editor.prepend(picture);
  editor.classList.add("is-coloured");
  area.addEventListener("input", () => {
    area.dataset.changed = "yes";
    draw(area, picture);
  });
  area.addEventListener("scroll", () => follow(area, picture));
  area.addEventListener("keydown", indent);
  draw(area, picture);
}
