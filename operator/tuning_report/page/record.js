// The record of a study: what was in production from when to when, which rounds there were, and all that was done.

import { card, key } from "tuning/card.js";
import { h, replace, toggle } from "tuning/dom.js";
import { moment, number, shortened } from "tuning/format.js";
import { words } from "tuning/words.js";

const ABOUT = ["rounds", "production", "refused"];
const TICKS = 5;

/** The record that is frozen into a file; see tuning_report/recorded.py. `now` is when it was read. */
export function recordPage(told, now) {
  const count = (about) => told.entries.filter((entry) => entry.about === about).length;
  const backs = told.entries.filter(({ kind }) => kind === "RolledBack").length;
  const tiles = [
    [told.rounds.length, words.record.tiles.rounds],
    [told.serving.length, words.record.tiles.served],
    [backs, words.record.tiles.backs],
    [count("refused"), words.record.tiles.refused],
  ];
  return h(
    "div",
    {},
    h("div", { class: "title" }, h("h1", {}, told.name)),
    h("div", { class: "tiles" }, tiles.map(([value, label]) => h("div", { class: "tile" }, h("b", {}, number(value)), h("span", {}, label)))),
    told.entries.length > 0 && course(told, now),
    told.serving.length > 0 && served(told.serving),
    done(told.entries),
  );
}

/** Lanes over one time: what served, the rounds, what was refused. */
function course(told, now) {
  const first = Date.parse(told.entries[0].time);
  const last = Math.max(Date.parse(now), Date.parse(told.entries.at(-1).time));
  const place = (time) => (100 * (Date.parse(time) - first)) / Math.max(1, last - first);
  const bar = (kind, from, until, text, title, colour) => {
    const left = place(from);
    return h("span", { class: `lane-bar ${kind}`, title, style: { left: `${left}%`, width: `${place(until ?? now) - left}%`, "--mark": `var(--${colour})` } }, text);
  };
  const names = [...new Set(told.serving.map(({ name }) => name))];
  const lanes = [
    [words.record.lanes.production, told.serving.map((span) => bar("served", span.since, span.until, span.round === null ? "" : words.round(span.round), `${span.name}: ${moment(span.since)}`, `series-${names.indexOf(span.name) % 8}`))],
    [words.record.lanes.rounds, told.rounds.map((round) => bar("round", round.began, round.ended, "", `${words.round(round.round)} (${round.trigger}): ${moment(round.began)}`, round.succeeded === false ? "failed" : round.outcome === "NoBetter" ? "pruned" : "running"))],
    [words.record.lanes.refused, told.entries.filter(({ about }) => about === "refused").map((entry) => h("span", { class: "lane-tick", title: `${moment(entry.time)}: ${entry.message}`, style: { left: `${place(entry.time)}%` } }))],
  ];
  const ticks = Array.from({ length: TICKS }, (_, index) => new Date(first + ((last - first) * index) / (TICKS - 1)).toISOString());
  const element = h(
    "div",
    { class: "lanes", role: "img", "aria-label": words.record.told(told.serving.length, told.rounds.length) },
    lanes.map(([label, marks]) => h("div", { class: "lane" }, h("span", { class: "lane-name" }, label), h("span", { class: "lane-line" }, marks))),
    h("div", { class: "lane" }, h("span", { class: "lane-name" }), h("span", { class: "lane-ticks" }, ticks.map((time) => h("span", {}, moment(time))))),
  );
  const legend = key([
    { colour: "running", shape: "bar", text: words.record.legend.round },
    { colour: "pruned", shape: "bar", text: words.record.legend.noBetter },
    { colour: "failed", shape: "bar", text: words.record.legend.failed },
  ]);
  return card("course", { title: words.record.course, about: words.record.courseAbout }, element, legend).element;
}

/** What was in production, the newest first. */
function served(spans) {
  const values = (record) => Object.entries(record).map(([name, value]) => h("div", {}, `${name} ${typeof value === "number" ? number(value) : text(value)}`));
  const rows = [...spans].reverse().map((span) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, shortened(span.name, 40)),
      h("td", {}, moment(span.since)),
      h("td", {}, span.until === null ? h("span", { class: "state running" }, words.record.now) : moment(span.until)),
      h("td", { class: "why" }, h("div", {}, span.why), h("div", { class: "soft" }, origin(span))),
      h("td", {}, span.actor),
      h("td", {}, values(span.metrics)),
      h("td", {}, values(span.parameters)),
    ),
  );
  const table = h("table", {}, h("thead", {}, h("tr", {}, words.record.columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows));
  return card("served", { title: words.record.served }, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.record.served }, table)).element;
}

function origin(span) {
  if (span.round === null) return "";
  return [words.record.origin(span.round, span.trigger, span.reason), span.comparison].filter(Boolean).join("; ");
}

/** All that was done, the newest first. */
function done(entries) {
  const shown = new Set(ABOUT);
  const list = h("div", { class: "record" });
  const controls = ABOUT.map((about) => toggle(words.record.about[about], true, (on) => {
    shown[on ? "add" : "delete"](about);
    update();
  }));

  function update() {
    const found = entries.filter(({ about }) => shown.has(about)).reverse();
    const days = Map.groupBy(found, ({ time }) => moment(time).slice(0, 10));
    replace(list, [...days].map(([day, those]) => [h("h3", {}, day), h("ol", {}, those.map(entry))]), found.length === 0 && h("p", { class: "remark" }, words.record.nothing));
  }

  update();
  return card("done", { title: words.record.done, about: words.record.doneAbout, controls }, list).element;
}

function entry(told) {
  const tone = told.bad ? "failed" : told.about === "refused" ? "waiting" : told.about === "rounds" ? "running" : "complete";
  return h(
    "li",
    {},
    h("span", { class: "entry-time number" }, moment(told.time).slice(11)),
    h("span", { class: `state ${tone}` }, told.kind),
    h("div", { class: "entry-body" }, h("p", {}, told.message), h("p", { class: "soft" }, told.actor), evidence(told)),
  );
}

/** Made when it is opened: a round's holds its whole manifest. */
function evidence(told) {
  if (Object.keys(told.evidence).length === 0) return null;
  const body = h("div", {});
  const open = (event) => {
    if (!event.target.open || body.childElementCount > 0) return;
    const facts = Object.entries(told.facts).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, typeof value === "number" ? number(value) : text(value))]);
    const gates = told.gates.map(({ name, verdict, message }) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, verdict), h("td", { class: "why" }, message ?? "")));
    replace(
      body,
      facts.length > 0 && h("dl", { class: "pairs" }, facts),
      gates.length > 0 && h("div", { class: "scroll" }, h("table", {}, h("tbody", {}, gates))),
      h("pre", { tabindex: "0" }, JSON.stringify(told.evidence, null, 1)),
    );
  };
  return h("details", { ontoggle: open }, h("summary", {}, words.record.evidence), body);
}

function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
