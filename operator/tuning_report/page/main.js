// Starts the page: a report shows the document that is frozen into it, the dashboard what its address asks for.

import { comparePage } from "tuning/compare.js";
import { comparedPage } from "tuning/compared.js";
import { Study } from "tuning/data.js";
import { h, replace } from "tuning/dom.js";
import { fleetPage, fleetStudyPath } from "tuning/fleet.js";
import { moment } from "tuning/format.js";
import { follow, get } from "tuning/live.js";
import { productionPage } from "tuning/production.js";
import { recordPage } from "tuning/record.js";
import { comparePath, studiesPage, studyPath } from "tuning/studies.js";
import { studyPage } from "tuning/study.js";
import { words } from "tuning/words.js";

const page = document.getElementById("page");
const main = h("main", { id: "main", tabindex: "-1" }, h("p", { class: "remark" }, words.loading));
const crumbs = h("nav", { class: "crumbs", "aria-label": words.whereabouts });
const status = h("p", { class: "live", role: "status" });
page.replaceChildren(
  h("a", { class: "skip", href: "#main" }, words.skip),
  h("header", { class: "top" }, h("div", { class: "top-inner" }, crumbs, status)),
  main,
);

const frozen = document.getElementById("document");
if (frozen) showFrozen(JSON.parse(frozen.textContent));
else start();

function showFrozen(told) {
  if (told.compared) showCompared(told.compared);
  else if (told.record) showRecord(told.record);
  else showReport(told);
}

function showCompared(told) {
  replace(crumbs, h("span", { class: "brand" }, words.product), h("span", { class: "soft" }, told.study));
  replace(status, words.live.written(moment(told.written)));
  replace(main, comparedPage(told), footer(words.live.frozen));
}

function showRecord(told) {
  replace(crumbs, h("span", { class: "brand" }, words.product), h("span", { class: "soft" }, told.name));
  replace(status, words.live.written(moment(told.written)));
  replace(main, recordPage(told, told.written), footer(words.live.frozen));
}

function showReport({ document: told, importances }) {
  const study = new Study(told);
  replace(crumbs, h("span", { class: "brand" }, words.product), h("span", { class: "soft" }, study.head.name));
  replace(status, words.live.written(moment(study.head.written)));
  replace(main, studyPage(study, importances).element, footer(words.live.frozen));
}

async function start() {
  const asked = new URLSearchParams(location.search);
  try {
    if (location.pathname === "/study") await showStudy(asked.get("name"));
    else if (location.pathname === "/compare") await showComparison(asked.getAll("study"));
    else if (location.pathname === "/fleet") await showFleet();
    else if (location.pathname === "/fleet/study") await showProduction(asked.get("place") ?? "");
    else await showStudies();
  } catch (error) {
    replace(status);
    replace(crumbs, brand());
    replace(main, h("section", { class: "card notice" }, h("h2", {}, words.cannotLoad), h("p", {}, error.message), h("button", { type: "button", onclick: () => location.reload() }, words.retry)));
  }
}

async function showStudies() {
  replace(crumbs, brand());
  const list = studiesPage((await get("/api/studies")).studies);
  replace(main, list.element, footer(words.live.readOnly));
  const { away, back } = standing();
  follow(() => "/api/events", { studies: ({ studies }) => list.update(studies), away, back }, (state) => (state === "live" ? back() : away({})));
}

async function showStudy(name) {
  const path = `/api/study?name=${encodeURIComponent(name)}`;
  const [told, { studies }] = await Promise.all([get(path), get("/api/studies")]);
  let { version } = told;
  const study = new Study(told.document);
  document.title = `${study.head.name} · ${words.product}`;
  replace(crumbs, brand(), h("span", { class: "soft" }, study.head.name), rounds(study, studies));
  const view = studyPage(study, told.importances, (trial) => get(`/api/log?name=${encodeURIComponent(name)}&trial=${trial}`));
  replace(main, view.element, footer(words.live.readOnly));
  const reload = () => location.reload();
  const { away, back } = standing();
  const handlers = {
    changes: (event) => {
      try {
        study.apply(event.document);
      } catch {
        reload();
        return;
      }
      version = event.version;
      view.update("data");
      back();
    },
    importances: ({ importances }) => {
      view.page.importances = importances;
      view.update("data");
    },
    reload,
    away,
    back,
  };
  follow(() => `/api/events?name=${encodeURIComponent(name)}&since=${encodeURIComponent(version)}`, handlers, (state) => (state === "live" ? back() : away({})));
}

async function showComparison(names) {
  replace(crumbs, brand(), h("span", { class: "soft" }, words.compare.title));
  if (names.length < 2) throw new Error(words.compare.pick);
  const told = await Promise.all(names.map((name) => get(`/api/study?name=${encodeURIComponent(name)}`)));
  replace(main, comparePage(told.map((entry) => new Study(entry.document))).element, footer(words.live.readOnly));
}

async function showFleet() {
  replace(crumbs, brand());
  document.title = `${words.fleet.title} · ${words.product}`;
  const fleet = fleetPage(await get("/api/fleet"));
  replace(main, fleet.element, footer(words.live.readOnly));
  const { away, back } = standing();
  follow(() => "/api/fleet/events", { fleet: fleet.update, away, back }, (state) => (state === "live" ? back() : away({})));
}

async function showProduction(place) {
  const asked = `place=${encodeURIComponent(place)}`;
  const readHistory = () => get(`/api/fleet/over-time?${asked}`).catch((error) => ({ error: error.message }));
  let study = await get(`/api/fleet/study?${asked}`);
  let history = null;
  document.title = `${study.name} · ${words.fleet.title} · ${words.product}`;
  replace(crumbs, brand(), h("a", { href: fleetStudyPath(place), "aria-current": "page" }, study.name));
  const view = productionPage();
  view.update(study, history);
  replace(main, view.element, footer(words.live.readOnly));
  const draw = async () => {
    history = await readHistory();
    view.update(study, history);
  };
  await draw();
  const { away, back } = standing();
  const handlers = {
    fleet: (told) => {
      if (JSON.stringify(told) === JSON.stringify(study)) return;
      study = told;
      draw();
    },
    away,
    back,
  };
  follow(() => `/api/fleet/events?${asked}`, handlers, (state) => (state === "live" ? back() : away({})));
}

/** The other rounds of the study, and their comparison. */
function rounds(study, studies) {
  const found = studies.find(({ rounds: own }) => own.some((round) => round.study === study.head.study));
  if (!found || found.rounds.length < 2) return null;
  const link = ({ study: name, round }) => h("a", { href: studyPath(name), "aria-current": name === study.head.study ? "page" : false }, words.round(round));
  return h("span", { class: "rounds" }, found.rounds.map(link), h("a", { href: comparePath(found.rounds.map((round) => round.study)) }, words.compare.compareRounds));
}

/** What the corner of the page says of the connection. */
function standing() {
  const dot = (state) => h("span", { class: `dot ${state}`, "aria-hidden": "true" });
  return {
    away: ({ message }) => replace(status, dot("away"), message ? words.live.storeAway : words.live.away),
    back: () => replace(status, dot("on"), words.live.live),
  };
}

function brand() {
  const here = (path) => (location.pathname === path ? "page" : false);
  return [
    h("a", { class: "brand", href: "/" }, words.product),
    h("a", { href: "/", "aria-current": here("/") }, words.studies),
    "fleet" in page.dataset && h("a", { href: "/fleet", "aria-current": here("/fleet") }, words.fleet.title),
  ];
}

function footer(text) {
  return h("footer", {}, text);
}
