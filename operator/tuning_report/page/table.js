// Every trial of the study, as far as the filter lets it pass: sortable, in pages of fifty.

import { card } from "tuning/card.js";
import { announce, h, replace } from "tuning/dom.js";
import { duration, shortened } from "tuning/format.js";
import { filterBar } from "tuning/filter.js";
import { cell, labelOf } from "tuning/tip.js";
import { words } from "tuning/words.js";

const PAGE = 50;

export function tablePanel(page) {
  const first = page.study.objectives[0];
  let sorting = { key: `metric:${first.name}`, down: first.direction === "Maximize" };
  let from = 0;
  let columns = "";
  const bar = filterBar(page);
  const headings = h("tr", {});
  const body = h("tbody", {});
  const table = h("table", { class: "trials" }, h("caption", { class: "unseen" }, words.table.caption), h("thead", {}, headings), body);
  const nothing = h("p", { class: "remark", hidden: true }, words.table.none);
  const place = h("span", { class: "place" });
  const step = (label, sign, go) => h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick: () => turn(go()) }, h("span", { "aria-hidden": "true" }, sign));
  let passing = [];
  const last = () => Math.max(0, Math.floor((passing.length - 1) / PAGE) * PAGE);
  const pager = h(
    "div",
    { class: "pager" },
    step(words.table.first, "«", () => 0),
    step(words.table.previous, "‹", () => from - PAGE),
    place,
    step(words.table.next, "›", () => from + PAGE),
    step(words.table.last, "»", last),
  );
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.table.scroll }, table);
  const { element, head } = card("trials", {}, bar.element, scroll, nothing, pager);
  head(words.table.title);

  function turn(to) {
    from = Math.min(Math.max(0, to), last());
    rows();
    announce(place.textContent);
  }

  function update(source) {
    if (source === "filter" || source === "parallel") from = 0;
    bar.update(source);
    sort();
    heading();
    from = Math.min(from, last());
    rows();
  }

  function sort() {
    const { study, mask } = page;
    const column = study.columns.get(sorting.key) ?? study.columns.get("number");
    const down = sorting.down ? -1 : 1;
    passing = [];
    for (let trial = 0; trial < study.count; trial++) if (mask[trial]) passing.push(trial);
    const ranks = column.kind === "choice" ? places(column) : column.values;
    const complete = sorting.key.startsWith("metric:") ? (trial) => (study.state(trial) === "complete" ? 0 : 1) : () => 0;
    const missing = (trial) => (column.has(trial) ? 0 : 1);
    passing.sort((a, b) => complete(a) - complete(b) || missing(a) - missing(b) || down * (value(ranks, a, column) - value(ranks, b, column)) || a - b);
  }

  function heading() {
    const shown = shownColumns(page.study);
    const now = [shown.map((column) => column.key), sorting.key, sorting.down].join("\n");
    if (now === columns) return;
    columns = now;
    const focused = document.activeElement?.dataset?.sort;
    replace(
      headings,
      shown.map((column) => {
        const label = labelOf(column);
        const ours = sorting.key === column.key;
        const onclick = () => {
          sorting = { key: column.key, down: ours ? !sorting.down : false };
          update();
        };
        return h(
          "th",
          { scope: "col", class: column.key.startsWith("metric:") ? "of-metric" : "", "aria-sort": ours ? (sorting.down ? "descending" : "ascending") : false },
          h("button", { type: "button", onclick, "data-sort": column.key, title: `${words.table.sort(label)}` }, shortened(label, 24), h("span", { class: "arrow", "aria-hidden": "true" }, ours ? (sorting.down ? " ↓" : " ↑") : "")),
        );
      }),
    );
    if (focused) [...headings.querySelectorAll("button")].find((button) => button.dataset.sort === focused)?.focus();
  }

  function rows() {
    const { study } = page;
    const shown = shownColumns(study);
    const listed = passing.slice(from, from + PAGE);
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.trial : null;
    replace(body, listed.map((trial) => row(study, shown, trial)));
    if (focused) body.querySelector(`[data-trial="${focused}"]`)?.focus({ preventScroll: true });
    nothing.hidden = listed.length > 0;
    scroll.hidden = listed.length === 0;
    pager.hidden = passing.length <= PAGE;
    place.textContent = words.table.page(from + 1, from + listed.length, passing.length);
    const [start, back, , forward, end] = pager.children;
    start.disabled = back.disabled = from === 0;
    forward.disabled = end.disabled = from === last();
  }

  function row(study, shown, trial) {
    const best = trial === study.head.best;
    return h(
      "tr",
      { class: `${best ? "is-best " : ""}${study.front.has(trial) ? "in-front" : ""}`, onclick: (event) => event.target.closest("button") || page.open(trial) },
      shown.map((column, index) => {
        if (index === 0) return h("th", { scope: "row" }, h("button", { type: "button", class: "link", "data-trial": trial, "aria-label": words.trial(trial), onclick: () => page.open(trial) }, String(trial)));
        if (column.key === "state") return h("td", {}, h("span", { class: `state-dot ${study.state(trial)}`, "aria-hidden": "true" }), words.states[study.state(trial)]);
        if (column.key === "seconds") return h("td", { class: "number" }, column.has(trial) ? duration(column.values[trial]) : words.absent);
        const text = cell(column, trial);
        return h("td", { class: column.kind === "number" ? "number" : "", title: text.length > 40 ? text.slice(0, 500) : false }, shortened(text, 40));
      }),
    );
  }
  return { element, update };
}

function places(column) {
  const ordered = column.texts.map((text, code) => [text, code]).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  const rank = [];
  ordered.forEach(([, code], place) => (rank[code] = place));
  return rank;
}

function value(ranks, trial, column) {
  if (!column.has(trial)) return 0;
  const found = column.kind === "choice" ? ranks[column.values[trial]] : ranks[trial];
  return Number.isFinite(found) ? found : found > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE;
}

function shownColumns(study) {
  const own = (key) => study.columns.get(key);
  const any = (key) => own(key).texts.length > 0;
  return [
    own("number"),
    own("state"),
    ...(study.constrained ? [own("feasible")] : []),
    ...study.metrics,
    ...study.parameters,
    ...(any("phase") ? [own("phase")] : []),
    own("worker"),
    own("seconds"),
    ...(any("failure") ? [own("failure")] : []),
  ];
}
