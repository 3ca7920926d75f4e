// All studies in production: what needs somebody, what waits, how each model stands, and the latest rounds.

import { card } from "tuning/card.js";
import { choose, h, replace } from "tuning/dom.js";
import { duration, number, roughly, shortened } from "tuning/format.js";
import { words } from "tuning/words.js";

const said = words.fleet;
const SHOWN = 12; // of a list; the rest opens
const MINUTE = 60_000;

export const fleetStudyPath = (place) => `/fleet/study?place=${encodeURIComponent(place)}`;
export const placeOf = ({ namespace, name }) => `${namespace}/${name}`;

/** `update(told)` takes what /api/fleet answers; what is open, found or scrolled to stays so. */
export function fleetPage(told) {
  let drawn = "";
  const count = h("span", { class: "soft", "aria-live": "polite" });
  const tiles = h("section", { class: "tiles", "aria-label": said.totals });
  const nothing = h("section", { class: "card" });
  const [somebody, waits, models, rounds] = [waitsCard("somebody", true), waitsCard("waits", false), modelsCard(), roundsCard()];
  const watched = h("div", {}, tiles, h("div", { class: "cards" }, [somebody, waits, models, rounds].map((part) => part.element)));
  const element = h("div", {}, h("div", { class: "title" }, h("h1", {}, said.title), count), nothing, watched);

  function update(next) {
    const text = JSON.stringify(next);
    if (text === drawn) return;
    drawn = text;
    told = next;
    draw();
  }

  function draw() {
    const { totals, studies, rounds: begun } = told;
    const focused = document.activeElement?.dataset?.focus;
    count.textContent = said.watched(totals.watched, totals.others);
    nothing.hidden = totals.watched > 0;
    watched.hidden = !nothing.hidden;
    if (totals.watched) replace(tiles, tilesOf(totals));
    else replace(nothing, nothingWatched(totals.others));
    somebody.update(studies);
    waits.update(studies);
    models.update(studies);
    rounds.update(begun);
    if (focused) [...element.querySelectorAll("[data-focus]")].find((entry) => entry.dataset.focus === focused)?.focus({ preventScroll: true });
  }
  update(told);
  setInterval(draw, MINUTE); // how long ago something was
  return { element, update };
}

function tilesOf(totals) {
  const tile = (key, tone) => h("div", { class: `tile${totals[key] ? ` ${tone}` : ""}` }, h("b", {}, totals[key].toLocaleString("en")), h("span", {}, said.tiles[key]));
  return [
    tile("somebody", "bad"),
    tile("degraded", "bad"),
    tile("drifted", "bad"),
    tile("unobserved", "bad"),
    tile("retuning", ""),
    tile("waiting", ""),
    tile("frozen", ""),
  ];
}

function nothingWatched(others) {
  return [h("h2", {}, said.nothing), h("p", { class: "about" }, said.howToWatch), h("pre", {}, said.example), others > 0 && h("p", { class: "remark" }, said.othersAre(others), h("a", { href: "/" }, words.studies))];
}

/** The first of a list, and the rest behind a line that opens it. `draw(items)` makes what is shown of some. */
function firstOf(draw, none) {
  const [first, rest, line] = [h("div", {}), h("div", {}), h("summary", {})];
  const more = h("details", { class: "space" }, line, rest);
  function update(items) {
    replace(first, items.length ? draw(items.slice(0, SHOWN)) : h("p", { class: "remark" }, none));
    const others = items.slice(SHOWN);
    more.hidden = !others.length;
    line.textContent = said.more(others.length);
    replace(rest, others.length ? draw(others) : []);
  }
  return { parts: [first, more], update };
}

function waitsCard(key, somebody) {
  const texts = said[key];
  const list = firstOf((items) => h("ul", { class: "waits" }, items.map(({ wait, study }) => waitItem(wait, study))), texts.none);
  const { element, head } = card(key, { title: texts.title, about: texts.about }, list.parts);
  const update = (studies) => {
    const found = studies.flatMap((study) => study.waits.filter((wait) => wait.somebody === somebody).map((wait) => ({ wait, study })));
    found.sort((one, other) => one.wait.urgency - other.wait.urgency);
    head(found.length ? `${texts.title} · ${found.length}` : texts.title);
    list.update(found);
  };
  return { element, update };
}

