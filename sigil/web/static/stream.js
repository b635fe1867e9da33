// One chat's events, from the first to the latest. Reconnects from the last event it saw.

import { api, eventsPath } from "./api.js";

const SILENCE_MS = 40_000; // the gateway pings every 15 s
const HIDDEN_MS = 60_000; // browsers allow six connections per host, so a hidden page gives up its own
const LONGEST_WAIT_MS = 8_000;

export class ChatStream {
  /** `on` has: event(kind, data), ready(), lost(), gone(status). */
  constructor(chat, on) {
    this.chat = chat;
    this.on = on;
    this.after = "0-0";
    this.wait = 500;
    this.visibility = () => this.#onVisibility();
    document.addEventListener("visibilitychange", this.visibility);
    this.#open();
  }

  close() {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.visibility);
    this.#drop();
  }

  #drop() {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.source?.close();
    this.source = null;
  }

  #open() {
    this.#drop();
    const source = new EventSource(eventsPath(this.chat, this.after));
    this.source = source;
    for (const kind of ["user", "draft", "reply", "dropped", "refused"]) {
      source.addEventListener(kind, (event) => {
        this.after = event.lastEventId;
        this.#alive();
        this.on.event(kind, JSON.parse(event.data));
      });
    }
    source.addEventListener("ping", () => this.#alive());
    source.addEventListener("ready", () => {
      this.#alive();
      this.wait = 500;
      this.on.ready();
    });
    source.onerror = () => this.#retry();
    this.#alive();
  }

  #alive() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.#retry(), SILENCE_MS);
  }

  #retry() {
    if (this.closed) return;
    this.#drop();
    this.on.lost();
    this.timer = setTimeout(() => this.#again(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
  }

  async #again() {
    const status = await api.probe(this.chat);
    if (this.closed) return;
    if (status === 401 || status === 404) this.on.gone(status);
    else if (status === 200) this.#open();
    else this.#retry();
  }

  #onVisibility() {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => this.#drop(), HIDDEN_MS);
    } else if (!this.source) {
      this.wait = 500;
      this.#open();
    }
  }
}
