// A key presses the button that shows it. In a field or a dialog, keys are text.

export function listenToKeys(isOn, keys) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    if (isField(event.target)) {
      if (event.key === "Escape") keys.leaveField();
      return;
    }
    // Holding a key down answers once.
    if (event.repeat || !isOn()) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (keys.press(key)) event.preventDefault();
  });
}

function isField(element) {
  return element instanceof HTMLElement && element.matches("input:not([type=checkbox]), textarea, select");
}
