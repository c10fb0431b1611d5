// The conversation: its turns, its session on the server, and the one answer that may be under way.

import * as api from "./api.js";
import { deliver } from "./delivery.js";
import { make } from "./dom.js";
import { recover, settled } from "./restore.js";
import { say, sentence } from "./say.js";
import { kept, tab } from "./store.js";
import { TurnView } from "./turn.js";

/**
 * A turn: `text`, `sentiment`, `reply`, `stopReason`, `session`, `view`;
 * `again`: its answer is made anew; `heard`: the model has read it; `doubtful`: it may have reached the server.
 */
export class Conversation extends EventTarget {
  turns = [];
  session = kept.get("session");
  #log;
  #server;
  #scroll;
  #copy;
  #running = null;
  /** What must be over before a message goes out. */
  restoring = Promise.resolve();

  constructor(log, server, scroll, copy) {
    super();
    this.#log = log;
    this.#server = server;
    this.#scroll = scroll;
    this.#copy = copy;
  }

  get answering() {
    return this.#running !== null;
  }

  /** A turn at the end of the conversation, or at its start. */
  add(text, first = false) {
    const turn = { text, sentiment: null, reply: "", stopReason: null, session: null };
    turn.view = new TurnView(text, {
      copy: (button) => this.#copy(turn, button),
      regenerate: () => this.#again(turn, true),
      retry: () => this.#again(turn, turn.again),
      stop: () => this.stop(),
    });
    if (first) this.turns.unshift(turn);
    else this.turns.push(turn);
    if (first) this.#log.prepend(turn.view.root);
    else this.#log.append(turn.view.root);
    this.#changed();
    return turn;
  }

  send(text) {
    const turn = this.add(text);
    this.#scroll.toEnd();
    return this.#run(turn);
  }

  stop() {
    this.#running?.control.abort();
    return this.#running?.over;
  }

  /** A change that a screen reader need not read aloud. */
  quietly(change) {
    this.#log.setAttribute("aria-live", "off");
    change();
    setTimeout(() => this.#log.setAttribute("aria-live", "polite"), 500);
  }

  /** The server is back: what was cut off may be whole there. */
  recoverLast() {
    const turn = this.turns.at(-1);
    if (!turn?.doubtful || this.answering) return;
    this.restoring = recover(this, turn)
      .then((arrived) => arrived && turn.view.finish(turn.reply, turn.stopReason))
      .catch(() => {});
  }

  found(turn, sentiment) {
    if (sentiment && !turn.sentiment) turn.view.mood(sentiment);
    turn.sentiment ??= sentiment;
    this.#changed();
  }

  async openSession(signal) {
    if (!this.session) {
      this.session = await api.openSession(signal);
      kept.set("session", this.session);
    }
    return this.session;
  }

  /** The server no longer knows the session: what is shown stays above a line, `turn` goes below it. */
  forgotten(turn) {
    this.session = null;
    kept.remove("session");
    turn.again = false;
    this.#toEnd(turn, this.turns.length > 1 && say(make("p", { class: "divider" }), "lost"));
  }

  /** Empties the page, and gives a function that brings everything back. */
  async clear() {
    await this.stop();
    const before = { turns: this.turns, session: this.session };
    const nodes = [...this.#log.childNodes];
    const show = ({ turns, session }, shown) => {
      Object.assign(this, { turns, session });
      if (session) kept.set("session", session);
      else kept.remove("session");
      this.quietly(() => this.#log.replaceChildren(...shown));
      this.#changed();
    };
    show({ turns: [], session: null }, []);
    return { session: before.session, undo: () => show(before, nodes) };
  }

  #run(turn) {
    const control = new AbortController();
    const over = this.#attempt(turn, control.signal).finally(() => {
      this.#running = null;
      this.#changed();
    });
    this.#running = { turn, control, over };
    this.#changed();
    return over;
  }

  async #attempt(turn, signal) {
    const before = { reply: turn.reply, stopReason: turn.stopReason };
    turn.reply = "";
    turn.view.typing();
    try {
      await this.restoring;
      const arrived = turn.doubtful && (await recover(this, turn, signal));
      if (!arrived) await deliver(this, this.#server, turn, signal);
      turn.doubtful = turn.again = false;
      turn.view.finish(turn.reply, turn.stopReason);
    } catch (failure) {
      if (turn.again && !turn.reply) Object.assign(turn, before);
      if (signal.aborted) this.#stopped(turn);
      else this.#failed(turn, failure);
    }
  }

  #stopped(turn) {
    turn.doubtful = !turn.heard;
    // The server may take a moment to notice; the next message waits for that instead of being refused.
    if (turn.session && turn.session === this.session) this.restoring = settled(turn.session).catch(() => {});
    if (!turn.heard && !turn.again) return turn.view.unsent("notSent", true);
    if (turn.heard) turn.stopReason = "cancelled";
    turn.view.finish(turn.reply, turn.stopReason);
  }

  #failed(turn, failure) {
    const unreachable = failure instanceof api.Unreachable;
    turn.doubtful = unreachable;
    if (turn.reply) turn.view.finish(turn.reply, unreachable && turn.heard ? "cut" : null);
    else if (unreachable) return turn.view.unsent("unreachable");
    if (unreachable) return;
    if (failure.status === 401) turn.view.fail(say(make("p"), "keyMissing"));
    else if (failure instanceof api.Problem) turn.view.fail(failure.message, failure.code);
    else turn.view.fail(sentence("unexpected", { detail: failure.message }));
  }

  #again(turn, again) {
    if (this.answering) return this.dispatchEvent(new Event("held"));
    turn.again = again && turn.session === this.session;
    if (!turn.again) this.#toEnd(turn);
    this.#scroll.toEnd();
    this.#run(turn);
  }

  #toEnd(turn, divider) {
    this.turns = [...this.turns.filter((other) => other !== turn), turn];
    if (divider) this.#log.append(divider);
    if (divider || this.#log.lastChild !== turn.view.root) this.#log.append(turn.view.root);
  }

  /** What was written in this tab before a reload and never reached the model; call it before anything is added. */
  unsent() {
    const texts = JSON.parse(tab.get("unsent") ?? "[]");
    return () => {
      const before = this.turns.at(-1)?.text;
      for (const text of texts.filter((other) => other !== before)) this.add(text).view.unsent("notSent", true);
    };
  }

  #changed() {
    tab.set("unsent", JSON.stringify(this.turns.filter((turn) => !turn.heard).map((turn) => turn.text)));
    this.dispatchEvent(new Event("change"));
  }
}
