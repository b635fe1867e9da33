// The messages of the open chat. Only what the gateway rendered is inserted as HTML.

import { ageOf, relative } from "./times.js";

const SVG = "http://www.w3.org/2000/svg";
const NEAR_END_PX = 120;
const TURN_MS = 15 * 60_000;

export class Thread {
  constructor(on) {
    this.on = on; // retry(), busy(boolean)
    this.log = document.getElementById("log");
    this.scroll = document.getElementById("scroll");
    this.latest = document.getElementById("latest");
    this.announce = document.getElementById("announce");
    this.scroll.addEventListener("scroll", () => this.#updateFollow(), { passive: true });
    this.latest.addEventListener("click", () => this.toEnd());
    this.clear();
  }

  clear() {
    this.log.replaceChildren();
    this.mine = new Map(); // message id -> entry
    this.turns = new Map(); // turn -> { entry, settled }
    this.dots = null;
    this.live = false; // false while the chat's history is still coming in
    this.follow = true;
    this.#reportBusy();
  }

  get isEmpty() {
    return !this.log.childElementCount;
  }

  /** The person's own message: still being sent (`pending`), or as the gateway has it. */
  own(id, text, { at = null, pending = false } = {}) {
    let entry = this.mine.get(id);
    if (!entry) {
      entry = element("li", "entry mine");
      entry.append(element("div", "body", text), element("footer"));
      if (text.startsWith("/")) entry.classList.add("command");
      this.mine.set(id, entry);
      this.log.append(entry);
      this.follow ||= pending;
    }
    entry.classList.toggle("pending", pending);
    entry.classList.remove("failed");
    entry.querySelector("footer").replaceChildren(pending ? "Sending…" : time(at));
    if (!pending) {
      this.dots?.remove();
      this.dots = null;
      if (text !== "/stop" && ageOf(at) < TURN_MS) this.#think();
    }
    this.#update();
  }

  /** A message that could not be sent yet. */
  waiting(id, reason) {
    const entry = this.mine.get(id);
    if (!entry) return;
    entry.classList.add("failed");
    const again = element("button", "", "Try now");
    again.type = "button";
    again.addEventListener("click", () => this.on.retry());
    entry.querySelector("footer").replaceChildren(`Not sent yet: ${reason}`, again);
  }

  /** Removes a message that the gateway refused. */
  remove(id) {
    this.mine.get(id)?.remove();
    this.mine.delete(id);
  }

  draft({ turn, html }) {
    const shown = this.#turn(turn);
    if (shown.settled) return;
    shown.entry.classList.add("live");
    shown.entry.setAttribute("aria-busy", "true");
    shown.body.replaceChildren(toElement(html));
    this.#update();
  }

  reply({ turn, chunk, final, html, text, at }) {
    const shown = this.#turn(turn || `notice-${at}-${this.log.childElementCount}`);
    if (!shown.settled) shown.body.replaceChildren();
    shown.settled = true;
    shown.text = (shown.text ?? "") + (shown.text ? "\n" : "") + text;
    const part = toElement(html);
    addCopyButtons(part);
    shown.body.append(part);
    shown.entry.classList.toggle("live", !final);
    shown.entry.setAttribute("aria-busy", String(!final));
    if (final) this.#end(shown, turn, at);
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

  #end(shown, turn, at) {
    const copy = element("button", "", "Copy");
    copy.type = "button";
    copy.addEventListener("click", () => copyText(copy, shown.text));
    shown.entry.querySelector("footer").replaceChildren(time(at), ...(navigator.clipboard ? [copy] : []));
    if (this.live) this.announce.textContent = `Sigil: ${shown.body.textContent}`;
    if (!turn) return;
    // A chat's turns run one after another, so a draft that an earlier turn left never gets a reply.
    for (const [key, other] of this.turns) {
      if (other === shown) break;
      if (!other.settled) {
        other.entry.remove();
        this.turns.delete(key);
      }
    }
  }

  #turn(key) {
    this.dots?.remove();
    this.dots = null;
    let shown = this.turns.get(key);
    if (!shown) {
      const entry = element("li", "entry");
      const body = element("div", "body");
      entry.append(mark(), body, element("footer"));
      this.log.append(entry);
      shown = { entry, body, settled: false };
      this.turns.set(key, shown);
    }
    return shown;
  }

  #think() {
    this.dots?.remove();
    this.dots = element("li", "entry");
    const dots = element("div", "dots");
    dots.setAttribute("role", "img");
    dots.setAttribute("aria-label", "Sigil is thinking");
    dots.append(element("i"), element("i"), element("i"));
    this.dots.append(mark(), dots);
    this.log.append(this.dots);
  }

  #update() {
    this.#reportBusy();
    if (this.follow) this.scroll.scrollTop = this.scroll.scrollHeight;
    else this.latest.hidden = false;
  }

  #reportBusy() {
    this.on.busy(this.dots !== null || [...this.turns.values()].some((shown) => !shown.settled));
  }

  #updateFollow() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    this.follow = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    this.latest.hidden = this.follow;
  }
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function mark() {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "mark");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Sigil");
  use.setAttribute("href", "#i-mark");
  svg.append(use);
  return svg;
}

function time(at) {
  const made = element("time", "", relative(at));
  made.dateTime = new Date(at).toISOString();
  made.title = new Date(at).toLocaleString();
  return made;
}

function toElement(html) {
  const made = element("div", "md");
  made.innerHTML = html;
  return made;
}

function addCopyButtons(part) {
  if (!navigator.clipboard) return;
  for (const pre of part.querySelectorAll("pre")) {
    const frame = element("div", "code");
    const button = element("button", "copy", "Copy");
    button.type = "button";
    button.setAttribute("aria-label", "Copy code");
    button.addEventListener("click", () => copyText(button, pre.textContent));
    pre.replaceWith(frame);
    frame.append(pre, button);
  }
}

async function copyText(button, text) {
  const done = await navigator.clipboard.writeText(text).then(() => true, () => false);
  button.textContent = done ? "Copied" : "Copy failed";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
