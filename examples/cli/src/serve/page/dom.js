// Elements without HTML text: whatever a user or a model wrote can only become a text node.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

export const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const at = (id) => document.getElementById(id);

const SHAPES = {
  compose: "M12 5H7a3 3 0 0 0-3 3v9a3 3 0 0 0 3 3h9a3 3 0 0 0 3-3v-5M17.5 3.6a2 2 0 0 1 2.9 2.9L12.5 14.4 9 15l.6-3.5z",
  download: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 19.5h14",
  help: "M9 9.2a3 3 0 1 1 4.3 2.7c-.9.5-1.3 1-1.3 2.1M12 17.6v.1M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
  moon: "M20 14.2A8.2 8.2 0 0 1 9.8 4a8.2 8.2 0 1 0 10.2 10.2z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.8v2M12 19.2v2M2.8 12h2M19.2 12h2M5.5 5.5l1.4 1.4M17.1 17.1l1.4 1.4M18.5 5.5l-1.4 1.4M6.9 17.1l-1.4 1.4",
  send: "M12 19V5.5m-6 6 6-6 6 6",
  stop: "M7.5 7.5h9v9h-9z",
  down: "M12 5v13.5m-6-6 6 6 6-6",
  copy: "M9 9h9a1.5 1.5 0 0 1 1.5 1.5v8A1.5 1.5 0 0 1 18 20H10a1.5 1.5 0 0 1-1.5-1.5V9zM15.5 9V5.5A1.5 1.5 0 0 0 14 4H6a1.5 1.5 0 0 0-1.5 1.5v8A1.5 1.5 0 0 0 6 15h2.5",
  done: "M5 12.5 10 17.5 19.5 7",
  again: "M19.5 12a7.5 7.5 0 1 1-2.3-5.4M17.5 3v4h-4",
};

/** One of the page's line drawings; it says nothing to screen readers. */
export const icon = (name) =>
  draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, draw("path", { d: SHAPES[name] }));

export function setIcon(element, name) {
  element.querySelector(".icon")?.remove();
  element.prepend(icon(name));
}
