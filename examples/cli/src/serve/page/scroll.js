// Follows the conversation while the reader is at its end, and leaves a reader alone who has scrolled up.

const NEAR = 60;

export class Scroll {
  #area;
  #latest;
  #followed = true;

  constructor(area, latest) {
    this.#area = area;
    this.#latest = latest;
    area.addEventListener("scroll", () => this.#show(), { passive: true });
    new ResizeObserver(() => this.#followed && this.toEnd()).observe(area);
    latest.addEventListener("click", () => this.toEnd(true));
  }

  get atEnd() {
    return this.#area.scrollHeight - this.#area.scrollTop - this.#area.clientHeight < NEAR;
  }

  following(change) {
    const follow = this.atEnd;
    change();
    if (follow) this.toEnd();
    else this.#show();
  }

  toEnd(gently = false) {
    this.#area.scrollTo({ top: this.#area.scrollHeight, behavior: gently ? "smooth" : "instant" });
    this.#show();
  }

  to(element) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block: "center", behavior: calm ? "instant" : "smooth" });
  }

  #show() {
    this.#followed = this.atEnd;
    this.#latest.hidden = this.#followed;
  }
}
