// The list of chats. On a narrow page it is a drawer; on a wide one it can be folded away.

import { relative } from "./times.js";

const NARROW = matchMedia("(max-width: 47.99rem)");
const FOLDED = "sigil-folded";

export class Sidebar {
  constructor() {
    this.app = document.getElementById("app");
    this.list = document.getElementById("chats");
    this.menu = document.getElementById("menu");
    this.app.classList.toggle("folded", localStorage.getItem(FOLDED) === "yes");
    this.menu.addEventListener("click", () => this.toggle());
    document.getElementById("shade").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.app.classList.contains("open")) {
        this.close();
        this.menu.focus();
      }
    });
    NARROW.addEventListener("change", () => this.#updateMenu());
    this.#updateMenu();
  }

  toggle() {
    if (NARROW.matches) {
      this.app.classList.toggle("open");
      document.getElementById("shade").hidden = !this.app.classList.contains("open");
    } else {
      const folded = this.app.classList.toggle("folded");
      localStorage.setItem(FOLDED, folded ? "yes" : "no");
    }
    this.#updateMenu();
    if (NARROW.matches && this.app.classList.contains("open")) document.getElementById("new-chat").focus();
  }

  /** Closes the drawer of a narrow page; a wide page keeps its list. */
  close() {
    this.app.classList.remove("open");
    document.getElementById("shade").hidden = true;
    this.#updateMenu();
  }

  show(chats, current) {
    this.list.replaceChildren(...chats.map((chat) => item(chat, chat.id === current)));
  }

  #updateMenu() {
    const open = NARROW.matches
      ? this.app.classList.contains("open")
      : !this.app.classList.contains("folded");
    this.menu.setAttribute("aria-expanded", String(open));
  }
}

function item(chat, isCurrent) {
  const row = document.createElement("li");
  const link = document.createElement("a");
  const name = document.createElement("span");
  const time = document.createElement("time");
  const at = chat.at * 1000;
  link.href = `#${chat.id}`;
  if (isCurrent) link.setAttribute("aria-current", "page");
  name.className = "name";
  name.textContent = chat.title || "Chat";
  link.title = name.textContent;
  time.dateTime = new Date(at).toISOString();
  time.textContent = relative(at);
  link.append(name, time);
  row.append(link);
  return row;
}
