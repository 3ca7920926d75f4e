// What a pointer sees of a trial: its metrics and parameters.

import { h } from "tuning/dom.js";
import { number, shortened } from "tuning/format.js";
import { words } from "tuning/words.js";

const MOST = 12;

export function tip(study, trial) {
  if (trial === null || trial >= study.count) return "";
  const metrics = study.metrics.filter((column) => column.has(trial));
  const parameters = study.parameters.filter((column) => column.has(trial));
  const rows = (columns) =>
    columns.flatMap((column) => [h("dt", {}, shortened(column.label, 32)), h("dd", {}, shortened(cell(column, trial), 40))]);
  const more = parameters.length - MOST;
  const state = study.state(trial);
  return h(
    "div",
    { class: "tip-body" },
    h("p", {}, h("b", {}, words.trial(trial)), ` · ${words.states[state]}`, study.feasible(trial) ? null : ` · ${words.charts.legendInfeasible}`),
    h("dl", { class: "strong" }, rows(metrics)),
    h("dl", {}, rows(parameters.slice(0, MOST))),
    more > 0 && h("p", {}, words.charts.more(more)),
  );
}

/** What people call a column: its name, or our word for what every trial has. */
export function labelOf(column) {
  return words.columns[column.key] ?? column.label;
}

/** A column's value of a trial, as text. */
export function cell(column, trial) {
  if (!column.has(trial)) return words.absent;
  return column.kind === "number" ? number(column.values[trial]) : column.text(trial);
}
