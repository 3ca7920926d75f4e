// An objective by each parameter alone.

import { card } from "tuning/card.js";
import { axis, Chart, columnAxis, focus, sampled } from "tuning/chart.js";
import { choose, h, toggle } from "tuning/dom.js";
import { rampLegend } from "tuning/parallel.js";
import { colour, ramp } from "tuning/theme.js";
import { words } from "tuning/words.js";

const MOST_POINTS = 1500;

export function slicesPanel(page) {
  let chosen = 0;
  let everything = false;
  let shown = [];
  let frame = null;
  const charts = new Map();
  const grid = h("div", { class: "slices" });
  const sample = h("p", { class: "remark" });
  const showAll = toggle(words.charts.all, false, (on) => {
    everything = on;
    update();
  });
  const { objectives } = page.study;
  const controls = [
    objectives.length > 1 && choose(words.charts.objective, objectives.map(({ name }, index) => [String(index), name]), "0", (value) => {
      chosen = Number(value);
      update();
    }),
    showAll,
  ];
  const { element, head } = card("slices", { about: words.slices.about, controls }, grid, rampLegend(), sample);

  function update() {
    const { study } = page;
    head(words.slices.title(study.objectives[chosen].name));
    element.hidden = study.complete.length < 2 || !study.parameters.length;
    for (const { key } of study.parameters) {
      if (charts.has(key)) continue;
      const chart = new Chart({ draw: (width) => draw(key, width), open: page.open, tip: page.tip, reserve: 210 });
      charts.set(key, chart);
      grid.append(chart.element);
    }
    sample.hidden = study.complete.length <= MOST_POINTS;
    sample.textContent = words.charts.sample(MOST_POINTS, study.complete.length);
    const goodness = study.goodness[chosen];
    shown = sampled(study.complete, MOST_POINTS, goodness).sort((a, b) => goodness[a] - goodness[b]);
    frame = focusOf(study);
    showAll.hidden = frame === null;
    for (const chart of charts.values()) chart.invalidate();
  }

  function focusOf(study) {
    const values = study.objective(chosen).values;
    return focus(study.complete.map((trial) => values[trial]), study.sign(chosen));
  }

  function draw(key) {
    const { study, mask } = page;
    const column = study.columns.get(key);
    const values = study.objective(chosen).values;
    const goodness = study.goodness[chosen];
    const paint = ramp();
    const having = shown.filter((trial) => column.has(trial) && Number.isFinite(column.values[trial]));
    const passing = having.filter((trial) => mask[trial]);
    const point = (trial) => [column.values[trial], values[trial], trial];
    const jitter = column.kind === "choice" ? { jitter: 18, jitterOverlap: true } : {};
    return {
      height: 210,
      told: words.slices.told(study.objectives[chosen].name, column.label, passing.length),
      points: passing.toReversed().map((trial, index) => ({ trial, series: 1, index: passing.length - 1 - index })),
      option: {
        grid: { left: 2, right: 12, top: 10, bottom: 2, outerBoundsMode: "same", outerBoundsContain: "all" },
        xAxis: columnAxis(column, { nameGap: 24, splitNumber: 4, nameTextStyle: { color: colour("ink"), fontSize: 12, fontWeight: 600 }, ...jitter }),
        yAxis: axis("value", { scale: true, splitNumber: 4, axisLine: { show: false }, axisTick: { show: false }, range: everything ? null : frame }),
        series: [
          { type: "scatter", z: 1, symbolSize: 4, itemStyle: { color: colour("faint") }, data: having.filter((trial) => !mask[trial]).map(point) },
          {
            type: "scatter",
            z: 2,
            symbolSize: passing.length > 500 ? 4 : 6.5,
            emphasis: { scale: 1.8, itemStyle: { borderColor: colour("ink"), borderWidth: 1.5 } },
            data: passing.map((trial) => ({ value: point(trial), itemStyle: { color: paint(goodness[trial]) } })),
          },
        ],
      },
    };
  }
  return { element, update };
}
