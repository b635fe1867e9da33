// Which model this chat uses, and a menu of those that may be chosen. Choosing one is an ordinary
// message, `/model NAME`.

import { api } from "./api.js";
import { button, element } from "./dom.js";

export class Picker {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.name = document.getElementById("model");
    this.menu = document.getElementById("picker");
    this.label = document.getElementById("picker-model");
    this.list = document.getElementById("models");
    this.menu.addEventListener("keydown", (event) => this.#onKey(event));
    document.addEventListener("click", (event) => {
      if (!this.menu.contains(event.target)) this.menu.open = false;
    });
    this.clear("");
  }

  /** A chat of which nothing is known yet uses the `usual` model. */
  clear(usual) {
    this.chat = null;
    this.models = { current: usual, usual, allowed: [] };
    this.answered = null;
    this.#show();
  }

  /** Asks the gateway what the chat uses. An older gateway cannot say. */
  async load(chat) {
    this.chat = chat;
    const models = await api.models(chat).catch(() => null);
    if (this.chat !== chat || !models) return;
    this.models = models;
    this.#show();
  }

  /** A model has answered: the chat's own, or one that stood in for it. */
  note(model) {
    this.answered = model;
    this.#show();
  }

  /** The person has chosen, here or in words. What answered before says nothing any more. */
  forget() {
    this.answered = null;
    this.#show();
  }

  #show() {
    const { current, allowed } = this.models;
    const shown = this.answered ?? current ?? "";
    this.name.textContent = this.label.textContent = shown;
    const why = shown === current ? "This chat's model" : `${shown} gave the last answer; this chat uses ${current}`;
    this.name.title = this.label.title = why;
    const hasChoice = allowed.length > 1;
    this.name.hidden = hasChoice || !shown;
    this.menu.hidden = !hasChoice;
    if (!hasChoice) this.menu.open = false;
    this.list.replaceChildren(...allowed.map((model) => this.#item(model)));
  }

  #item(model) {
    const { current, usual } = this.models;
    const row = element("li");
    const choice = button("", model, () => {
      this.menu.open = false;
      this.menu.querySelector("summary").focus();
      if (model !== current) this.onChoose(model);
    });
    if (model === current) choice.setAttribute("aria-current", "true");
    if (model === usual) choice.append(element("small", "", "usual"));
    row.append(choice);
    return row;
  }

  #onKey(event) {
    const choices = [...this.list.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && this.menu.open) {
      this.menu.open = false;
      this.menu.querySelector("summary").focus();
      event.stopPropagation();
    } else if (step) {
      event.preventDefault();
      this.menu.open = true;
      const from = choices.indexOf(document.activeElement);
      const to = from < 0 && step < 0 ? choices.length - 1 : from + step;
      choices[(to + choices.length) % choices.length].focus();
    }
  }
}
