// Studies, or rounds of one, side by side: how fast each found how good a value, and with which parameters.

import { card } from "tuning/card.js";
import { axis, Chart, focus } from "tuning/chart.js";
import { choose, h, replace } from "tuning/dom.js";
import { number } from "tuning/format.js";
import { comparePath, studyPath } from "tuning/studies.js";
import { palette } from "tuning/theme.js";
import { cell } from "tuning/tip.js";
import { words } from "tuning/words.js";

const DASHES = ["solid", "dashed", "dotted"];

/** Studies that have been loaded. */
export function comparePage(studies) {
  const names = [...new Set(studies.flatMap((study) => study.objectives.map(({ name }) => name)))];
  let chosen = names[0];
  const chart = new Chart({ draw });
  const legend = h("ul", { class: "key" });
  const table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.compare.title });
  const controls = names.length > 1 ? [
    choose(words.compare.objective, names.map((name) => [name, name]), chosen, (name) => {
      chosen = name;
      update();
    }),
  ] : [];
  const { element: chartCard, head } = card("compare", { about: words.compare.about, controls }, chart.element, legend);
  const element = h("div", {}, h("div", { class: "title" }, h("h1", {}, words.compare.title)), chartCard, h("section", { class: "card", "aria-label": words.compare.title }, table));

  function update() {
    head(chosen);
    replace(legend, studies.map((study, index) => h("li", {}, h("span", { class: `mark line ${style(index).dash}`, style: { "--mark": `var(--series-${index % 8})` }, "aria-hidden": "true" }), label(study))));
    replace(table, rows());
    chart.invalidate();
  }

  function objectiveOf(study) {
    return study.objectives.findIndex(({ name }) => name === chosen);
  }

  function draw(width) {
    const colours = palette();
    const curves = studies.map((study) => (objectiveOf(study) < 0 ? [] : study.bestSoFar(objectiveOf(study))));
    const last = Math.max(1, ...studies.map((study) => study.count - 1));
    const measured = studies.filter((study) => objectiveOf(study) >= 0);
    const frame = measured.length ? focus(curves.flatMap((steps) => steps.map(([, value]) => value)), measured[0].sign(objectiveOf(measured[0]))) : null;
    return {
      height: width < 500 ? 280 : 380,
      told: words.compare.told(studies.length),
      option: {
        grid: { left: 4, right: 16, top: 14, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
        xAxis: axis("value", { name: words.charts.trial, whole: true, min: 0, max: last, nameGap: 26 }),
        yAxis: axis("value", { scale: true, range: frame }),
        series: curves.map((steps, index) => ({
          type: "line",
          step: "end",
          symbol: "none",
          data: steps.length ? [...steps, [Math.max(studies[index].count - 1, steps.at(-1)[0]), steps.at(-1)[1]]] : [],
          lineStyle: { color: colours[index % 8], width: 2.25, type: style(index).dash },
        })),
      },
    };
  }

  function rows() {
    const columns = [words.compare.study, words.compare.state, words.compare.trials, chosen, words.compare.parameters, ""];
    return h("table", {}, h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, studies.map(row)));
  }

  function row(study) {
    const index = objectiveOf(study);
    const steps = index < 0 ? [] : study.bestSoFar(index);
    const [trial, value] = steps.at(-1) ?? [null, NaN];
    const others = studies.filter((other) => other !== study).map((other) => other.head.study);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { href: studyPath(study.head.study) }, label(study))),
      h("td", {}, study.head.state),
      h("td", { class: "number" }, String(study.count)),
      h("td", { class: "number" }, index < 0 ? words.compare.untold(chosen) : number(value)),
      h("td", { class: "wrap" }, trial === null ? words.absent : study.parameters.filter((column) => column.has(trial)).map((column) => `${column.label} ${cell(column, trial)}`).join(", ")),
      h("td", {}, others.length > 1 && h("a", { href: comparePath(others), "aria-label": words.compare.remove(label(study)) }, "×")),
    );
  }
  update();
  return { element };
}

function style(index) {
  return { dash: DASHES[Math.floor(index / 8) % DASHES.length] };
}

function label(study) {
  return `${study.head.name} · ${words.round(study.head.round)}`;
}