/** One thing that waits; `study` is left out on the study's own page. */
export function waitItem({ kind, somebody, message, do: what, since, until }, study = null) {
  const times = [since && said.since(age(since)), until && said.until(ahead(until))].filter(Boolean).join(" · ");
  return h(
    "li",
    {},
    h("div", { class: "wait-head" }, h("span", { class: `state ${somebody ? "failed" : "waiting"}` }, said.kinds[kind] ?? kind), study && studyLink(study, `waits ${kind}`), times && h("span", { class: "soft", title: [since, until].filter(Boolean).join(" – ") }, times)),
    message && h("p", {}, message),
    what && h("p", { class: "do" }, h("code", {}, what)),
  );
}

function studyLink(study, place) {
  return h("span", {}, h("a", { href: fleetStudyPath(placeOf(study)), "data-focus": `${place} ${placeOf(study)}` }, study.name), h("span", { class: "soft" }, ` ${study.namespace}`));
}

const IS = {
  all: () => true,
  degraded: ({ metrics }) => metrics.some((metric) => metric.degradedSince),
  drifted: ({ drift }) => drift?.verdict === "Drifted",
  unobserved: ({ metrics }) => metrics.some((metric) => metric.stale),
  waits: ({ waits }) => waits.length > 0,
  frozen: ({ waits }) => waits.some(({ kind }) => kind === "Frozen"),
};

function modelsCard() {
  let rows = [];
  let found = "";
  let chosen = "all";
  const body = h("tbody", {});
  const nothing = h("p", { class: "remark" }, said.noneSuch);
  const find = h("input", {
    type: "search",
    placeholder: words.list.find,
    "aria-label": words.list.find,
    "data-focus": "find",
    oninput: () => {
      found = find.value.toLowerCase();
      draw();
    },
  });
  const filter = choose(said.show, Object.keys(IS).map((key) => [key, said.filters[key]]), chosen, (value) => {
    chosen = value;
    draw();
  });
  const head = h("tr", {}, said.columns.map((name) => h("th", { scope: "col" }, name)));
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": said.models.title }, h("table", { class: "models" }, h("thead", {}, head), body));
  const shown = h("span", { class: "soft", "aria-live": "polite" });
  const { element } = card("models", { title: said.models.title, about: said.models.about }, h("div", { class: "list-bar" }, find, h("div", { class: "controls" }, shown, filter)), scroll, nothing);

  function draw() {
    const passing = rows.filter((row) => IS[chosen](row) && placeOf(row).toLowerCase().includes(found));
    replace(body, passing.map(modelRow));
    shown.textContent = words.list.shown(passing.length, rows.length);
    nothing.hidden = passing.length > 0;
    scroll.hidden = !passing.length;
  }
  return {
    element,
    update: (next) => {
      rows = next;
      draw();
    },
  };
}

function modelRow(study) {
  const { metrics, drift, promotion, last, waits } = study;
  const worst = [...metrics].sort((a, b) => b.evidence - a.evidence)[0];
  const below = (...text) => h("div", { class: "soft" }, text);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("a", { href: fleetStudyPath(placeOf(study)), "data-focus": `models ${placeOf(study)}` }, study.name), below(study.namespace)),
    h("td", {}, worst ? verdictBadge(worst) : h("span", { class: "soft" }, said.notWatched)),
    h("td", {}, worst ? [h("b", { class: "number" }, number(plain(worst.value))), h("span", { class: "soft" }, ` ${worst.name}${metrics.length > 1 ? ` ${said.andMore(metrics.length - 1)}` : ""}`), below(said.of(number(plain(worst.baseline))))] : words.absent),
    h("td", {}, worst ? evidenceBar(worst) : words.absent),
    h("td", {}, drift ? driftCell(drift) : words.absent),
    h("td", {}, promotion ? promotion.state : words.absent),
    h("td", {}, last ? [said.triggers[last.trigger] ?? last.trigger, below(outcomeOf(last), last.startTime ? ` · ${said.ago(age(last.startTime))}` : "")] : words.absent),
    h("td", { class: "words" }, waits.length ? said.kinds[waits[0].kind] : words.absent, waits.length > 1 ? h("span", { class: "soft" }, ` ${said.andMore(waits.length - 1)}`) : null),
  );
}

