// How the server is: loading, ready, offline or failed; asked only while it is not ready.

import * as api from "./api.js";
import { askKey } from "./key.js";
import { next, sleep } from "./wait.js";

export class Server extends EventTarget {
  state = "loading";
  detail = "";
  info = null;
  #asking = false;

  /** Waits until the model can answer. */
  async ready(signal) {
    this.ask();
    while (this.state !== "ready") await next(this, "state", signal);
  }

  /** No answer came: asks until there is one. */
  lost() {
    this.#become("offline");
    this.ask();
  }

  /** The server says itself that it is not ready. */
  notReady() {
    this.#become("loading");
    this.ask();
  }

  async ask() {
    if (this.#asking || this.state === "ready") return;
    this.#asking = true;
    for (let pause = 500; this.state !== "ready"; pause = Math.min(pause * 1.5, 4000)) {
      await this.#askOnce();
      if (this.state !== "ready") await sleep(pause);
    }
    this.#asking = false;
  }

  async #askOnce() {
    try {
      if (this.state === "offline") await api.isAlive();
      await api.isReady();
      this.info ??= await this.#readInfo();
      this.#become("ready");
    } catch (error) {
      if (!(error instanceof api.Problem)) this.#become("offline");
      else if (error.code === "LOADING") this.#become("loading");
      else this.#become("failed", error.message);
    }
  }

  /** What model it is; the page works without knowing. */
  async #readInfo() {
    try {
      return await api.info();
    } catch (error) {
      if (error instanceof api.Problem && error.status === 401) return (await askKey()) ? this.#readInfo() : null;
      throw error;
    }
  }

  #become(state, detail = "") {
    if (state === this.state && detail === this.detail) return;
    Object.assign(this, { state, detail });
    this.dispatchEvent(new Event("state"));
  }
}
