// The messages of the open chat. Only what the gateway rendered is inserted as HTML.
//
// An answer stands below the message that it answers and above the next one; a notice stands where it
// came. So nothing moves when an answer ends, and a reload shows the same order.

import { copyButton } from "./copy.js";
import { button, dots, element, mark, time } from "./dom.js";
import { fillDraftFooter, fillFooter } from "./footer.js";
import { ageOf } from "./times.js";

const NEAR_END_PX = 120;
const TURN_MS = 15 * 60_000;
const UNDONE = {
  dropped: "Stopped before it was answered",
  refused: "Not taken: too many messages were waiting",
};

export class Thread {
  constructor(on) {
    this.on = on; // retry(), busy(boolean), say(text)
    this.log = document.getElementById("log");
    this.scroll = document.getElementById("scroll");
    this.latest = document.getElementById("latest");
    this.announcer = document.getElementById("announce");
    this.scroll.addEventListener("scroll", () => this.#updateFollow(), { passive: true });
    this.latest.addEventListener("click", () => this.toEnd());
    this.clear();
  }

  clear() {
    this.log.replaceChildren();
    this.mine = new Map(); // message id -> entry
    this.open = new Map(); // id of each message that is still to be answered -> when it came
    this.answered = new Set(); // ids of messages that a turn has answered
    this.undone = new Set(); // ids of messages to which no answer comes
    this.stops = new Map(); // id of a /stop -> whether there was something to stop
    this.turns = new Map(); // turn -> { entry, body, text, answers, settled }
    this.notices = 0;
    this.dots = null;
    this.live = false; // false while the chat's history is still coming in
    this.follow = true;
    this.#update();
  }

  get isEmpty() {
    return !this.log.childElementCount;
  }

  /** The person's own message: still being sent (`pending`), or as the gateway has it. */
  own(id, text, { at = null, pending = false } = {}) {
    if (text.trim() === "/stop") {
      // Stop is a button. What it did is marked where it happened.
      this.stops.set(id, this.stops.get(id) || this.open.size > 0 || this.#isWriting());
      return;
    }
    const entry = this.mine.get(id) ?? this.#addOwn(id, text, pending);
    for (const other of this.undone) if (other !== id) this.#dropAgain(other, text);
    entry.classList.toggle("pending", pending);
    entry.classList.remove("failed");
    entry.querySelector("footer").replaceChildren(pending ? "Sending…" : time(at));
    if (!pending) this.open.set(id, at);
    this.#update();
  }

  /** A message that could not be sent yet. */
  waiting(id, reason) {
    const entry = this.mine.get(id);
    if (!entry) return;
    entry.classList.add("failed");
    const again = button("", "Try now", () => this.on.retry());
    entry.querySelector("footer").replaceChildren(`Not sent yet: ${reason}`, again);
  }

  /** A message to which no answer comes: it was `dropped` by a stop, or `refused`. */
  leave(kind, id) {
    if (this.answered.has(id)) return;
    this.open.delete(id);
    this.undone.add(id);
    const entry = this.mine.get(id);
    if (entry) {
      entry.classList.add("undone");
      const again = button("", "Send again", () => this.on.say(entry.querySelector(".body").textContent));
      entry.querySelector("footer").replaceChildren(UNDONE[kind], again);
    }
    const isUndone = (ids) => ids.length > 0 && ids.every((each) => this.undone.has(each));
    this.#dropDrafts((shown) => isUndone(shown.answers));
    // Nobody waits any more for what these notices promise.
    for (const shown of this.turns.values()) if (isUndone(shown.about)) shown.entry.remove();
    this.#update();
  }

  /** The text of a message to which no answer came was sent again, now or before a reload. */
  #dropAgain(id, text) {
    const entry = this.mine.get(id);
    if (entry?.querySelector(".body").textContent === text) entry.querySelector("footer button")?.remove();
  }

  /** Removes a message that the gateway refused. */
  remove(id) {
    this.mine.get(id)?.remove();
    this.mine.delete(id);
  }

  draft({ turn, html, at, answers = [], broke_off: brokeOff = [] }) {
    // A chat's turns run one after another: a draft that an earlier one left never gets a reply.
    if (!this.turns.has(turn)) this.#dropDrafts(() => true);
    const shown = this.#show(turn, answers, at);
    if (shown.settled) return;
    shown.isBlank = !html;
    shown.entry.classList.add("live");
    shown.entry.setAttribute("aria-busy", "true");
    shown.body.replaceChildren(html || !brokeOff.length ? toElement(html) : dots());
    fillDraftFooter(shown.footer, brokeOff);
    this.#update();
  }

  /** One chunk of a reply. Without a `turn` it is a notice or a command's answer, and changes nothing
   * about a turn that runs. */
  reply({ turn, chunk, final, html, text, at, answers = [], about = [], details, actions }) {
    if (final) this.#close(turn, answers);
    if (!turn && this.#isStopped(answers)) {
      this.#announce(text);
      return this.#update();
    }
    if (!turn && chunk === 0) this.notices += 1;
    if (details) this.#dropDrafts((other) => other !== this.turns.get(turn));
    // The turn waits for a model and begins anew. Its answer comes below the notice that says so.
    if (!turn && !answers.length) this.#dropDrafts((shown) => shown.isBlank);
    const began = details ? at - 1000 * details.seconds : at;
    const shown = this.#show(turn ?? `notice-${this.notices}`, answers, began);
    if (!shown.settled) shown.body.replaceChildren();
    shown.settled = true;
    shown.about = about;
    shown.text += (shown.text ? "\n" : "") + text;
    const part = toElement(html);
    addCopyButtons(part);
    // What scrolls sideways can be scrolled by keyboard.
    for (const wide of part.querySelectorAll("table, pre")) wide.tabIndex = 0;
    shown.body.append(part);
    shown.entry.classList.toggle("live", !final);
    shown.entry.setAttribute("aria-busy", String(!final));
    if (final) {
      fillFooter(shown.footer, { at, text: shown.text, details, actions }, this.on.say);
      this.#announce(shown.body.textContent);
    }
    this.#update();
  }

  /** The history is complete; from now on replies are announced to screen readers. */
  ready() {
    this.live = true;
    this.toEnd();
  }

  toEnd() {
    this.follow = true;
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.#updateFollow();
  }

  #addOwn(id, text, pending) {
    const entry = element("li", "entry mine");
    entry.append(element("div", "body", text), element("footer"));
    if (text.startsWith("/")) entry.classList.add("command");
    this.mine.set(id, entry);
    this.log.insertBefore(entry, pending ? null : this.#firstPending());
    this.follow ||= pending;
    return entry;
  }

  /** Nothing more comes to these messages. An older worker's reply does not say which they are. */
  #close(turn, answers) {
    if (turn && !answers.length) this.open.clear();
    for (const id of answers) {
      this.open.delete(id);
      if (turn) this.answered.add(id);
    }
  }

