// The label page: it shows a task, takes an answer by key or button, and has the next task ready.

import { Deck } from "./deck.js";
import { listenToKeys } from "./keys.js";
import { Outbox } from "./outbox.js";
import { ClassSearch } from "./search.js";
import { Refused, server } from "./server.js";

const AHEAD = 2;
const MOST_HELD = 4;
const EMPTY_RETRY_MS = 5000;
const UNREACHED_RETRY_MS = 1000;
const ALL_DONE = "Nothing is left: all groups are done. Thank you! This page looks again every few seconds.";
const NOTHING_NOW =
  "Nothing is left for you right now. You have seen the open groups, or somebody else has them. This page looks again every few seconds.";

const main = document.getElementById("main");
const { audit, csrf, annotator, leaseS, searchKey } = main.dataset;
const place = `${annotator}:${audit}`;
const post = server(audit, csrf);
const at = (id) => document.getElementById(id);
const note = at("note");
const empty = at("empty");
const undoButton = main.querySelector("[data-command=undo]");
const buttons = [...main.querySelectorAll(".answers button[data-key]")];

const deck = new Deck(at("current"), at("next"), empty, {
  kept: (handles) => remember("held", handles),
  shown: onShown,
});
const outbox = new Outbox(place, (entry) => post("answer", entry), {
  saved: onSaved,
  refused: (entry, error) => tell(`An answer did not count. ${error.message}`, "bad"),
  waiting: (count, error) => tell(waitingText(count, error), "open"),
});
const classButtons = [...main.querySelectorAll("[data-label]")];
const search = searchKey && new ClassSearch(at("search"), at("found"), classButtons, (button) => press(button));

// What this tab answered, newest last. Undo goes back through it. It survives reloading the page.
const answered = remembered("answered");
let asking = null;
let askAgain = null;

function answerOf(button) {
  const { label, verdict } = button.dataset;
  return label === undefined ? { verdict } : { label: Number(label) };
}

function answerWith(button) {
  const card = deck.answerable;
  if (!card) return;
  const text = note.value;
  note.value = "";
  search && search.clear();
  outbox.add({ handle: card.handle, answer: answerOf(button), note: text });
  deck.remove([card.handle]);
  flash(button);
  refill();
}

function onSaved(entry, answer) {
  answered.push(entry.handle);
  remember("answered", answered.slice(-200));
  undoButton.disabled = false;
  showProgress(answer.progress);
  if (outbox.size === 0) tell("", "");
}

// Asks for tasks until the page holds enough, and tells which tasks it has lost.
function refill(options = {}) {
  const { want = AHEAD, first = false, unseen = false } = options;
  asking = (asking || Promise.resolve()).then(() => ask(want, first, unseen));
  return asking;
}

async function ask(want, first, unseen) {
  clearTimeout(askAgain);
  const held = unseen ? remembered("held") : deck.handles;
  try {
    const { lost, tasks, progress, advice } = await post("tasks", { held: held.slice(0, MOST_HELD), want, unseen });
    const wasSeen = deck.remove(lost);
    if (wasSeen) tell("This page was silent for too long, so the group went to somebody else. Here is the next one.", "bad");
    deck.add(tasks, first);
    showProgress(progress);
    at("advice").textContent = advice;
    if (outbox.size === 0 && at("notice").dataset.tone === "open") tell("", "");
    empty.textContent = progress.left === 0 ? ALL_DONE : NOTHING_NOW;
    if (deck.cards.length === 0) askAgain = setTimeout(refill, EMPTY_RETRY_MS);
  } catch (error) {
    if (error instanceof Refused && !error.isSession) tell(error.message, "bad");
    else {
      tell(waitingText(outbox.size, error), "open");
      askAgain = setTimeout(() => refill({ want, first, unseen }), UNREACHED_RETRY_MS);
    }
  }
}

function onShown(card) {
  if (card && !document.querySelector("dialog[open]")) card.element.focus({ preventScroll: true });
}

