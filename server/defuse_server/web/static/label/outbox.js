// Answers that the server has not acknowledged yet. They are kept in the browser, and sent until the server
// acknowledges them. An answer counts once, however often it is sent.

import { Refused, sleep } from "./server.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

export class Outbox {
  // `told` has the callbacks saved(entry, answer), refused(entry, error) and waiting(count, error).
  constructor(place, send, told) {
    this.prefix = `defuse:answer:${place}:`;
    this.send = send;
    this.told = told;
    this.memory = new Map();
    this.sending = null;
    for (const [key, text] of stored(this.prefix)) this.memory.set(key, JSON.parse(text));
  }

  get size() {
    return this.memory.size;
  }

  // Each entry has its own key, so that two tabs do not overwrite each other.
  add(entry) {
    const key = `${this.prefix}${String(Date.now()).padStart(15, "0")}-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    this.memory.set(key, entry);
    try {
      localStorage.setItem(key, JSON.stringify(entry));
    } catch {
      // Without storage, answers last only as long as the page.
    }
    return this.flush();
  }

  flush() {
    this.sending ??= this.sendAll().finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  async sendAll() {
    let wait = FIRST_WAIT_MS;
    while (this.memory.size > 0) {
      const [key, entry] = this.memory.entries().next().value;
      try {
        const answer = await this.send(entry);
        this.forget(key);
        this.told.saved(entry, answer);
        wait = FIRST_WAIT_MS;
      } catch (error) {
        if (error instanceof Refused && !error.isSession) {
          this.forget(key);
          this.told.refused(entry, error);
          continue;
        }
        this.told.waiting(this.memory.size, error);
        await sleep(wait);
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
      }
    }
  }

  forget(key) {
    this.memory.delete(key);
    try {
      localStorage.removeItem(key);
    } catch {
      // There is no storage.
    }
  }
}

function stored(prefix) {
  try {
    return Object.entries(localStorage)
      .filter(([key]) => key.startsWith(prefix))
      .sort();
  } catch {
    return [];
  }
}
