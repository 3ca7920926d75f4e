// The top of a study: how it stands, its best trial, and what was asked.

import { copyButton, pairs } from "tuning/detail.js";
import { h, replace } from "tuning/dom.js";
import { duration, moment, number } from "tuning/format.js";
import { knownOf } from "tuning/known.js";
import { cell } from "tuning/tip.js";
import { words } from "tuning/words.js";

const MANY = 8; // parameters: more stand in two columns

export function overview(page) {
  const title = h("div", { class: "title" });
  const notice = h("section", { class: "card notice" });
  const tiles = h("section", { class: "tiles", "aria-label": words.tiles.trials });
  const best = h("section", { class: "card half", id: "best" });
  const asked = h("section", { class: "card half", id: "asked" });
  const verification = h("section", { class: "card below", id: "verification" });
  const known = h("section", { class: "card below", id: "known" });
  const element = h("div", {}, title, notice, tiles, h("div", { class: "columns" }, best, asked), verification, known);
  let askedOf = "";

  function update() {
    const { study } = page;
    const { head } = study;
    replace(title, h("h1", {}, head.name), stateBadge(head.state), h("span", { class: "soft" }, words.round(head.round), head.reason ? ` · ${head.reason}` : ""));
    notice.hidden = head.state !== "Failed" || !head.detail;
    replace(notice, h("h2", {}, words.best.failed), h("pre", {}, head.detail));
    replace(tiles, tilesOf(study));
    const before = document.activeElement?.closest?.("#best button")?.className;
    replace(best, bestOf(page));
    verification.hidden = !head.verification;
    replace(verification, head.verification ? verificationOf(page) : []);
    known.hidden = !head.known.rows.length;
    replace(known, head.known.rows.length ? knownOf(page) : []);
    if (before) best.querySelector(`button[class="${before}"]`)?.focus();
    const now = JSON.stringify(head.asked);
    if (now === askedOf) return;
    askedOf = now;
    replace(asked, askedFor(head));
  }
  return { element, update };
}

export function stateBadge(state) {
  return h("span", { class: `state ${state.toLowerCase()}` }, state);
}

function tilesOf({ head }) {
  const { counts, limit } = head;
  const used = counts.complete + counts.pruned;
  const tile = (value, label, extra = null) => h("div", { class: "tile" }, h("b", {}, value), h("span", {}, label), extra);
  const several = head.asked.objectives.length > 1;
  const meter = limit ? h("progress", { value: used, max: limit, "aria-label": words.tiles.progress(used, limit) }) : null;
  return [
    tile(used.toLocaleString("en"), limit ? `${words.tiles.trials} ${words.tiles.of(limit)}` : words.tiles.trials, meter),
    head.state === "Running" && tile(String(counts.running), words.tiles.running),
    tile(counts.complete.toLocaleString("en"), words.tiles.complete),
    tile(counts.pruned.toLocaleString("en"), words.tiles.pruned),
    tile(counts.failed.toLocaleString("en"), words.tiles.failed),
    several && tile(head.front.length.toLocaleString("en"), words.tiles.front),
    tile(duration(head.seconds), words.tiles.time),
  ];
}

function bestOf(page) {
  const { study } = page;
  const trial = study.head.best;
  if (trial === null || !study.columns.get("number").has(trial)) {
    return [h("h2", {}, trial === null && study.head.counts.complete ? words.best.noneFeasible : words.best.none)];
  }
  const how = study.head.chosenBy ? words.best.chosen(study.head.chosenBy) : study.objectives.length > 1 && words.best.first;
  const verified = study.head.verification?.rows.find(({ best }) => best);
  const metrics = study.metrics.filter((column) => column.has(trial));
  const parameters = study.parameters.filter((column) => column.has(trial));
  return [
    h("div", { class: "card-head" }, h("div", {}, h("h2", {}, words.best.title(trial)), how && h("p", { class: "about" }, how)), copyButton(() => study.values(trial))),
    h("div", { class: "headline" }, metrics.map((column) => h("div", {}, ...headlineOf(column, trial, verified)))),
    study.head.outlook && h("p", { class: "about" }, study.head.outlook),
    !study.feasible(trial) && h("p", { class: "remark" }, words.best.infeasible),
    pairs(parameters.map((column) => [column.label, cell(column, trial)]), parameters.length > MANY ? "code two" : "code"),
    h("button", { type: "button", class: "plain", onclick: () => page.open(trial) }, words.best.open),
  ];
}

