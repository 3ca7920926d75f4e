// Why trials failed, the most frequent reason first, each with all it said.

import { card } from "tuning/card.js";
import { h, replace } from "tuning/dom.js";
import { words } from "tuning/words.js";

const MOST_NUMBERS = 12;
const LONG = 60; // characters; a shorter reason stands in the line above as a whole

export function failuresPanel(page) {
  const list = h("div", { class: "failures" });
  const { element, head } = card("failures", {}, list);
  let listed = "";

  function update() {
    const { study } = page;
    head(words.failures.title, "");
    const now = JSON.stringify(study.head.failures);
    element.hidden = !study.head.failures.length;
    if (now === listed) return;
    const open = new Set([...list.querySelectorAll("details[open]")].map((entry) => entry.dataset.reason));
    listed = now;
    replace(list, study.head.failures.map((failure, index) => entry(study, failure, open.has(failure.reason) || (!open.size && index === 0))));
  }

  function entry(study, { reason, count, reasons }, open) {
    const column = study.columns.get("failure");
    const texts = new Set(reasons);
    const trials = column.values.flatMap((_, trial) => (texts.has(column.text(trial)) ? [trial] : []));
    const traced = trials.find((trial) => study.columns.get("traceback").has(trial));
    const lines = reason.trim().split("\n");
    return h(
      "details",
      { open, "data-reason": reason },
      h("summary", {}, h("b", { class: "number" }, words.failures.times(count)), h("span", { class: "reason" }, lines.at(-1))),
      (lines.length > 1 || reason.length > LONG) && h("pre", { tabindex: "0" }, reason),
      traced !== undefined && h("pre", { tabindex: "0" }, study.columns.get("traceback").text(traced)),
      h(
        "p",
        { class: "numbers" },
        `${words.failures.trials} `,
        trials.slice(0, MOST_NUMBERS).map((trial) => h("button", { type: "button", class: "link", "aria-label": words.trial(trial), onclick: () => page.open(trial) }, String(trial))),
        trials.length > MOST_NUMBERS && ` ${words.charts.more(trials.length - MOST_NUMBERS)}`,
      ),
      trials.length > 0 && h("button", { type: "button", class: "plain", onclick: () => show(texts) }, words.failures.show),
    );
  }

  function show(texts) {
    page.filter.set("failure", { texts });
    const table = document.getElementById("trials");
    table.scrollIntoView();
    table.focus({ preventScroll: true });
  }
  return { element, update };
}
