// A part of the page: a heading, a line that says how to read it, controls, and what it shows.

import { h } from "tuning/dom.js";

/** `title` may be changed later by `head(title, about)`. */
export function card(id, { title = "", about = "", controls = [], wide = true } = {}, ...body) {
  const heading = h("h2", { id: `${id}-title` }, title);
  const line = h("p", { class: "about" }, about);
  const bar = h("div", { class: "controls" }, controls);
  const element = h(
    "section",
    { id, class: wide ? "card" : "card half", "aria-labelledby": `${id}-title`, tabindex: "-1" },
    h("div", { class: "card-head" }, h("div", {}, heading, line), bar),
    body,
  );
  const head = (text, more = about) => {
    heading.textContent = text;
    line.textContent = more;
    line.hidden = !more;
  };
  return { element, head, bar };
}

/** The key of a chart: [{colour: "accent", shape: "dot" | "line" | "cross" | "bar", text}]. */
export function key(entries) {
  return h(
    "ul",
    { class: "key" },
    entries.map(({ colour, shape, text }) =>
      h("li", {}, h("span", { class: `mark ${shape}`, style: { "--mark": `var(--${colour})` }, "aria-hidden": "true" }), text),
    ),
  );
}
