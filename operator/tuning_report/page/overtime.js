// What was observed in production as lines over time, with the rounds that were begun meanwhile.

import { axis, Chart, extent } from "tuning/chart.js";
import { h } from "tuning/dom.js";
import { moment, number } from "tuning/format.js";
import { colour, palette } from "tuning/theme.js";
import { words } from "tuning/words.js";

const said = words.fleet;
const TIMES = { year: "{yyyy}", month: "{d} {MMM}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}", second: "{HH}:{mm}:{ss}" };

/** `points` are [time, value, samples], `rounds` those of the study. */
export function metricChart({ metric, points, rounds, servedSince }) {
  const levels = [metric.baseline, metric.level].filter((value) => value !== undefined).map(Number);
  return new Chart({ draw });

  function draw(width) {
    const [low, high] = padded(extent([...points.map(([, value]) => value), ...levels.filter(Number.isFinite)]));
    const judged = (time) => !servedSince || Date.parse(time) > Date.parse(servedSince);
    const line = (data, style) => ({ type: "line", data, symbol: data.length > 60 ? "none" : "circle", symbolSize: 5, silent: false, itemStyle: style, lineStyle: { ...style, width: 2 } });
    const before = points.filter(([time]) => !judged(time));
    const since = points.filter(([time]) => judged(time));
    return {
      height: width < 500 ? 220 : 260,
      told: said.metrics.told(metric.name, points.length, moment(points[0][0]), moment(points.at(-1)[0]), number(points.at(-1)[1])),
      option: {
        ...frame(),
        yAxis: axis("value", { range: [low, high], axisLine: { show: false }, axisTick: { show: false } }),
        series: [
          line([...before, ...since.slice(0, 1)], { color: colour("pruned"), opacity: 0.6 }),
          {
            ...line(since, { color: colour("accent") }),
            markLine: marks([
              ...level(metric.baseline, "best", "dashed"),
              ...level(metric.level, "failed", "dotted"),
              ...begun(rounds, points, width),
            ]),
          },
        ],
      },
    };
  }
}

/** `lines` are [{feature, points: [time, index]}]. */
export function driftChart({ lines, features, rounds }) {
  return new Chart({ draw });

  function draw(width) {
    const colours = palette();
    const thresholds = [...new Set(lines.flatMap(({ feature }) => features.filter(({ name }) => name === feature).map(({ threshold }) => threshold)))];
    const all = lines.flatMap(({ points }) => points);
    const [, high] = extent([...all.map(([, value]) => value), ...thresholds]);
    const times = all.map(([time]) => [time]).sort();
    const last = lines.map(({ feature, points }) => `${feature} ${number(Number(points.at(-1)[1].toPrecision(3)))}`);
    return {
      height: width < 500 ? 220 : 260,
      told: said.drift.told(last.join(", ")),
      option: {
        ...frame(),
        yAxis: axis("value", { min: 0, max: high * 1.12, labels: { showMaxLabel: false }, axisLine: { show: false }, axisTick: { show: false } }),
        series: lines.map(({ feature, points }, index) => ({
          type: "line",
          name: feature,
          data: points,
          symbol: points.length > 60 ? "none" : "circle",
          symbolSize: 5,
          itemStyle: { color: colours[index] },
          lineStyle: { color: colours[index], width: 2 },
          ...(index === 0 ? { markLine: marks([...thresholds.flatMap((value) => level(value, "failed", "dotted")), ...begun(rounds, times, width)]) } : {}),
        })),
      },
    };
  }
}

function frame() {
  return {
    grid: { left: 4, right: 16, top: 22, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
    xAxis: axis("time", { splitLine: { show: false }, labels: { formatter: TIMES } }),
    tooltip: {
      trigger: "axis",
      confine: true,
      className: "tip",
      backgroundColor: colour("card"),
      borderColor: colour("line"),
      padding: 0,
      transitionDuration: 0,
      axisPointer: { lineStyle: { color: colour("line-strong") } },
      formatter: pointed,
    },
  };
}

function pointed(found) {
  const [first] = found;
  const rows = found.map(({ seriesName, data: [, value, samples] }) => [h("dt", {}, seriesName.startsWith("series") ? said.metrics.observed : seriesName), h("dd", {}, number(value), samples ? ` · ${said.metrics.samples(samples)}` : "")]);
  return h("div", { class: "tip-body" }, h("p", {}, moment(first.data[0])), h("dl", {}, rows));
}

function marks(data) {
  return { symbol: "none", silent: true, animation: false, data };
}

function level(value, name, type) {
  const number = Number(value);
  return value === undefined || !Number.isFinite(number) ? [] : [{ yAxis: number, lineStyle: { color: colour(name), type, width: 1.5 }, label: { show: false } }];
}

const APART = 44; // pixels between the names of two rounds

/** A line where each round began that is within the time of the points, with its name where there is room. */
function begun(rounds, points, width) {
  const from = Date.parse(points[0][0]);
  const to = Date.parse(points.at(-1)[0]);
  const within = rounds.filter(({ startTime }) => startTime && Date.parse(startTime) >= from && Date.parse(startTime) <= to).sort((a, b) => Date.parse(a.startTime) - Date.parse(b.startTime));
  let named = -Infinity;
  return within.map(({ round, startTime }) => {
    const at = ((Date.parse(startTime) - from) / Math.max(1, to - from)) * width;
    const show = at - named >= APART;
    if (show) named = at;
    return { xAxis: startTime, lineStyle: { color: colour("soft"), type: "dotted", width: 1 }, label: { show, formatter: said.rounds.short(round), color: colour("soft"), fontSize: 11 } };
  });
}

function padded([low, high]) {
  const margin = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - margin, high + margin];
}