/** What the trial's verification measured, where there is one; else its own value. */
function headlineOf(column, trial, verified) {
  const mean = verified?.metrics[column.label]?.mean;
  if (mean === undefined || mean === null) return [h("b", {}, cell(column, trial)), h("span", {}, column.label)];
  return [h("b", {}, number(mean)), h("span", {}, words.verification.of(column.label, verified.runs))];
}

/** The best trials of the search, and what their runs came to. */
function verificationOf(page) {
  const { head } = page.study;
  const { rows, message, done, runs } = head.verification;
  const said = words.verification;
  const objectives = head.asked.objectives.map(({ name }) => name);
  const columns = [said.trial, ...objectives.flatMap((name) => [said.search(name), said.mean(name), said.within]), said.runs, said.seconds, ""];
  const value = (given) => (given === null || given === undefined ? "–" : number(given));
  const within = (interval) => (interval ? `${number(interval[0])} … ${number(interval[1])}` : "–");
  const row = ({ trial, metrics, runs, seconds, best, alike }) =>
    h(
      "tr",
      {},
      h("td", {}, h("button", { type: "button", class: "plain", onclick: () => page.open(trial) }, String(trial))),
      objectives.flatMap((name) => [metrics[name].search, metrics[name].mean].map((given) => h("td", {}, value(given))).concat(h("td", {}, within(metrics[name].interval)))),
      h("td", {}, String(runs)),
      h("td", {}, number(seconds)),
      h("td", {}, best ? h("b", {}, said.best) : alike ? said.alike : ""),
    );
  return [
    h("h2", {}, said.title),
    h("p", { class: "about" }, message || said.under(done, runs)),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": said.title }, h("table", {}, h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map(row)))),
  ];
}

function askedFor(head) {
  const { asked } = head;
  const objective = ({ name, direction, goal }) =>
    h("li", {}, direction === "Maximize" ? words.maximize : words.minimize, " ", h("b", {}, name), goal !== undefined && goal !== null ? ` (${words.asked.goal(number(goal))})` : "");
  const constraints = asked.constraints.flatMap(({ metric, min, max }) => [
    ...(min !== undefined && min !== null ? [words.asked.atLeast(metric, number(min))] : []),
    ...(max !== undefined && max !== null ? [words.asked.atMost(metric, number(max))] : []),
  ]);
  const phases = asked.phases.map(({ name, sampler, pruner, trials }, index) => {
    const several = asked.phases.length > 1;
    const last = index === asked.phases.length - 1;
    return [several ? `${name}: ` : "", sampler, pruner ? ` + ${words.asked.pruner(pruner)}` : "", several && !last ? ` ${words.asked.forTrials(trials)}` : ""].join("");
  });
  const budget = Object.entries(words.asked.budgetKeys).flatMap(([name, label]) =>
    asked.budget[name] !== undefined && asked.budget[name] !== null ? [`${label} ${asked.budget[name]}`] : [],
  );
  const versions = Object.entries(asked.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  return [
    h("h2", {}, words.asked.title),
    h("ul", { class: "objectives" }, asked.objectives.map(objective)),
    pairs([
      ...(constraints.length ? [[words.asked.constraints, constraints.join(", ")]] : []),
      [words.asked.objective, asked.objective],
      ...(asked.preparation.length ? [[words.asked.preparation, asked.preparation.map((line) => h("div", {}, line))]] : []),
      [words.asked.strategy, phases.join(`, ${words.asked.then} `)],
      [words.asked.budget, budget.join(", ")],
      [words.asked.seed, String(asked.seed)],
      [words.asked.started, moment(head.started)],
      [words.asked.name, head.study],
      ...(versions ? [[words.asked.versions, versions]] : []),
    ]),
    asked.parameters.length ? space(asked.parameters) : h("p", { class: "remark" }, words.asked.ofItself),
  ];
}

function space(parameters) {
  const conditional = parameters.some(({ when }) => when);
  const columns = [words.asked.parameter, words.asked.values, ...(conditional ? [words.asked.exists] : [])];
  const row = ({ name, when, ...rest }) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, possible(rest)), conditional && h("td", {}, when ? words.asked.is(when.parameter, when.values.map(text).join(", ")) : ""));
  return h(
    "details",
    { class: "space", open: parameters.length <= 6 },
    h("summary", {}, words.asked.space),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.asked.space }, h("table", {}, h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, parameters.map(row)))),
  );
}

function possible({ type, min, max, step, scale, values }) {
  if (type === "Categorical") return values.map(text).join(", ");
  const notes = [type === "Int" && words.asked.integer, scale === "Log" && words.asked.log, step && words.asked.step(number(step))].filter(Boolean);
  return [words.asked.range(number(min), number(max)), ...notes].join(" · ");
}

function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
