// What the first trials tried because it was known to be good, and what it came to.

import { h } from "tuning/dom.js";
import { number } from "tuning/format.js";
import { words } from "tuning/words.js";

export function knownOf(page) {
  const { rows, control } = page.study.head.known;
  const said = words.known;
  const objectives = page.study.head.asked.objectives.map(({ name }) => name);
  const value = (given, state) => (given !== null && given !== undefined ? number(given) : (said.states[state] ?? "–"));
  const row = ({ trial, parameters, reason, values, state }) =>
    h(
      "tr",
      {},
      h("td", {}, h("button", { type: "button", class: "plain", onclick: () => page.open(trial) }, String(trial))),
      objectives.map((name) => h("td", {}, value(values[name], state))),
      h("td", { class: "code" }, parameters),
      h("td", {}, reason),
    );
  const columns = [said.trial, ...objectives, said.parameters, said.why];
  return [
    h("h2", {}, said.title),
    control && h("p", { class: "about" }, control),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": said.title }, h("table", {}, h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map(row)))),
  ];
}
