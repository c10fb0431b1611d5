// Light or dark: as the system says, until the reader chooses.

import { at, setIcon } from "./dom.js";
import { label } from "./say.js";
import { kept } from "./store.js";

const system = matchMedia("(prefers-color-scheme: dark)");
let chosen = kept.get("theme");

const isDark = () => (chosen ? chosen === "dark" : system.matches);

function show() {
  at("dark").media = isDark() ? "all" : "not all";
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  setIcon(at("theme"), isDark() ? "sun" : "moon");
  label(at("theme"), isDark() ? "toLight" : "toDark");
  document.querySelector("meta[name=theme-color]").content = getComputedStyle(document.documentElement)
    .getPropertyValue("--ground")
    .trim();
}

export function startTheme() {
  show();
  at("dark").addEventListener("load", show);
  system.addEventListener("change", show);
  at("theme").addEventListener("click", () => {
    chosen = isDark() ? "light" : "dark";
    kept.set("theme", chosen);
    show();
  });
}
