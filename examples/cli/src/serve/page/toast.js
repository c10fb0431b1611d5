// A short word at the edge of the page, perhaps with something to press.

import { at, make } from "./dom.js";
import { say } from "./say.js";

let dismiss = () => {};

/** Shows the sentence `key`; resolves to whether `action` was pressed before it went. */
export function toast(key, action = null, ms = action ? 10000 : 4000) {
  dismiss();
  return new Promise((resolve) => {
    const box = at("toast");
    const end = (pressed) => {
      clearTimeout(timer);
      box.replaceChildren();
      dismiss = () => {};
      resolve(pressed);
    };
    const timer = setTimeout(() => end(false), ms);
    dismiss = () => end(false);
    box.replaceChildren(say(make("span"), key));
    if (!action) return;
    const button = say(make("button", { type: "button", class: "plain" }), action);
    button.addEventListener("click", () => end(true));
    box.append(button);
  });
}

export const dismissToast = () => dismiss();
