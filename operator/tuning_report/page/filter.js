// Which trials are looked at: one filter for the whole page, set by brushing an axis, by the form, or from a failure.

import { announce, h, replace } from "tuning/dom.js";
import { number } from "tuning/format.js";
import { labelOf } from "tuning/tip.js";
import { words } from "tuning/words.js";

/** A condition on a column: {ranges: [[low, high], …]} for numbers, {texts: Set} for choices. */
export class Filter extends EventTarget {
  conditions = new Map();

  get empty() {
    return this.conditions.size === 0;
  }

  /** Sets, or with null removes, the condition on a column. `source` is who asks. */
  set(key, condition, source = null) {
    if (condition) this.conditions.set(key, condition);
    else if (!this.conditions.delete(key)) return;
    this.#changed(source);
  }

  clear() {
    this.conditions.clear();
    this.#changed(null);
  }

  #changed(source) {
    this.dispatchEvent(new CustomEvent("change", { detail: { source } }));
  }

  /** By trial, whether it passes. */
  mask(study) {
    const mask = new Uint8Array(study.count).fill(1);
    for (const [key, condition] of this.conditions) {
      const column = study.columns.get(key);
      if (!column) continue;
      const passes = test(column, condition);
      for (let trial = 0; trial < study.count; trial++) {
        if (mask[trial] && !passes(column.values[trial])) mask[trial] = 0;
      }
    }
    return mask;
  }
}

function test(column, { ranges, texts }) {
  if (ranges) return (value) => ranges.some(([low, high]) => value >= low && value <= high);
  const wanted = new Set(column.texts.flatMap((text, code) => (texts.has(text) ? [code] : [])));
  return (code) => wanted.has(code);
}

/** The condition in words, for a reader. */
export function told(column, { ranges, texts }) {
  if (texts) return words.filter.is(labelOf(column), [...texts].join(", "));
  const parts = ranges.map(([low, high]) => {
    if (low === -Infinity) return words.filter.atMost(labelOf(column), number(high));
    if (high === Infinity) return words.filter.atLeast(labelOf(column), number(low));
    return words.filter.between(labelOf(column), number(low), number(high));
  });
  return parts.join(", ");
}

/** The bar over the table: what the filter is, how many trials pass, and a form to add to it without a pointer. */
export function filterBar(page) {
  const count = h("strong");
  const chips = h("ul", { class: "chips" });
  const clear = h("button", { type: "button", class: "plain", onclick: () => page.filter.clear() }, words.filter.clear);
  const form = conditionForm(page);
  const element = h("div", { class: "filter" }, h("div", { class: "filter-told" }, count, chips, clear), form.element);
  const update = (source) => {
    const { study, filter, mask } = page;
    let passing = 0;
    for (const passes of mask) passing += passes;
    count.textContent = words.filter.shown(passing, study.count);
    if (source === "filter" || source === "parallel") announce(count.textContent);
    clear.hidden = filter.empty;
    replace(
      chips,
      [...filter.conditions].map(([key, condition]) => {
        const column = study.columns.get(key);
        const text = column ? told(column, condition) : key;
        const remove = () => filter.set(key, null);
        return h("li", {}, h("button", { type: "button", class: "chip", "aria-label": words.filter.remove(text), onclick: remove }, text, h("span", { "aria-hidden": "true" }, " ×")));
      }),
    );
    form.update();
  };
  return { element, update };
}

function conditionForm(page) {
  const select = h("select", { id: "filter-column", onchange: () => show() });
  const value = h("span", { class: "filter-value" });
  const problem = h("span", { class: "problem", role: "alert" });
  let offered = "";
  let read = () => null;

  const show = () => {
    const column = page.study.columns.get(select.value);
    problem.textContent = "";
    if (column.kind === "choice") {
      const texts = h("select", { "aria-label": words.filter.value }, column.texts.map((text) => h("option", {}, text)));
      read = () => ({ texts: new Set([texts.value]) });
      replace(value, texts);
    } else {
      const low = h("input", { type: "text", inputmode: "decimal", size: 7, placeholder: words.filter.low, "aria-label": words.filter.low });
      const high = h("input", { type: "text", inputmode: "decimal", size: 7, placeholder: words.filter.high, "aria-label": words.filter.high });
      read = () => range(low.value, high.value);
      replace(value, low, high);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    const condition = read();
    problem.textContent = condition ? "" : words.filter.noNumber;
    if (condition) page.filter.set(select.value, condition);
  };
  const element = h(
    "form",
    { class: "filter-form", onsubmit: submit },
    h("label", { for: "filter-column" }, words.filter.title),
    select,
    value,
    h("button", { type: "submit" }, words.filter.add),
    problem,
  );
  const update = () => {
    const columns = filterable(page.study);
    const offering = columns.map((column) => `${column.key} ${column.texts?.length ?? ""}`).join("\n");
    if (offering === offered) return;
    offered = offering;
    const before = select.value;
    replace(select, columns.map((column) => h("option", { value: column.key, selected: column.key === before }, labelOf(column))));
    show();
  };
  return { element, update };
}

function filterable(study) {
  const own = ["state", "worker", "seconds", "number", ...(study.constrained ? ["feasible"] : []), "phase"];
  return [...study.metrics, ...study.parameters, ...own.map((key) => study.columns.get(key))].filter(
    (column) => column.kind === "number" || column.texts.length > 0,
  );
}

function range(low, high) {
  const read = (text, otherwise) => (text.trim() === "" ? otherwise : Number(text.trim().replace(",", ".").replace("−", "-")));
  const found = [read(low, -Infinity), read(high, Infinity)];
  const given = low.trim() !== "" || high.trim() !== "";
  return given && !found.some(Number.isNaN) && found[0] <= found[1] ? { ranges: [found] } : null;
}