  #isStopped(answers) {
    return answers.length > 0 && answers.every((id) => this.stops.get(id));
  }

  /** What is shown of a turn or a notice. It is put in its place once, and stays there. */
  #show(key, answers, began) {
    let shown = this.turns.get(key);
    if (!shown) {
      const entry = element("li", "entry");
      const [body, footer] = [element("div", "body"), element("footer")];
      entry.append(mark(), body, footer);
      entry.dataset.at = began;
      shown = { entry, body, footer, answers, about: [], text: "", isBlank: true, settled: false };
      this.turns.set(key, shown);
      this.#place(entry, answers, began);
    }
    return shown;
  }

  /** Puts an answer that `began` then below the newest message that it answers, and below the notices
   * that had come by then. */
  #place(entry, answers, began) {
    const asked = answers.map((id) => this.mine.get(id)).filter(Boolean);
    const newest = asked.reduce((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? b : a), asked[0]);
    let next = newest ? newest.nextElementSibling : this.#firstPending();
    while (newest && next && !next.classList.contains("mine") && Number(next.dataset.at) <= began) next = next.nextElementSibling;
    this.log.insertBefore(entry, next);
  }

  /** The gateway has not put these messages in their place among the others yet. */
  #firstPending() {
    return this.log.querySelector(".mine.pending");
  }

  #dropDrafts(isOver) {
    for (const [key, shown] of this.turns) {
      if (!shown.settled && isOver(shown)) {
        shown.entry.remove();
        this.turns.delete(key);
      }
    }
  }

  #isWriting() {
    return [...this.turns.values()].some((shown) => !shown.settled || shown.entry.classList.contains("live"));
  }

  #isBusy() {
    return this.#findNext() !== undefined || this.#isWriting();
  }

  /** The message that is answered next. One that is very old never will be. */
  #findNext() {
    return [...this.open].find(([, at]) => ageOf(at) < TURN_MS)?.[0];
  }

  /** Dots stand where the next answer will. */
  #think() {
    this.dots?.remove();
    this.dots = null;
    const next = this.#findNext();
    if (next === undefined || this.#isWriting()) return;
    this.dots = element("li", "entry");
    this.dots.append(mark(), dots());
    this.#place(this.dots, [next], Infinity);
  }

  #announce(text) {
    if (this.live) this.announcer.textContent = `Sigil: ${text}`;
  }

  #update() {
    this.#think();
    this.on.busy(this.#isBusy());
    if (this.follow) this.scroll.scrollTop = this.scroll.scrollHeight;
    else this.latest.hidden = false;
  }

  #updateFollow() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    this.follow = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    this.latest.hidden = this.follow;
  }
}

function toElement(html) {
  const made = element("div", "md");
  made.innerHTML = html;
  return made;
}

function addCopyButtons(part) {
  for (const pre of part.querySelectorAll("pre")) {
    const frame = element("div", "code");
    pre.replaceWith(frame);
    frame.append(pre, copyButton("copy", "Copy code", () => pre.textContent));
  }
}
