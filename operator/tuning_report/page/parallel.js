// All parameters and metrics side by side; a stretch of an axis that is dragged over filters the whole page.

import { card } from "tuning/card.js";
import { Chart, columnAxis, extent, focus, sampled } from "tuning/chart.js";
import { h, replace } from "tuning/dom.js";
import { shortened } from "tuning/format.js";
import { colour, ramp } from "tuning/theme.js";
import { words } from "tuning/words.js";

const MOST_LINES = 1500;
const AXES = 10; // at first; more can be chosen
const NARROW = 700; // pixels: below, axes lie one under the other
const ROW = 58;

export function parallelPanel(page) {
  const chosen = new Set();
  let frames = new Map(); // of objectives: the worst trials are drawn at the end of the axis
  const known = new Set();
  const boxes = h("div", { class: "boxes" });
  const summary = h("summary", {});
  const picker = h("details", { class: "picker" }, summary, boxes);
  const sample = h("p", { class: "remark" });
  const chart = new Chart({ draw, prepare: listen, reserve: 380 });
  const legend = rampLegend();
  const { element, head } = card("parallel", { about: words.parallel.about, controls: [picker] }, chart.element, legend, sample);

  function update(source) {
    head(words.parallel.title);
    offer();
    if (source !== "parallel") chart.invalidate();
  }

  /** New columns are shown while there is room for them. */
  function offer() {
    const { study } = page;
    const columns = available();
    const objectives = new Set(study.objectives.map(({ name }) => `metric:${name}`));
    for (const column of columns) {
      if (known.has(column.key)) continue;
      known.add(column.key);
      if (objectives.has(column.key) || chosen.size < AXES) chosen.add(column.key);
    }
    summary.textContent = `${words.parallel.axes}: ${words.parallel.chosen(axes().length, columns.length)}`;
    if (boxes.childElementCount === columns.length) return;
    replace(
      boxes,
      columns.map((column) => {
        const onchange = (event) => {
          if (event.target.checked) chosen.add(column.key);
          else chosen.delete(column.key);
          update();
        };
        return h("label", {}, h("input", { type: "checkbox", checked: chosen.has(column.key), onchange }), column.label);
      }),
    );
  }

  function available() {
    const { study } = page;
    return [...study.parameters.filter((column) => varies(column, study.complete)), ...study.metrics.filter((column) => varies(column, study.complete))];
  }

  function axes() {
    return available().filter((column) => chosen.has(column.key));
  }

  function listen(instance) {
    instance.on("axisareaselected", (event) => {
      const found = axes()[event.parallelAxisIndex ?? axes().findIndex((column) => column.key === event.parallelAxisId)];
      if (!found || event.ours) return;
      page.filter.set(found.key, condition(found, event.intervals ?? [], frames.get(found.key)), "parallel");
    });
  }

  function draw(width) {
    const { study, mask } = page;
    const columns = axes();
    if (columns.length < 2 || study.complete.length < 2) {
      element.hidden = true;
      return { height: 0, told: "", option: {} };
    }
    element.hidden = false;
    frames = framesOf(study);
    const goodness = study.goodness[0];
    const paint = ramp();
    const passing = study.complete.filter((trial) => mask[trial]);
    const others = study.complete.filter((trial) => !mask[trial]);
    const shown = sampled(passing, MOST_LINES, goodness);
    const rest = sampled(others, Math.max(0, MOST_LINES - shown.length), goodness);
    sample.hidden = shown.length === passing.length;
    sample.textContent = words.charts.sample(shown.length, passing.length);
    shown.sort((a, b) => goodness[a] - goodness[b]);
    const upright = width >= NARROW;
    const clear = Math.min(0.85, 6 / Math.sqrt(shown.length));
    const value = (column, trial) => {
      const found = column.values[trial];
      if (!column.has(trial) || !Number.isFinite(found)) return "-";
      const [low, high] = frames.get(column.key) ?? [-Infinity, Infinity];
      return Math.min(Math.max(found, low), high);
    };
    const line = (trial, lineStyle) => ({ value: [...columns.map((column) => value(column, trial)), trial], lineStyle });
    const best = study.head.best;
    return {
      height: upright ? 380 : columns.length * ROW + 40,
      told: words.parallel.told(passing.length, columns.map((column) => column.label).join(", ")),
      option: {
        parallel: {
          layout: upright ? "horizontal" : "vertical",
          left: upright ? 36 : 16,
          right: upright ? 48 : 20,
          top: upright ? 48 : 30,
          bottom: upright ? 20 : 26,
          axisExpandable: false,
        },
        parallelAxis: columns.map((column, dim) => parallelAxis(column, dim, { upright, last: dim === columns.length - 1, room: width / columns.length })),
        series: [
          { type: "parallel", silent: true, z: 1, lineStyle: { color: colour("faint"), opacity: 0.35, width: 1 }, data: rest.map((trial) => line(trial)) },
          {
            type: "parallel",
            silent: true,
            z: 2,
            inactiveOpacity: 0.06,
            activeOpacity: clear,
            lineStyle: { width: 1.2, opacity: clear },
            progressive: 400,
            data: shown.map((trial) => line(trial, { color: paint(goodness[trial]) })),
          },
          {
            type: "parallel",
            silent: true,
            z: 3,
            lineStyle: { width: 2.5, opacity: 1, color: colour("best") },
            data: best !== null && mask[best] ? [line(best)] : [],
          },
        ],
      },
      after: (instance) => restore(instance, columns),
    };
  }

  /** The stretches that the filter already has, on the axes that were drawn anew. */
  function restore(instance, columns) {
    columns.forEach((column, index) => {
      const set = page.filter.conditions.get(column.key);
      if (!set) return;
      instance.dispatchAction({ type: "axisAreaSelect", parallelAxisIndex: index, intervals: intervals(column, set, frames.get(column.key)), ours: true });
    });
  }

  function parallelAxis(column, dim, { upright, last, room }) {
    const frame = frames.get(column.key);
    const base = columnAxis(column, frame ? { min: frame[0], max: frame[1] } : {});
    const letters = upright ? Math.max(6, Math.floor(room / 7)) : 40;
    const long = column.label.length * 7 > 64; // it would reach over the chart's side
    const side = !long ? {} : dim === 0 ? { align: "left", padding: [0, 0, 0, -30] } : last ? { align: "right", padding: [0, -40, 0, 0] } : {};
    return {
      ...base,
      dim,
      id: column.key,
      name: shortened(column.label, letters),
      nameLocation: upright ? "end" : "start",
      nameGap: upright ? 14 : 0,
      nameTextStyle: upright
        ? { color: colour("ink"), fontSize: 12, fontWeight: 600, ...side }
        : { color: colour("ink"), fontSize: 12, fontWeight: 600, align: "left", verticalAlign: "bottom", padding: [0, 0, 8, 0] },
      splitLine: { show: false },
      axisLine: { show: true, lineStyle: { color: colour("line-strong"), width: 1 } },
      axisLabel: { ...base.axisLabel, color: colour("soft"), fontSize: 11, textBorderColor: colour("card"), textBorderWidth: 3, showMinLabel: !frame, showMaxLabel: !frame, ...(upright ? {} : { alignMinLabel: "left", alignMaxLabel: "right" }) },
      areaSelectStyle: { width: 18, borderWidth: 1, borderColor: colour("best"), color: colour("best"), opacity: 0.25 },
      realtime: page.study.count <= 2000,
    };
  }
  return { element, update };
}

