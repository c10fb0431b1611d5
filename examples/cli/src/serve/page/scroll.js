// Follows the conversation while the reader is at its end, and leaves a reader alone who has scrolled up.

const NEAR = 60;

export class Scroll {
  #area;
  #latest;
  #follows = true;
  #top = 0;

  constructor(area, latest) {
    this.#area = area;
    this.#latest = latest;
    area.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const sizes = new ResizeObserver(() => (this.#follows ? this.toEnd() : this.#show()));
    for (const one of [area, area.firstElementChild]) sizes.observe(one);
    latest.addEventListener("click", () => this.toEnd(true));
  }

  toEnd(gently = false) {
    this.#follows = true;
    this.#area.scrollTo({ top: this.#area.scrollHeight, behavior: gently ? this.#pace : "instant" });
    this.#show();
  }

  to(element) {
    element.scrollIntoView({ block: "center", behavior: this.#pace });
  }

  get #pace() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
  }

  get #atEnd() {
    return this.#area.scrollHeight - this.#area.scrollTop - this.#area.clientHeight < NEAR;
  }

  /** Only going up lets go of the end; on the way down to it the page may grow. */
  #scrolled() {
    const up = this.#area.scrollTop < this.#top;
    this.#top = this.#area.scrollTop;
    if (up || this.#atEnd) this.#follows = this.#atEnd;
    this.#show();
  }

  #show() {
    this.#latest.hidden = this.#follows || this.#atEnd;
  }
}
