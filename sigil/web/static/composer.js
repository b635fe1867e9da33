// The box that messages are written in. Its text survives a reload.

const KEY = "sigil-typed";

export class Composer {
  constructor(onSend) {
    this.form = document.getElementById("composer");
    this.text = document.getElementById("text");
    this.send = document.getElementById("send");
    this.problem = document.getElementById("problem");
    this.text.value = sessionStorage.getItem(KEY) ?? "";
    this.text.addEventListener("input", () => this.#onInput());
    this.text.addEventListener("keydown", (event) => {
      // While a word is being composed (Japanese, Chinese), Enter ends the word and must not send.
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.form.requestSubmit();
      }
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.text.value.trim();
      if (!text) return;
      this.set("");
      this.fail("");
      onSend(text);
    });
    this.#onInput();
  }

  get value() {
    return this.text.value;
  }

  set(text) {
    this.text.value = text;
    this.#onInput();
  }

  /** Shows a problem; an empty text hides it. */
  fail(message) {
    this.problem.textContent = message;
    this.problem.hidden = !message;
  }

  focus() {
    // On a phone the keyboard would open and cover the messages.
    if (matchMedia("(hover: hover)").matches) this.text.focus();
  }

  #onInput() {
    this.send.disabled = !this.text.value.trim();
    sessionStorage.setItem(KEY, this.text.value);
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
  }
}
