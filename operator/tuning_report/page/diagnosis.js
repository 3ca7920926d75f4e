// What is wrong with the round, seen from its trials, and what to change.

import { card } from "tuning/card.js";
import { h, replace } from "tuning/dom.js";
import { words } from "tuning/words.js";

export function diagnosisPanel(page) {
  const list = h("div", { class: "failures" });
  const { element } = card("diagnosis", { title: words.diagnosis.title }, list);

  function update(source) {
    if (source !== "data") return;
    const found = page.study.head.diagnosis;
    element.hidden = !found.length;
    replace(list, found.map(({ reason, message }) => h("p", {}, h("b", {}, reason), ` ${message}`)));
  }
  return { element, update };
}
