// Makes elements. What a study's author wrote only ever becomes text: nothing here, or elsewhere, reads markup.

/** An element: `h("a", {href, class: "soft", onclick}, "text", child, …)`. False and null children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, entry] of Object.entries(value)) element.style.setProperty(key, entry);
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== false && child !== null && child !== undefined) element.append(child);
  }
}

/** Exchanges all children. */
export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** A drop-down of [value, label] pairs. */
export function choose(label, options, chosen, onchange) {
  const select = h(
    "select",
    { onchange: (event) => onchange(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
  );
  return h("label", { class: "choose" }, h("span", {}, label), select);
}

/** A switch. */
export function toggle(label, checked, onchange) {
  return h(
    "label",
    { class: "toggle" },
    h("input", { type: "checkbox", checked, onchange: (event) => onchange(event.target.checked) }),
    label,
  );
}

/** Tells a screen reader, politely; seen by nobody. */
export function announce(text) {
  let place = document.getElementById("announcements");
  if (!place) {
    place = h("div", { id: "announcements", class: "unseen", "aria-live": "polite" });
    document.body.append(place);
  }
  place.textContent = text;
}
