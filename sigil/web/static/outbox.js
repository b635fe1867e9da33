// Messages that were typed and are not yet known to be kept by the gateway. They survive a reload
// and are sent again under the same id, which the gateway takes once.

import { api } from "./api.js";

const KEY = "sigil-outbox";
const LONGEST_WAIT_MS = 8_000;

export class Outbox {
  /** `on` has: sent(item), refused(item, message), waiting(item, message). */
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

  /** The gateway's log has the message. */
  confirm(id) {
    this.items = this.items.filter((item) => item.id !== id);
    this.#save();
  }

  /** Sends what is waiting, in order, one at a time. */
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

  /** Tries again now. */
  retry() {
    this.hurry?.();
  }

  #save() {
    sessionStorage.setItem(KEY, JSON.stringify(this.items));
  }
}

// randomUUID is there on https and localhost only.
function fallbackId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