async function undo() {
  if (undoButton.disabled) return;
  undoButton.disabled = true;
  await outbox.flush();
  const handle = answered.at(-1);
  try {
    const { progress } = await post("undo", { handle });
    answered.pop();
    showProgress(progress);
    tell("Your last answer is taken back. Here is the group again.", "good");
    await refill({ want: Math.min(deck.cards.length + 1, MOST_HELD), first: true });
  } catch (error) {
    if (error instanceof Refused && !error.isSession) answered.pop();
    tell(error.message, "bad");
  }
  remember("answered", answered);
  undoButton.disabled = answered.length === 0;
}

async function skip() {
  const card = deck.answerable;
  const reason = card && (await askReason());
  if (!reason || deck.cards[0] !== card) return;
  try {
    const { progress } = await post("skip", { handle: card.handle, reason });
    deck.remove([card.handle]);
    showProgress(progress);
    tell("Skipped. Somebody else gets this group.", "good");
  } catch (error) {
    tell(error.message, "bad");
  }
  refill();
}

function askReason() {
  const dialog = at("skip-dialog");
  dialog.returnValue = "";
  dialog.showModal();
  at("reason").select();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "skip" ? at("reason").value.trim() : ""), { once: true });
  });
}

const commands = {
  skip,
  undo,
  help: () => at("help-dialog").showModal(),
  note: () => note.focus(),
};

function press(button) {
  if (button.disabled) return;
  if (button.dataset.command) commands[button.dataset.command]();
  else answerWith(button);
}

listenToKeys(() => at("keys-on").checked, {
  press(key) {
    const button = buttons.find((candidate) => candidate.dataset.key === key);
    if (button) press(button);
    else if (key === "n") commands.note();
    else if (search && key === searchKey) search.start("");
    else if (search && /^[a-z0-9]$/.test(key)) search.start(key);
    else return false;
    return true;
  },
  leaveField() {
    search && search.clear();
    deck.cards[0]?.element.focus();
  },
});

main.querySelector(".answers").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) press(button);
});
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => deck.cards[0]?.element.focus({ preventScroll: true }));
}
addEventListener("beforeunload", (event) => {
  if (outbox.size > 0) event.preventDefault();
});

// A page that was only loaded again, or comes back, asks for its tasks before others get them.
function leave() {
  if (deck.handles.length > 0) post("leave", { held: deck.handles }, true).catch(() => {});
}
addEventListener("pagehide", leave);
// After signing out nobody would listen to this page.
document.querySelector("form.who").addEventListener("submit", leave);
addEventListener("pageshow", (event) => {
  if (event.persisted) refill();
});

function showProgress({ total, left }) {
  at("progress").max = Math.max(total, 1);
  at("progress").value = total - left;
  // Groups that are open and not for this annotator are not "left" to them.
  const open = deck.cards.length > 0 || left === 0 ? "left" : "wait for other people";
  at("left").textContent = `${left} of ${total} groups ${open} · ${answered.length} answered by you here`;
}

function waitingText(count, error) {
  const kept = count === 0 ? "" : ` ${count === 1 ? "One answer is" : `${count} answers are`} kept in this browser.`;
  if (error instanceof Refused) return `${error.message}. Open this page in another tab to sign in.${kept}`;
  return `${error.message} Trying again.${kept}`;
}

function tell(text, tone) {
  at("notice").textContent = text;
  at("notice").dataset.tone = tone;
}

function flash(button) {
  button.classList.add("pressed");
  setTimeout(() => button.classList.remove("pressed"), 200);
}

function remember(what, value) {
  try {
    sessionStorage.setItem(`defuse:${what}:${place}`, JSON.stringify(value));
  } catch {
    // Without storage, a reloaded page starts from scratch.
  }
}

function remembered(what) {
  try {
    return JSON.parse(sessionStorage.getItem(`defuse:${what}:${place}`)) || [];
  } catch {
    return [];
  }
}

undoButton.disabled = answered.length === 0;
outbox.flush();
refill({ unseen: true });
setInterval(refill, (Number(leaseS) * 1000) / 3);
