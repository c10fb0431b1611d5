// What a sentiment looks like: face, sign, and the row under a message.

import { make } from "./dom.js";
import { label, say } from "./say.js";

/** Words and signs for a sentiment of the server. */
export function moodOf({ label: name, score, unsure }) {
  const positive = name === "正面";
  return {
    key: positive ? "positive" : "negative",
    face: unsure ? "🤔" : positive ? "😄" : "😞",
    value: positive ? score : -score,
    percent: Math.round(score * 100),
    unsure,
  };
}

/** The line as the server words it, its gloss, and how sure the model is. */
export function moodRow(sentiment) {
  const mood = moodOf(sentiment);
  const bar = make("i");
  bar.style.width = `${mood.percent}%`;
  const meter = make("span", {
    class: "meter",
    role: "meter",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": mood.percent,
    "aria-valuetext": `${mood.percent} %`,
  });
  meter.append(bar);
  const row = make(
    "div",
    { class: `mood ${mood.key}` },
    make("span", { class: "line", lang: "zh-CN" }, sentiment.line),
    say(make("span", { class: "gloss" }), mood.key),
    label(meter, "meter"),
    make("span", { class: "percent" }, `${mood.percent} %`),
  );
  if (mood.unsure) row.append(say(make("span", { class: "doubt" }), "unsure"));
  return row;
}
