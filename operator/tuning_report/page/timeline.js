// Who ran which trial when, and each worker's share.

import { card, key } from "tuning/card.js";
import { axis, Chart } from "tuning/chart.js";
import { h, replace } from "tuning/dom.js";
import { duration, shortened } from "tuning/format.js";
import { colour } from "tuning/theme.js";
import { words } from "tuning/words.js";

const MOST_ROWS = 60;

export function timelinePanel(page) {
  const chart = new Chart({ draw, open: page.open, tip: page.tip, reserve: 140 });
  const shares = h("div", { class: "shares" });
  const marks = key(["complete", "pruned", "failed", "running"].map((state) => ({ colour: state, shape: "bar", text: words.states[state] })));
  const { element, head } = card("timeline", {}, chart.element, marks, shares);

  function update() {
    const { study } = page;
    element.hidden = study.count === 0;
    head(words.timeline.title, study.head.asked.phases.length > 1 ? `${words.timeline.about} ${words.timeline.phases}` : words.timeline.about);
    const whole = study.head.workers.reduce((sum, worker) => sum + done(worker), 0) || 1;
    replace(shares, study.head.workers.filter((worker) => done(worker)).map((worker) => share(worker, whole)));
    chart.invalidate();
  }

  function draw(width) {
    const { study, mask } = page;
    const start = study.columns.get("start").values;
    const end = study.columns.get("end").values;
    const worker = study.columns.get("worker");
    const now = study.head.state === "Running" ? (Date.parse(study.head.written) - Date.parse(study.head.started)) / 1000 : 0;
    const begun = [];
    let latest = 0;
    for (let trial = 0; trial < study.count; trial++) {
      if (Number.isNaN(start[trial])) continue;
      begun.push(trial);
      latest = Math.max(latest, start[trial], end[trial] || 0);
    }
    if (begun.some((trial) => Number.isNaN(end[trial]))) latest = Math.max(latest, now);
    const names = [...worker.texts].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).slice(0, MOST_ROWS);
    if (begun.some((trial) => !worker.has(trial))) names.push(words.timeline.unknown);
    const rowOf = new Map(names.map((name, index) => [name, index]));
    const rowHeight = names.length > 24 ? 14 : 24;
    const bars = begun.flatMap((trial) => {
      const row = rowOf.get(worker.has(trial) ? worker.text(trial) : words.timeline.unknown);
      return row === undefined ? [] : [[start[trial], Number.isNaN(end[trial]) ? latest : end[trial], row, trial]];
    });
    const colours = Object.fromEntries(Object.keys(words.states).map((state) => [state, colour(state)]));
    const [faint, best, line] = ["faint", "best", "line"].map(colour);
    return {
      height: names.length * rowHeight + 44,
      told: words.timeline.told(names.length, bars.length),
      points: bars.map(([, , , trial], index) => ({ trial, series: 0, index })),
      option: {
        grid: { left: 4, right: 20, top: study.head.asked.phases.length > 1 ? 22 : 6, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
        xAxis: axis("value", { min: 0, max: latest || 1, interval: interval(latest, width), labels: { formatter: (seconds) => duration(seconds) } }),
        yAxis: axis("category", { data: names, inverse: true, axisLine: { show: false }, labels: { color: colour("ink"), fontSize: 12, interval: names.length > 24 ? "auto" : 0, formatter: (name) => shortened(name, width < 500 ? 12 : 24) } }),
        series: [
          {
            type: "custom",
            clip: true,
            data: bars,
            encode: { x: [0, 1], y: 2 },
            renderItem: (_, api) => {
              const [left, y] = api.coord([api.value(0), api.value(2)]);
              const [right] = api.coord([api.value(1), api.value(2)]);
              const trial = api.value(3);
              const height = rowHeight * 0.66;
              const room = right - left;
              const shape = { x: left, y: y - height / 2, width: Math.max(1, room > 4 ? room - 1 : room), height, r: room > 8 ? 2 : 0 };
              const fill = mask[trial] ? (trial === study.head.best ? best : colours[study.state(trial)]) : faint;
              return { type: "rect", shape, style: { fill }, emphasis: { style: { stroke: colour("ink"), lineWidth: 1.5 } } };
            },
            markLine: {
              silent: true,
              symbol: "none",
              lineStyle: { color: line, type: "solid", width: 1.5 },
              label: { color: colour("soft"), fontSize: 11, position: "start", distance: 4 },
              data: phases(study).map(({ name, at }, index, all) => ({ xAxis: at, label: { formatter: roomFor(all, index, latest, width) ? shortened(name, 12) : "" } })),
            },
          },
        ],
      },
    };
  }
  return { element, update };
}

/** Where each phase begins. */
function phases(study) {
  const phase = study.columns.get("phase");
  const start = study.columns.get("start").values;
  return phase.texts.flatMap((name, code) => {
    let at = Infinity;
    phase.values.forEach((value, trial) => {
      if (value === code && start[trial] < at) at = start[trial];
    });
    return at === Infinity ? [] : [{ name, at }];
  });
}

/** Seconds between two marks: a round number of seconds, minutes, hours or days. */
function interval(seconds, width) {
  const marks = Math.max(2, Math.floor(width / 130));
  const round = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  return round.find((step) => seconds / step <= marks) ?? (seconds > 86400 ? Math.ceil(seconds / marks / 86400) * 86400 : undefined);
}

/** Whether the name of a phase does not run into that of the one before. */
function roomFor(all, index, latest, width) {
  return index === 0 || ((all[index].at - all[index - 1].at) / (latest || 1)) * width > 70;
}

function done(worker) {
  return worker.complete + worker.pruned + worker.failed;
}

function share(worker, whole) {
  const states = ["complete", "pruned", "failed"];
  const part = (state) => h("span", { class: state, style: { "flex-grow": String(worker[state]) } });
  return h(
    "div",
    { class: "share" },
    h("span", { class: "share-name", title: worker.name }, worker.name),
    h("span", { class: "share-bar", "aria-hidden": "true" }, states.filter((state) => worker[state]).map(part)),
    h("span", { class: "number" }, `${words.trials(done(worker))} · ${Math.round((100 * done(worker)) / whole)}%`),
    h("span", { class: "unseen" }, states.map((state) => `${worker[state]} ${words.states[state]}`).join(", ")),
  );
}
