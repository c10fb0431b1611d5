// Binds sentences to elements, so that a change of language reaches everything that is shown.

import { sentences } from "./i18n.js";
import { kept } from "./store.js";

const parameters = new WeakMap();
let language = kept.get("language") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

export const currentLanguage = () => language;

/** The sentence `key` in the language of the page. */
export function sentence(key, values = {}) {
  const found = sentences[language][key];
  return typeof found === "function" ? found(values) : found;
}

/** Shows the sentence `key` in `element`, from now on in whatever language is chosen. */
export function say(element, key, values) {
  element.dataset.say = key;
  parameters.set(element, values);
  element.textContent = sentence(key, values);
  return element;
}

/** Names `element` for screen readers and for the mouse that rests on it. */
export function label(element, key) {
  element.dataset.sayLabel = key;
  element.setAttribute("aria-label", sentence(key));
  if (element.localName === "button") element.title = sentence(key);
  return element;
}

/** Says everything that is shown again, in the chosen language. */
export function translate(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-say]")) {
    element.textContent = sentence(element.dataset.say, parameters.get(element));
  }
  for (const element of root.querySelectorAll("[data-say-label]")) label(element, element.dataset.sayLabel);
  for (const element of root.querySelectorAll("[data-say-placeholder]")) {
    element.placeholder = sentence(element.dataset.sayPlaceholder);
  }
}

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  kept.set("language", language);
  translate();
  document.dispatchEvent(new Event("language"));
}