function outcomeOf({ outcome, completionTime }) {
  if (outcome) return said.outcomes[outcome];
  return completionTime ? said.ended : said.runs;
}

export function verdictBadge(metric) {
  const verdict = metric.degradedSince ? "Degraded" : metric.stale ? "Unobserved" : metric.verdict;
  const tones = { Degraded: "failed", Healthy: "running", Unobserved: "waiting" };
  return h("span", { class: `state ${tones[verdict] ?? ""}` }, said.verdicts[verdict]);
}

export function evidenceBar(metric) {
  const share = Math.min(Math.max(metric.evidence, 0), 1);
  const text = metric.evidence >= 1 ? said.enough : number(Number(metric.evidence.toFixed(2)));
  return [h("span", { class: "number" }, text), h("progress", { class: share >= 1 ? "bad" : share >= 0.5 ? "near" : "", value: share, max: 1, "aria-label": said.evidenceOf(metric.name, text) })];
}

function driftCell({ verdict, features }) {
  const first = features[0];
  if (!first) return h("span", { class: "soft" }, said.verdicts[verdict]);
  const text = `${number(Number(first.psi.toPrecision(2)))} / ${number(Number(first.threshold.toPrecision(2)))}`;
  return [h("span", { class: verdict === "Drifted" ? "problem number" : "number" }, text), h("div", { class: "soft" }, shortened(first.name, 20))];
}

function roundsCard() {
  const list = firstOf((rounds) => roundsTable(rounds, true), said.rounds.none);
  const { element } = card("rounds", { title: said.rounds.title, about: said.rounds.about }, list.parts);
  return { element, update: list.update };
}

/** Rounds with their reasons; `many` is whether they are of several studies. */
export function roundsTable(rounds, many = false) {
  const columns = said.rounds.columns.filter((_, index) => many || index !== 1);
  const row = (round) =>
    h(
      "tr",
      {},
      h("td", { class: "number", title: round.startTime ?? "" }, round.startTime ? said.ago(age(round.startTime)) : words.absent),
      many && h("td", {}, studyLink(round, `round ${round.round}`)),
      h("td", { class: "number" }, round.study ? h("a", { href: `/study?name=${encodeURIComponent(round.study)}` }, words.round(round.round)) : words.round(round.round)),
      h("td", {}, said.triggers[round.trigger] ?? round.trigger),
      h("td", { class: "words" }, round.reason || words.absent),
      h("td", {}, outcomeBadge(round)),
      h("td", { class: "words" }, round.comparison || bestOf(round)),
    );
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": said.rounds.title }, h("table", { class: "rounds-told" }, h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rounds.map(row))));
}

function bestOf({ best }) {
  return best.length ? said.rounds.best(best.map(({ name, value }) => `${name} ${number(plain(value))}`).join(", ")) : words.absent;
}

function outcomeBadge(round) {
  const tones = { Improved: "running", Failed: "failed", NoBetter: "waiting" };
  const tone = round.outcome ? tones[round.outcome] : round.completionTime ? "" : "running";
  return h("span", { class: `state ${tone}` }, outcomeOf(round));
}

/** A number of a status, in which an infinity is a text. */
export function plain(value) {
  return value === undefined ? null : Number(value);
}

/** How long ago, as text. */
export function age(iso) {
  return roughly((Date.now() - Date.parse(iso)) / 1000);
}

function ahead(iso) {
  return duration(Math.max(0, (Date.parse(iso) - Date.now()) / 1000));
}
