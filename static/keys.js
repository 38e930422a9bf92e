// Arrow keys follow the links that say so (<a data-key="ArrowRight">), unless somebody is typing.
export function watchKeys() {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select");
    if (isTyping || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    document.querySelector(`a[data-key="${event.key}"]`)?.click();
  });
}
