// How much of what is possible the Pareto set covers, as it grew.

import { card } from "tuning/card.js";
import { axis, Chart } from "tuning/chart.js";
import { number } from "tuning/format.js";
import { colour } from "tuning/theme.js";
import { words } from "tuning/words.js";

export function hypervolumePanel(page) {
  const { study } = page;
  const chart = new Chart({ draw, open: page.open, tip: page.tip });
  const { element, head } = card("hypervolume", { about: words.hypervolume.about }, chart.element);

  function update() {
    head(words.hypervolume.title);
    element.hidden = !study.head.hypervolume.length;
    chart.invalidate();
  }

  function draw(width) {
    const shares = study.head.hypervolume;
    const last = Math.max(study.count - 1, 1);
    const line = shares.length ? [...shares, [Math.max(last, shares.at(-1)[0]), shares.at(-1)[1]]] : [];
    return {
      height: width < 500 ? 220 : 260,
      told: shares.length ? words.hypervolume.told(number(shares.at(-1)[1]), shares.at(-1)[0]) : "",
      points: [],
      option: {
        grid: { left: 4, right: 16, top: 14, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
        xAxis: axis("value", { name: words.charts.trial, whole: true, min: 0, max: last, nameGap: 26 }),
        yAxis: axis("value", { min: 0, max: 1, axisLine: { show: false }, axisTick: { show: false } }),
        series: [{ type: "line", step: "end", data: line, symbol: "none", silent: true, lineStyle: { color: colour("best"), width: 2.25 } }],
      },
    };
  }
  return { element, update };
}
