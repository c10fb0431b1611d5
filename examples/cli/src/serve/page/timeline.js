// The course of the mood: a point per message, above the line for 正面 and below it for 负面.

import { draw } from "./dom.js";
import { moodOf } from "./mood.js";
import { sentence } from "./say.js";

const HEIGHT = 72;
const MIDDLE = HEIGHT / 2;
const REACH = 24;
const STEP = { least: 28, most: 72 };
const BEGINNING = 60;

/** Circles and squares, so that the two differ without colour; hollow when the model was unsure. */
function mark(mood, x, y) {
  const attributes = { class: `mark ${mood.key}${mood.unsure ? " unsure" : ""}` };
  return mood.key === "positive"
    ? draw("circle", { ...attributes, cx: x, cy: y, r: 6 })
    : draw("rect", { ...attributes, x: x - 5.5, y: y - 5.5, width: 11, height: 11, rx: 1.5 });
}

export class Timeline {
  #section;
  #scroller;
  #tip;
  #choose;
  #current = 0;

  /** `choose(turn)` is called for the point that is clicked. */
  constructor(section, choose) {
    this.#section = section;
    this.#scroller = section.querySelector(".scroller");
    this.#tip = section.querySelector(".tip");
    this.#choose = choose;
    new ResizeObserver(() => this.#drawn && this.show(this.#drawn)).observe(section);
  }

  #drawn = null;

  show(turns) {
    const known = turns.filter((turn) => turn.sentiment);
    this.#drawn = turns;
    this.#section.hidden = known.length < 2;
    this.#tip.hidden = true;
    if (known.length < 2) return this.#scroller.replaceChildren();
    const width = this.#scroller.clientWidth || 320;
    const step = Math.min(STEP.most, Math.max(STEP.least, width / known.length));
    const moods = known.map((turn) => moodOf(turn.sentiment));
    const places = moods.map((mood, index) => ({ x: step * (index + 0.5), y: MIDDLE - mood.value * REACH }));
    const total = Math.max(width, step * known.length);
    const hadFocus = this.#scroller.contains(document.activeElement);
    if (!hadFocus) this.#current = known.length - 1;
    this.#current = Math.min(this.#current, known.length - 1);
    const points = known.map((turn, index) => this.#point(turn, index, moods[index], places[index], step));
    const svg = draw(
      "svg",
      { width: total, height: HEIGHT, role: "group", "aria-label": this.#course(moods) },
      draw("line", { class: "zero", x1: 0, x2: total, y1: MIDDLE, y2: MIDDLE }),
      draw("polyline", { class: "course", points: places.map(({ x, y }) => `${x},${y}`).join(" ") }),
      ...points,
    );
    svg.addEventListener("keydown", (event) => this.#walk(event, points));
    this.#scroller.replaceChildren(svg);
    if (hadFocus) points[this.#current].focus();
    else this.#scroller.scrollLeft = total;
  }

  #course(moods) {
    const positive = moods.filter((mood) => mood.key === "positive").length;
    const words = (mood) => sentence(mood.key);
    const ends = { first: words(moods[0]), last: words(moods.at(-1)) };
    return sentence("course", { total: moods.length, positive, negative: moods.length - positive, ...ends });
  }

  #point(turn, index, mood, { x, y }, step) {
    const text = turn.text.length > BEGINNING ? `${turn.text.slice(0, BEGINNING)}…` : turn.text;
    const words = sentence("point", { index: index + 1, label: sentence(mood.key), percent: mood.percent, text });
    const attributes = { class: "point", role: "button", tabindex: index === this.#current ? 0 : -1, "aria-label": words };
    const field = draw("rect", { class: "field", x: x - step / 2, y: 0, width: step, height: HEIGHT, rx: 10 });
    const point = draw("g", attributes, field, mark(mood, x, y));
    for (const event of ["pointerenter", "focus"]) point.addEventListener(event, () => this.#hint(words, x));
    for (const event of ["pointerleave", "blur"]) point.addEventListener(event, () => (this.#tip.hidden = true));
    point.addEventListener("click", () => this.#choose(turn));
    return point;
  }

  #walk(event, points) {
    const steps = { ArrowLeft: this.#current - 1, ArrowRight: this.#current + 1, Home: 0, End: points.length - 1 };
    const from = points.indexOf(event.target);
    if (from < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      points[from].dispatchEvent(new MouseEvent("click", { bubbles: true }));
    }
    const to = points[steps[event.key]];
    if (!to) return;
    event.preventDefault();
    points[from].setAttribute("tabindex", -1);
    to.setAttribute("tabindex", 0);
    this.#current = steps[event.key];
    to.focus();
  }

  #hint(words, x) {
    this.#tip.textContent = words;
    this.#tip.hidden = false;
    const room = this.#section.clientWidth - this.#tip.offsetWidth - 8;
    const left = this.#scroller.offsetLeft + x - this.#scroller.scrollLeft - this.#tip.offsetWidth / 2;
    this.#tip.style.left = `${Math.max(8, Math.min(left, room))}px`;
  }
}