function varies(column, trials) {
  let first;
  for (const trial of trials) {
    if (!column.has(trial)) continue;
    if (first === undefined) first = column.values[trial];
    else if (column.values[trial] !== first) return true;
  }
  return false;
}

function framesOf(study) {
  const frame = (column, index) => focus(study.complete.map((trial) => column.values[trial]), study.sign(index));
  const found = study.objectives.map((_, index) => [study.objective(index).key, frame(study.objective(index), index)]);
  return new Map(found.filter(([, range]) => range));
}

/** An axis of texts counts its places from 0; what lies beyond an axis counts to its end. */
function condition(column, found, frame = [-Infinity, Infinity]) {
  if (!found.length) return null;
  if (column.kind === "number") {
    const whole = ([low, high]) => [low <= frame[0] ? -Infinity : low, high >= frame[1] ? Infinity : high];
    return { ranges: found.map(([a, b]) => whole([Math.min(a, b), Math.max(a, b)])) };
  }
  const texts = column.texts.filter((_, place) => found.some(([low, high]) => place >= Math.min(low, high) - 0.5 && place <= Math.max(low, high) + 0.5));
  return texts.length ? { texts: new Set(texts) } : null;
}

function intervals(column, { ranges, texts }, frame) {
  if (ranges) {
    const [low, high] = frame ?? extent(column.values.filter((value) => Number.isFinite(value)));
    return ranges.map(([from, to]) => [Math.max(from, low), Math.min(to, high)]);
  }
  return column.texts.flatMap((text, place) => (texts.has(text) ? [[place - 0.3, place + 0.3]] : []));
}

/** From worst to best. */
export function rampLegend() {
  return h("p", { class: "ramp" }, words.charts.worst, h("span", { class: "ramp-bar", "aria-hidden": "true" }), words.charts.best, h("span", { class: "soft" }, ` · ${words.charts.byRank}`));
}
