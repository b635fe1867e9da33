// Messages that the gateway has not confirmed yet. They survive a reload and are sent again under
// the same id, which the gateway accepts only once.

import { api } from "./api.js";

const KEY = "sigil-outbox";
const LONGEST_WAIT_MS = 8_000;

export class Outbox {
  /** `on` has: sent(item), refused(item, error), waiting(item, reason). */
  constructor(on) {
    this.on = on;
    this.items = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    this.busy = false;
  }

  of(chat) {
    return this.items.filter((item) => item.chat === chat);
  }

  add(chat, text) {
    const item = { chat, text, id: crypto.randomUUID?.() ?? fallbackId() };
    this.items.push(item);
    this.#save();
    this.flush();
    return item;
  }

  /** The gateway has the message, so it leaves the outbox. */
  confirm(id) {
    this.items = this.items.filter((item) => item.id !== id);
    this.#save();
  }

  /** Sends the waiting messages in order, one at a time. */
  async flush() {
    if (this.busy) return;
    this.busy = true;
    let wait = 500;
    while (this.items.length) {
      const item = this.items[0];
      try {
        await api.send(item.chat, item.text, item.id);
        this.confirm(item.id);
        this.on.sent(item);
        wait = 500;
      } catch (error) {
        if (!error.transient) {
          this.confirm(item.id);
          this.on.refused(item, error);
          continue;
        }
        this.on.waiting(item, error.message);
        await new Promise((resolve) => { this.hurry = resolve; setTimeout(resolve, wait); });
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      }
    }
    this.busy = false;
  }

  /** Tries again now instead of waiting. */
  retry() {
    this.hurry?.();
  }

  #save() {
    sessionStorage.setItem(KEY, JSON.stringify(this.items));
  }
}

// Browsers offer randomUUID on https and localhost only.
function fallbackId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
