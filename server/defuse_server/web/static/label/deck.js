// The tasks that the page holds: the visible one, and the next one, whose picture is already loaded.

// An earlier key was meant for the previous task: nobody recognises pictures in so short a time.
const SETTLE_MS = 150;
const RETRY_MS = 2000;

export class Deck {
  // `kept` is called whenever the page holds other tasks, `shown` when another task is visible.
  constructor(current, next, empty, { kept, shown }) {
    this.current = current;
    this.next = next;
    this.empty = empty;
    this.kept = kept;
    this.shown = shown;
    this.cards = [];
  }

  get handles() {
    return this.cards.map((card) => card.handle);
  }

  // The task that can be answered now: it is visible with its picture. Null if there is none.
  get answerable() {
    const card = this.cards[0];
    return card && card.settled ? card : null;
  }

  add(tasks, first) {
    const cards = tasks.map(makeCard);
    this.cards = first ? [...cards, ...this.cards] : [...this.cards, ...cards];
    this.show();
  }

  remove(handles) {
    const gone = this.cards[0] && handles.includes(this.cards[0].handle);
    this.cards = this.cards.filter((card) => !handles.includes(card.handle));
    this.show();
    return gone;
  }

  show() {
    const [first, ...rest] = this.cards;
    this.next.replaceChildren(...rest.map((card) => card.element));
    this.kept(this.handles);
    const seen = first ? first.element : this.empty;
    if (this.current.firstElementChild === seen && this.current.childElementCount === 1) return;
    this.current.replaceChildren(seen);
    if (first) this.settle(first);
    this.shown(first || null);
  }

  async settle(card) {
    card.settled = false;
    delete card.element.dataset.ready;
    await Promise.all([card.loaded, new Promise((done) => setTimeout(done, SETTLE_MS))]);
    card.settled = true;
    card.element.dataset.ready = "true";
  }
}

function makeCard(task) {
  const holder = document.createElement("template");
  holder.innerHTML = task.html;
  const element = holder.content.firstElementChild;
  return { handle: task.handle, element, loaded: loaded(task.picture, element), settled: false };
}

async function loaded(address, element) {
  for (;;) {
    const picture = new Image();
    picture.src = address;
    try {
      await picture.decode();
      element.dataset.loaded = "true";
      return;
    } catch {
      element.dataset.loaded = "false";
      await new Promise((done) => setTimeout(done, RETRY_MS));
      for (const image of element.querySelectorAll(".tiles:not(.tiles-row) image")) image.setAttribute("href", address);
    }
  }
}
