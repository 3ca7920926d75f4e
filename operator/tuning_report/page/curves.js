// Intermediate reports of the trials, and where a pruner cut them.

import { card, key } from "tuning/card.js";
import { axis, Chart, extent, focus } from "tuning/chart.js";
import { toggle } from "tuning/dom.js";
import { colour } from "tuning/theme.js";
import { words } from "tuning/words.js";

const MOST = 400;

export function curvesPanel(page) {
  let everything = false;
  const chart = new Chart({ draw, open: page.open, tip: page.tip });
  const showAll = toggle(words.charts.all, false, (on) => {
    everything = on;
    chart.invalidate();
  });
  const marks = key([
    { colour: "best", shape: "line", text: words.curves.best },
    { colour: "accent", shape: "line", text: words.states.complete },
    { colour: "pruned", shape: "line", text: words.states.pruned },
    { colour: "running", shape: "line", text: words.states.running },
  ]);
  const { element, head } = card("curves", { about: words.curves.about, controls: [showAll] }, chart.element, marks);

  function update() {
    const { study } = page;
    element.hidden = study.curves.size === 0;
    const drawn = Math.min(MOST, study.curves.size);
    const all = Math.max(study.reports.all, study.curves.size);
    head(words.curves.title, drawn < all ? `${words.curves.about} ${words.curves.sample(drawn, all)}` : words.curves.about);
    chart.invalidate();
  }

  function draw(width) {
    const { study, mask } = page;
    const rank = (trial) => (study.state(trial) === "running" ? 2 : study.goodness[0][trial] || 0);
    const shown = [...study.curves.keys()].filter((trial) => mask[trial]).sort((a, b) => rank(b) - rank(a) || b - a).slice(0, MOST);
    shown.reverse();
    const { best } = study.head;
    if (best !== null && shown.includes(best)) shown.push(...shown.splice(shown.indexOf(best), 1));
    const finite = (points) => points.filter(([step, value]) => Number.isFinite(step) && Number.isFinite(value));
    const curves = shown.map((trial) => ({ trial, coords: finite(study.curves.get(trial)) })).filter(({ coords }) => coords.length);
    const values = curves.flatMap(({ coords }) => coords.map(([, value]) => value));
    const [first, last] = extent(curves.flatMap(({ coords }) => coords.map(([step]) => step)));
    const frame = focus(values, study.sign(0));
    showAll.hidden = frame === null;
    const [low, high] = frame && !everything ? frame : padded(extent(values));
    const clear = Math.max(0.15, Math.min(0.6, 5 / Math.sqrt(curves.length)));
    const style = { complete: ["accent", 1.2, clear], pruned: ["pruned", 1, Math.max(0.4, clear)], running: ["running", 1.6, 1], failed: ["failed", 1, 0.6], waiting: ["faint", 1, 0.5] };
    const line = ({ trial, coords }) => {
      const [name, thick, opacity] = trial === best ? ["best", 2.75, 1] : style[study.state(trial)];
      return { coords: coords.length > 1 ? coords : [coords[0], coords[0]], trial, lineStyle: { color: colour(name), width: thick, opacity } };
    };
    const whole = curves.every(({ coords }) => coords.every(([step]) => Number.isInteger(step)));
    return {
      height: width < 500 ? 260 : 320,
      told: words.curves.told(curves.length),
      points: curves.map(({ trial }, index) => ({ trial, series: 0, index })),
      option: {
        grid: { left: 4, right: 16, top: 14, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
        xAxis: axis("value", { name: words.charts.step, whole, min: first === Infinity ? 0 : first, max: last === first ? first + 1 : last === -Infinity ? 1 : last, nameGap: 26 }),
        yAxis: axis("value", { range: [low, high], axisLine: { show: false }, axisTick: { show: false } }),
        series: [
          { type: "lines", coordinateSystem: "cartesian2d", polyline: true, clip: true, data: curves.map(line), emphasis: { lineStyle: { width: 3, opacity: 1 } } },
          {
            type: "scatter",
            silent: true,
            symbolSize: 4,
            z: 3,
            data: curves.filter(({ trial }) => study.state(trial) === "pruned").map(({ coords }) => coords.at(-1)),
            itemStyle: { color: colour("pruned") },
          },
        ],
      },
    };
  }
  return { element, update };
}

function padded([low, high]) {
  if (low === Infinity) return [0, 1];
  const margin = (high - low) * 0.06 || 1;
  return [low - margin, high + margin];
}
