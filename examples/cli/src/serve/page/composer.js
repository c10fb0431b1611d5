// The message field: grows with the text, keeps the draft, sends on Enter.

import { tab } from "./store.js";

const MOST = 0.4; // of the height of the window

export class Composer {
  #field;
  #sendButton;
  #stopButton;
  #send;

  /** `send(text)` says whether it took the text. */
  constructor({ form, field, send, stop }, actions) {
    this.#field = field;
    this.#sendButton = send;
    this.#stopButton = stop;
    this.#send = actions.send;
    field.value = tab.get("draft") ?? "";
    field.addEventListener("input", () => this.#changed());
    field.addEventListener("keydown", (event) => this.#key(event));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    stop.addEventListener("click", actions.stop);
    addEventListener("resize", () => this.#fit());
    this.#changed();
  }

  submit() {
    const text = this.#field.value.trim();
    if (!text || !this.#send(text)) return;
    this.#field.value = "";
    this.#changed();
    this.focus();
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  /** While an answer comes, the button stops it. */
  answering(is) {
    const focused = document.activeElement;
    this.#sendButton.hidden = is;
    this.#stopButton.hidden = !is;
    if (focused === this.#sendButton || focused === this.#stopButton) this.focus();
  }

  #key(event) {
    // An input method confirms its candidate with Enter (229 is what Safari says then).
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.submit();
  }

  #changed() {
    tab.set("draft", this.#field.value);
    this.#sendButton.disabled = !this.#field.value.trim();
    this.#fit();
  }

  #fit() {
    this.#field.style.height = "auto";
    this.#field.style.height = `${Math.min(this.#field.scrollHeight, innerHeight * MOST)}px`;
  }
}
