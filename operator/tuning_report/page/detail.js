// All about one trial, in a dialog at the side.

import { axis, Chart } from "tuning/chart.js";
import { announce, h, replace } from "tuning/dom.js";
import { duration } from "tuning/format.js";
import { cell } from "tuning/tip.js";
import { colour } from "tuning/theme.js";
import { words } from "tuning/words.js";

export function trialDialog(page) {
  const body = h("div", { class: "detail" });
  const title = h("h2", { id: "detail-title" });
  const icon = (label, sign, onclick) => h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick }, h("span", { "aria-hidden": "true" }, sign));
  const back = icon(words.detail.previous, "‹", () => show(now - 1));
  const forward = icon(words.detail.next, "›", () => show(now + 1));
  const close = icon(words.detail.close, "×", () => dialog.close());
  const dialog = h("dialog", { class: "side", "aria-labelledby": "detail-title", onclick: (event) => event.target === dialog && dialog.close() }, h("div", { class: "side-head" }, title, back, forward, close), body);
  let now = 0;
  let chart = null;
  dialog.addEventListener("close", () => drop());

  function drop() {
    chart?.remove();
    chart = null;
  }

  function show(trial) {
    const { study } = page;
    now = Math.min(Math.max(0, trial), study.count - 1);
    title.textContent = words.trial(now);
    back.disabled = now === 0;
    forward.disabled = now === study.count - 1;
    drop();
    replace(body, content(study, now));
    if (!dialog.open) dialog.showModal();
    body.scrollTop = 0;
  }

  function content(study, trial) {
    const state = study.state(trial);
    const own = (key) => study.columns.get(key);
    const badges = [
      h("span", { class: `state ${state}` }, words.states[state]),
      trial === study.head.best && h("span", { class: "state best" }, words.detail.isBest),
      study.front.has(trial) && h("span", { class: "state best" }, words.detail.inFront),
      !study.feasible(trial) && h("span", { class: "state failed" }, words.detail.infeasible),
    ];
    const about = [
      own("worker").has(trial) && [words.columns.worker, own("worker").text(trial)],
      own("phase").has(trial) && [words.columns.phase, own("phase").text(trial)],
      own("start").has(trial) && [words.detail.started, duration(own("start").values[trial])],
      own("seconds").has(trial) && [words.columns.seconds, duration(own("seconds").values[trial])],
    ].filter(Boolean);
    const metrics = study.metrics.filter((column) => column.has(trial)).map((column) => [column.label, cell(column, trial)]);
    const parameters = study.parameters.filter((column) => column.has(trial)).map((column) => [column.label, cell(column, trial)]);
    if (study.curves.get(trial)?.length > 1) chart = curve(study, trial);
    return [
      h("p", { class: "badges" }, badges),
      own("failure").has(trial) && [h("h3", {}, words.detail.failure), h("pre", { tabindex: "0" }, own("failure").text(trial))],
      own("traceback").has(trial) && [h("h3", {}, words.detail.traceback), h("pre", { tabindex: "0" }, own("traceback").text(trial))],
      metrics.length > 0 && [h("h3", {}, words.detail.metrics), pairs(metrics)],
      parameters.length > 0 && [h("h3", {}, words.detail.parameters, copyButton(() => study.values(trial))), pairs(parameters, "code")],
      chart && [h("h3", {}, words.detail.curve), chart.element],
      about.length > 0 && [h("h3", {}, words.detail.about), pairs(about)],
      own("attributes").has(trial) && [h("h3", {}, words.detail.attributes), h("pre", { tabindex: "0" }, indented(own("attributes").text(trial)))],
      page.log && state !== "waiting" && [h("h3", {}, words.detail.log), log(trial)],
    ];
  }

  /** What the trial has written, once it is asked for. */
  function log(trial) {
    const place = h("div", { "aria-live": "polite" });
    return replace(place, h("button", { type: "button", class: "plain", onclick: read }, words.detail.readLog));
    async function read() {
      try {
        const { lines, remark } = await page.log(trial);
        replace(place, remark && h("p", { class: "soft" }, remark), lines.length > 0 && h("pre", { tabindex: "0" }, lines.join("\n")));
      } catch (error) {
        replace(place, h("p", { class: "soft" }, error.message));
      }
    }
  }

  function curve(study, trial) {
    const coords = study.curves.get(trial);
    return new Chart({
      draw: () => ({
        height: 180,
        told: words.detail.curve,
        option: {
          grid: { left: 2, right: 12, top: 10, bottom: 2, outerBoundsMode: "same", outerBoundsContain: "all" },
          xAxis: axis("value", { name: words.charts.step, nameGap: 24, scale: true, whole: coords.every(([step]) => Number.isInteger(step)) }),
          yAxis: axis("value", { scale: true, splitNumber: 4, axisLine: { show: false } }),
          series: [{ type: "line", data: coords, symbolSize: 5, lineStyle: { color: colour("accent"), width: 2 }, itemStyle: { color: colour("accent") } }],
        },
      }),
    });
  }
  return { element: dialog, show };
}

export function pairs(entries, kind = "") {
  return h("dl", { class: `pairs ${kind}` }, entries.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export function copyButton(values) {
  const button = h("button", { type: "button", class: "plain copy", onclick: copy }, words.best.copy);
  async function copy() {
    const text = JSON.stringify(values(), null, 2);
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Files and plain HTTP have no clipboard in some browsers.
      const area = h("textarea", {}, text);
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = words.best.copied;
    announce(words.best.copied);
    setTimeout(() => (button.textContent = words.best.copy), 1500);
  }
  return button;
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
