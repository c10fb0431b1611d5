// The list of shortcuts, and the shortcuts that hold for the whole page.

import { at, make } from "./dom.js";
import { say } from "./say.js";

const KEYS = [
  [["Enter"], "keys.send"],
  [["Shift", "Enter"], "keys.newline"],
  [["Esc"], "keys.stop"],
  [["/"], "keys.focus"],
  [["←", "→"], "keys.points"],
  [["?"], "keys.help"],
];

const writes = (element) => element.matches("input, textarea");

export function startHelp({ stop, focus }) {
  const dialog = at("helpDialog");
  const rows = KEYS.map(([keys, key]) =>
    make("div", {}, make("dt", {}, ...keys.map((name) => make("kbd", {}, name))), say(make("dd"), key)),
  );
  dialog.querySelector("dl").append(...rows);
  at("help").addEventListener("click", () => dialog.showModal());
  for (const any of document.querySelectorAll("dialog")) {
    any.querySelector("[data-close]").addEventListener("click", () => any.close());
    any.addEventListener("click", (event) => event.target === any && any.close());
  }
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") stop();
    if (writes(event.target)) return;
    if (event.key === "?") dialog.showModal();
    if (event.key !== "/") return;
    event.preventDefault();
    focus();
  });
}
