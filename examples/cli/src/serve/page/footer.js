// What answers here and how it is: the foot of the page, and the banner above the message field.

import { at } from "./dom.js";
import { currentLanguage, say } from "./say.js";

/** 4851968 as 4.9M. */
const short = (number) => new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(number);

export function showServer(server, answering) {
  const state = server.state === "ready" && answering ? "busy" : server.state;
  at("state").dataset.state = state;
  say(at("state").querySelector("span"), `state.${state}`);
  showBanner(server);
  if (!server.info) return;
  const { model, demonstration } = server.info;
  const words = say(document.createElement("span"), "parameters", { number: short(model.parameters) });
  at("model").replaceChildren(`${model.name} · `, words);
  at("notice").hidden = !demonstration;
  if (demonstration) say(at("notice"), "demonstration");
}

function showBanner({ state, detail }) {
  const banner = at("banner");
  const shown = ["loading", "offline", "failed"].includes(state);
  const words = `${state} ${detail} ${currentLanguage()}`;
  if (shown && banner.dataset.words !== words) say(banner, state, { detail });
  banner.dataset.words = shown ? words : "";
  banner.dataset.state = state;
  banner.hidden = !shown;
}
