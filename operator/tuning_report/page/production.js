// One study in production: what waits, its metrics and drift over time, how it is promoted, and its rounds.

import { card, key } from "tuning/card.js";
import { pairs } from "tuning/detail.js";
import { h, replace } from "tuning/dom.js";
import { age, evidenceBar, plain, roundsTable, verdictBadge, waitItem } from "tuning/fleet.js";
import { moment, number } from "tuning/format.js";
import { driftChart, metricChart } from "tuning/overtime.js";
import { stateBadge } from "tuning/overview.js";
import { words } from "tuning/words.js";

const said = words.fleet;

/** `update(study, history)` takes what /api/fleet/study and /api/fleet/over-time answer; the latter may be null, or {error}. */
export function productionPage() {
  const element = h("div", {});
  let charts = [];

  function update(study, history) {
    for (const chart of charts) chart.remove();
    charts = [];
    const drawn = (chart) => {
      charts.push(chart);
      return chart.element;
    };
    const focused = document.activeElement?.id;
    replace(
      element,
      h("div", { class: "title" }, h("h1", {}, study.name), stateBadge(study.state), h("span", { class: "soft" }, study.namespace, study.round ? ` · ${words.round(study.round)}` : ""), study.study && h("a", { href: `/study?name=${encodeURIComponent(study.study)}` }, said.itsTrials)),
      waiting(study),
      ...metricCards(study, history, drawn),
      driftCard(study, history, drawn),
      promotionCard(study),
      roundsCard(study),
    );
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
  return { element, update };
}

function waiting({ waits }) {
  const { element } = card("waiting", { title: said.waiting.title }, waits.length ? h("ul", { class: "waits" }, waits.map((wait) => waitItem(wait))) : h("p", { class: "remark" }, said.waiting.none));
  return element;
}

function metricCards(study, history, drawn) {
  if (!study.metrics.length) return [card("metrics", { title: said.metrics.title }, h("p", { class: "remark" }, said.metrics.none), h("pre", {}, said.metrics.example)).element];
  return study.metrics.map((metric) => {
    const points = history?.metrics?.[metric.name] ?? [];
    const servedSince = study.promotion?.stableSince;
    const { element, bar } = card(
      `metric-${metric.name}`,
      { title: metric.name, about: metric.message },
      pairs([
        [said.metrics.last, metric.value === undefined ? said.metrics.never : `${number(plain(metric.value))} · ${said.ago(age(metric.time))}`],
        [said.metrics.baseline, metric.baseline === undefined ? said.metrics.unknown : number(plain(metric.baseline))],
        [said.metrics.level, metric.level === undefined ? said.metrics.unknown : number(plain(metric.level))],
        [said.metrics.evidence, evidenceBar(metric)],
        ...(metric.degradedSince ? [[said.metrics.since, moment(metric.degradedSince)]] : []),
      ]),
      chartOr(history, points, said.metrics.noPoints(study.name, study.namespace, metric.name), () => [
        drawn(metricChart({ metric, points, rounds: study.rounds, servedSince })),
        key([
          { colour: "accent", shape: "line", text: said.metrics.observed },
          ...(servedSince && Date.parse(points[0][0]) <= Date.parse(servedSince) ? [{ colour: "pruned", shape: "line", text: said.metrics.before }] : []),
          { colour: "best", shape: "line dashed", text: said.metrics.baseline },
          { colour: "failed", shape: "line dotted", text: said.metrics.level },
          { colour: "soft", shape: "line dotted", text: said.roundBegan },
        ]),
      ]),
    );
    replace(bar, verdictBadge(metric));
    return element;
  });
}

function driftCard(study, history, drawn) {
  const { drift } = study;
  if (!drift) return card("drift", { title: said.drift.title }, h("p", { class: "remark" }, said.drift.none), h("pre", {}, said.drift.example)).element;
  const lines = history?.drift ?? [];
  const row = ({ name, psi, threshold }) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: psi >= threshold ? "problem number" : "number" }, number(psi)), h("td", { class: "number" }, number(threshold)));
  const table = h("table", {}, h("thead", {}, h("tr", {}, said.drift.columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, drift.features.map(row)));
  const { element, bar } = card(
    "drift",
    { title: said.drift.title, about: drift.message },
    chartOr(history, lines, said.drift.noPoints, () => [
      drawn(driftChart({ lines, features: drift.features, rounds: study.rounds })),
      key([...lines.map(({ feature }, index) => ({ colour: `series-${index}`, shape: "line", text: feature })), { colour: "failed", shape: "line dotted", text: said.drift.threshold }]),
    ]),
    drift.features.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": said.drift.title }, table) : null,
  );
  replace(bar, h("span", { class: `state ${{ Drifted: "failed", Steady: "running" }[drift.verdict] ?? ""}` }, said.verdicts[drift.verdict]));
  return element;
}

/** What is drawn of the store; or why nothing is. */
function chartOr(history, found, none, draw) {
  if (history === null) return h("p", { class: "remark" }, words.loading);
  if (history.error) return h("p", { class: "remark problem" }, said.noHistory(history.error));
  return found.length ? draw() : h("p", { class: "remark" }, none);
}

function promotionCard({ promotion, mode }) {
  if (!promotion) return card("promotion", { title: said.promotion.title }, h("p", { class: "remark" }, mode ? said.promotion.nothingYet : said.promotion.none), !mode && h("pre", {}, said.promotion.example)).element;
  const { state, message, since, stable, stableSince, previous, candidate, gates = [], answer, rolledBack = [] } = promotion;
  const row = ({ name, verdict, message: why }) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, h("span", { class: `state ${{ Passed: "running", Refused: "failed" }[verdict] ?? "waiting"}` }, verdict)), h("td", { class: "words" }, why || ""));
  const { element, bar } = card(
    "promotion",
    { title: said.promotion.title, about: message },
    pairs([
      [said.promotion.mode, mode ?? words.absent],
      [said.promotion.stable, stable ? `${stable}${stableSince ? ` · ${said.since(age(stableSince))}` : ""}` : said.promotion.nothingServes],
      ...(candidate ? [[said.promotion.candidate, candidate]] : []),
      ...(previous ? [[said.promotion.previous, previous]] : []),
      ...rolledBack.map(({ parameters, reason }) => [said.promotion.rolledBack, reason ? `${parameters}: ${reason}` : parameters]),
      ...(answer ? [[said.promotion.answer, answer]] : []),
    ]),
    gates.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": said.promotion.gates }, h("table", {}, h("thead", {}, h("tr", {}, said.promotion.columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, gates.map(row)))) : null,
  );
  replace(bar, h("span", { class: `state ${{ Stable: "running", Held: "failed", RolledBack: "failed", RollingBack: "failed" }[state] ?? "waiting"}` }, state), since && h("span", { class: "soft" }, said.since(age(since))));
  return element;
}

function roundsCard({ rounds, retune, triggers }) {
  const about = [triggers.length ? said.rounds.askedBy(triggers.join(", ")) : said.rounds.byHand, retune.nextScheduled && said.rounds.next(moment(retune.nextScheduled)), retune.suppressed > 0 && said.rounds.refused(retune.suppressed)].filter(Boolean).join(" ");
  return card("rounds", { title: said.rounds.title, about }, rounds.length ? roundsTable(rounds) : h("p", { class: "remark" }, said.rounds.none)).element;
}
