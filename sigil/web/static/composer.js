// The box that messages are written in. What is typed survives a reload.

const KEY = "sigil-typed";

export class Composer {
  constructor(onSend) {
    this.form = document.getElementById("composer");
    this.text = document.getElementById("text");
    this.send = document.getElementById("send");
    this.problem = document.getElementById("problem");
    this.text.value = sessionStorage.getItem(KEY) ?? "";
    this.text.addEventListener("input", () => this.#typed());
    this.text.addEventListener("keydown", (event) => {
      // Enter also ends a word in Japanese or Chinese input: then it does not send.
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
    this.#typed();
  }

  get value() {
    return this.text.value;
  }

  set(text) {
    this.text.value = text;
    this.#typed();
  }

  /** Says what is wrong; an empty text takes it back. */
  fail(message) {
    this.problem.textContent = message;
    this.problem.hidden = !message;
  }

  focus() {
    // On a phone this would raise the keyboard over what is to be read.
    if (matchMedia("(hover: hover)").matches) this.text.focus();
  }

  #typed() {
    this.send.disabled = !this.text.value.trim();
    sessionStorage.setItem(KEY, this.text.value);
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
  }
}
