// JSON in colours: names, texts, and the rest.
const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g;

export function colourJson(element) {
  const text = element.textContent;
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    pieces.push(text.slice(at, match.index), colour(match));
    at = match.index + match[0].length;
  }
  element.replaceChildren(...pieces, text.slice(at));
}

function colour([whole, quoted, colon]) {
  const piece = document.createElement("span");
  piece.className = colon ? "json-name" : quoted ? "json-text" : "json-plain";
  piece.textContent = whole;
  return piece;
}
