// Keeps the message field above the keyboard of a phone where the browser lays the keyboard over the page.

export function fitViewport() {
  const view = globalThis.visualViewport;
  if (!view) return;
  const fit = () => {
    if (view.scale !== 1) return; // the reader has zoomed in
    const covered = innerHeight - view.height > 1;
    document.body.style.height = covered ? `${view.height}px` : "";
    if (covered) scrollTo(0, 0);
  };
  view.addEventListener("resize", fit);
}
