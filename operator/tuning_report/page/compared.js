// What `tuning compare` found: samplers or pruners of one study, each with the same budget and seeds.

import { card } from "tuning/card.js";
import { axis, Chart, focus } from "tuning/chart.js";
import { choose, h } from "tuning/dom.js";
import { duration, number } from "tuning/format.js";
import { palette } from "tuning/theme.js";
import { words } from "tuning/words.js";

const DASHES = ["solid", "dashed", "dotted"];
const dash = (index) => DASHES[Math.floor(index / 8) % DASHES.length];

/** The comparison that is frozen into a file; see tuning_report/comparison.py. */
export function comparedPage(told) {
  const label = words.compared.of[told.compares];
  const name = (result) => result[told.compares.slice(0, -1)];
  const axes = Object.keys(told.curves);
  let chosen = axes[0];
  const chart = new Chart({ draw });
  const legend = h("ul", { class: "key" }, told.results.map((result, index) => h("li", {}, h("span", { class: `mark line ${dash(index)}`, style: { "--mark": `var(--series-${index % 8})` }, "aria-hidden": "true" }), name(result))));
  const controls = [
    choose(words.compared.along, axes.map((key) => [key, words.compared.axes[key]]), chosen, (value) => {
      chosen = value;
      chart.invalidate();
    }),
  ];
  const { element: curves } = card("curves", { title: words.compared.best(told.value), about: words.compared.about(told.repeats), controls }, chart.element, legend);

  function draw(width) {
    const colours = palette();
    const lines = told.curves[chosen];
    const frame = focus(lines.flatMap((line) => line.map(([, value]) => value)), told.direction === "Maximize" ? 1 : -1);
    return {
      height: width < 500 ? 280 : 380,
      told: words.compared.told(lines.length, told.value),
      option: {
        grid: { left: 4, right: 16, top: 14, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
        xAxis: axis("value", { name: words.compared.axes[chosen], min: 0, nameGap: 26 }),
        yAxis: axis("value", { scale: true, range: frame }),
        series: lines.map((line, index) => ({ type: "line", step: "end", symbol: "none", data: line, lineStyle: { color: colours[index % 8], width: 2.25, type: dash(index) } })),
      },
    };
  }

  function table() {
    const pruners = told.compares === "pruners";
    const columns = [label, told.value, words.compared.difference(name(told.results[0])), "", ...words.compared.columns, ...(pruners ? words.compared.saved : []), words.columns.seconds];
    const rows = told.results.map((result) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, name(result)),
        h("td", { class: "number" }, estimate(result.best)),
        h("td", { class: "number" }, estimate(result.difference, true)),
        h("td", {}, result.verdict ?? words.absent),
        h("td", { class: "number" }, number(result.trials)),
        h("td", { class: "number" }, percent(result.pruned)),
        pruners && h("td", { class: "number" }, number(result.reports)),
        pruners && h("td", { class: "number" }, result.saved === null ? words.absent : percent(result.saved)),
        h("td", { class: "number" }, duration(result.seconds)),
      ),
    );
    return h("table", {}, h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col" }, column)))), h("tbody", {}, rows));
  }

  return h(
    "div",
    {},
    h("div", { class: "title" }, h("h1", {}, words.compared.title(told.study))),
    h("section", { class: "card", "aria-label": words.compared.results }, h("p", { class: "about" }, told.headline), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.compared.results }, table())),
    curves,
    h("section", { class: "card", id: "notes", "aria-label": words.compared.notes }, h("h2", {}, words.compared.notes), h("ul", {}, told.notes.map((note) => h("li", {}, note)))),
  );
}

function estimate(found, signed = false) {
  if (!found) return words.absent;
  const form = (value) => `${signed && value > 0 ? "+" : ""}${number(Number(value.toPrecision(signed ? 2 : 5)))}`;
  return found.interval ? `${form(found.mean)} [${found.interval.map(form).join(", ")}]` : form(found.mean);
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}
