// Finds a class by its name or number, if there are more classes than keys.

export class ClassSearch {
  constructor(field, found, buttons, answer) {
    this.field = field;
    this.found = found;
    this.buttons = buttons;
    this.answer = answer;
    this.chosen = 0;
    this.hits = buttons;
    field.addEventListener("input", () => this.filter());
    field.addEventListener("keydown", (event) => this.onKey(event));
  }

  start(text) {
    this.field.value = text;
    this.field.focus();
    this.filter();
  }

  clear() {
    this.field.value = "";
    this.filter();
  }

  filter() {
    const text = this.field.value.trim().toLowerCase();
    this.hits = this.buttons.filter((button) => rank(button, text) < 9);
    this.hits.sort((a, b) => rank(a, text) - rank(b, text));
    for (const button of this.buttons) button.hidden = !this.hits.includes(button);
    this.choose(0);
  }

  choose(place) {
    this.chosen = Math.max(0, Math.min(place, this.hits.length - 1));
    const hit = this.field.value.trim() ? this.hits[this.chosen] : undefined;
    for (const button of this.buttons) button.classList.toggle("chosen", button === hit);
    this.field.setAttribute("aria-activedescendant", hit ? hit.id : "");
    if (!this.field.value.trim()) this.found.textContent = "";
    else if (!hit) this.found.textContent = "No class has that name or number.";
    else this.found.textContent = `${this.hits.length} found. Enter answers: ${hit.dataset.name}`;
    hit?.scrollIntoView({ block: "nearest" });
  }

  onKey(event) {
    if (event.key === "ArrowDown") this.choose(this.chosen + 1);
    else if (event.key === "ArrowUp") this.choose(this.chosen - 1);
    else if (event.key === "Enter" && !event.repeat && this.field.value.trim() && this.hits.length) {
      this.answer(this.hits[this.chosen]);
    } else return;
    event.preventDefault();
  }
}

// The exact number comes first, then names that begin with the text, then names that contain it.
function rank(button, text) {
  const { label, name } = button.dataset;
  if (text === "" || label === text) return 0;
  if (name.toLowerCase() === text) return 1;
  if (name.toLowerCase().startsWith(text)) return 2;
  if (label.startsWith(text)) return 3;
  return name.toLowerCase().includes(text) ? 4 : 9;
}
