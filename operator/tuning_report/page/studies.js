// The list of studies of a store, kept up to date, and the way to each study and to comparisons.

import { h, replace } from "tuning/dom.js";
import { duration, number } from "tuning/format.js";
import { stateBadge } from "tuning/overview.js";
import { words } from "tuning/words.js";

export const studyPath = (study) => `/study?name=${encodeURIComponent(study)}`;
export const comparePath = (studies) => `/compare?${studies.map((study) => `study=${encodeURIComponent(study)}`).join("&")}`;

/** `update(rows)` takes what /api/studies answers. */
export function studiesPage(rows) {
  const chosen = new Set();
  let found = "";
  const count = h("span", { class: "soft", "aria-live": "polite" });
  const body = h("tbody", {});
  const nothing = h("p", { class: "remark" });
  const compare = h("a", { class: "button", hidden: true }, words.compare.open);
  const find = h("input", {
    type: "search",
    placeholder: words.list.find,
    "aria-label": words.list.find,
    oninput: () => {
      found = find.value.toLowerCase();
      draw();
    },
  });
  const names = words.list.columns;
  const columns = ["name", "state", "trials", "best", "failed", "running", "age"];
  const headings = h("tr", {}, h("th", {}, h("span", { class: "unseen" }, words.compare.open)), columns.map((key) => h("th", { scope: "col" }, names[key])));
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.list.title }, h("table", { class: "studies" }, h("thead", {}, headings), body));
  const element = h("div", {}, h("div", { class: "title" }, h("h1", {}, words.list.title), count), h("section", { class: "card", "aria-label": words.list.title }, h("div", { class: "list-bar" }, find, compare), scroll, nothing));

  function update(next) {
    rows = next;
    draw();
  }

  function draw() {
    const shown = rows.filter(({ namespace, name }) => `${namespace}/${name}`.toLowerCase().includes(found));
    const focused = document.activeElement?.dataset?.focus;
    count.textContent = words.list.shown(shown.length, rows.length);
    replace(body, shown.map(row));
    if (focused) [...body.querySelectorAll("[data-focus]")].find((entry) => entry.dataset.focus === focused)?.focus();
    nothing.hidden = shown.length > 0;
    nothing.textContent = rows.length ? words.list.nothing : words.list.none;
    scroll.hidden = !shown.length;
    compare.hidden = chosen.size < 2;
    compare.href = comparePath([...chosen]);
  }

  function row(entry) {
    const { study, name, namespace, round, state, counts, limit, objectives, best, started } = entry;
    const used = counts.complete + counts.pruned;
    const onchange = (event) => {
      if (event.target.checked) chosen.add(study);
      else chosen.delete(study);
      draw();
    };
    const first = objectives[0];
    return h(
      "tr",
      {},
      h("td", {}, h("input", { type: "checkbox", checked: chosen.has(study), "aria-label": words.list.choose(name), "data-focus": `choose ${study}`, onchange })),
      h("th", { scope: "row" }, h("a", { href: studyPath(study), "data-focus": study }, name), h("span", { class: "soft" }, [namespace === "local" ? "" : ` ${namespace}`, round > 1 ? ` ${words.list.older(round)}` : ""])),
      h("td", {}, stateBadge(state)),
      h("td", {}, h("span", { class: "number" }, limit ? `${used} / ${limit}` : String(used)), limit ? h("progress", { value: used, max: limit, "aria-label": words.tiles.progress(used, limit) }) : null),
      h("td", {}, best && first ? [h("b", { class: "number" }, number(best[0])), h("span", { class: "soft" }, ` ${first.name}`)] : words.absent),
      h("td", { class: "number" }, String(counts.failed)),
      h("td", { class: "number" }, String(counts.running)),
      h("td", {}, words.list.ago(duration(Math.max(0, (Date.now() - Date.parse(started)) / 1000)))),
    );
  }
  draw();
  return { element, update };
}
