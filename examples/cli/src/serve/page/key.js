// Asks for the key of a server that needs one.

import { at } from "./dom.js";
import { tab } from "./store.js";

let asked = null;

/** Whether a key was given. Asks once, however many requests want to know. */
export function askKey() {
  asked ??= new Promise((resolve) => {
    const dialog = at("keyDialog");
    const field = at("key");
    let given = false;
    field.value = "";
    at("keyForm").onsubmit = (event) => {
      event.preventDefault();
      tab.set("key", field.value.trim());
      given = true;
      dialog.close();
    };
    dialog.addEventListener("close", () => resolve(given), { once: true });
    dialog.showModal();
  }).finally(() => (asked = null));
  return asked;
}
