// How one turn looks: the message with its mood, and below it the answer, what it waits for, or what went wrong.

import { icon, make } from "./dom.js";
import { label, say } from "./say.js";
import { moodOf, moodRow } from "./mood.js";

const ENDS = { length: "end.length", deadline: "end.deadline", cancelled: "end.stopped", callback: "end.stopped", cut: "end.cut" };

export class TurnView {
  #badge = make("span", { class: "badge", "aria-hidden": "true" });
  #mood = make("div", { class: "moods" });
  #waiting = make("div", { class: "waiting" });
  #said = make("div", { class: "said" });
  #rest = make("div", { class: "rest" });
  #act;

  /** `act` has the functions behind the buttons: `copy`, `regenerate`, `retry`, `stop`. */
  constructor(text, act) {
    this.#act = act;
    this.bubble = make(
      "div",
      { class: "bubble", tabindex: "-1" },
      say(make("span", { class: "unseen" }), "you"),
      make("p", { class: "text", dir: "auto" }, text),
      this.#badge,
    );
    this.answer = make("div", { class: "answer" }, this.#waiting, this.#said, this.#rest);
    this.root = make("article", { class: "turn" }, make("div", { class: "user" }, this.bubble, this.#mood), this.answer);
  }

  mood(sentiment) {
    this.#badge.textContent = moodOf(sentiment).face;
    this.#badge.classList.add("known");
    this.#mood.replaceChildren(moodRow(sentiment));
  }

  /** The dots of someone who writes, until the first piece. */
  typing() {
    this.#rest.replaceChildren();
    this.#said = this.#fresh("", { "aria-live": "off", "aria-busy": "true" });
    const dots = make("span", { class: "dots", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
    this.#waiting.replaceChildren(dots, say(make("span", { class: "unseen" }), "typing"));
  }

  /** What stands in the way of the answer, with a way out when it can last. */
  waiting(key, values, canCancel = true) {
    const text = say(make("span", { class: "why", "aria-live": "off" }), key, values);
    const cancel = say(make("button", { type: "button", class: "plain" }), "cancel");
    cancel.addEventListener("click", this.#act.stop);
    this.#waiting.replaceChildren(make("span", { class: "pulse", "aria-hidden": "true" }), text);
    if (canCancel) this.#waiting.append(cancel);
  }

  piece(text) {
    this.#waiting.replaceChildren();
    this.#said.append(text);
  }

  /** The answer as it stays. A new element, so that a screen reader reads it once, whole. */
  finish(text, reason) {
    this.#waiting.replaceChildren();
    this.#said = this.#fresh(text);
    if (text) this.#said.prepend(say(make("span", { class: "unseen" }), "assistant"));
    this.#rest.replaceChildren();
    if (!text) this.#rest.append(say(make("p", { class: "end" }), "nothingSaid"));
    else if (ENDS[reason]) this.#rest.append(say(make("p", { class: "end" }), ENDS[reason]));
    this.#rest.append(this.#actions(text));
  }

  /** The message did not reach the model; it stays, with a button that sends it again. `calm`: the reader wanted it so. */
  unsent(key, calm = false) {
    this.#end(say(make("p"), key), "sendAgain", this.#act.retry, calm ? "fault calm" : "fault");
  }

  /** The server's own words about what failed, with its code for those who look it up. */
  fail(detail, code) {
    const words = typeof detail === "string" ? make("p", { dir: "auto" }, detail) : detail;
    if (code) words.append(" ", make("code", {}, code));
    this.#end(words, "again", this.#act.retry);
  }

  /** Selects the answer, for copying by hand. */
  select() {
    getSelection().selectAllChildren(this.#said);
  }

  #end(words, key, act, look = "fault") {
    this.#waiting.replaceChildren();
    const button = make("button", { type: "button", class: "plain" }, icon("again"));
    button.append(say(make("span"), key));
    button.addEventListener("click", act);
    this.#rest.append(make("div", { class: look }, words, button));
  }

  #fresh(text, attributes = {}) {
    const said = make("div", { class: "said", dir: "auto", ...attributes });
    if (text) said.append(make("span", { class: "words" }, text));
    this.#said.replaceWith(said);
    return said;
  }

  #actions(text) {
    const row = make("div", { class: "actions" });
    const button = (key, shape, act) => {
      const made = label(make("button", { type: "button", class: `tool ${key}` }, icon(shape)), key);
      made.addEventListener("click", () => act(made));
      row.append(made);
    };
    if (text) button("copy", "copy", this.#act.copy);
    button("regenerate", "again", this.#act.regenerate);
    return row;
  }
}
