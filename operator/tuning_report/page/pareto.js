// The trials that no other beats: a chart for each pair of objectives, with the same trial marked in all of them.

import { card, key } from "tuning/card.js";
import { axis, Chart, focus, manyDots, nameAbove } from "tuning/chart.js";
import { toggle } from "tuning/dom.js";
import { colour } from "tuning/theme.js";
import { words } from "tuning/words.js";

const GAP = 18;
const GROUPS = 4; // series of each chart

export function paretoPanel(page) {
  const { study } = page;
  const objectives = study.objectives.map((_, index) => index);
  const pairs = objectives.flatMap((x) => objectives.slice(x + 1).map((y) => [x, y]));
  let everything = false;
  const chart = new Chart({ draw, open: page.open, tip: page.tip, prepare: link });
  const showAll = toggle(words.charts.all, false, (on) => {
    everything = on;
    chart.invalidate();
  });
  const marks = key([
    { colour: "best", shape: "dot", text: words.pareto.front },
    { colour: "accent", shape: "dot", text: words.pareto.dominated },
    ...(study.constrained ? [{ colour: "soft", shape: "ring", text: words.pareto.infeasible }] : []),
  ]);
  const about = pairs.length > 1 ? `${words.pareto.about} ${words.pareto.pairs}` : words.pareto.about;
  const { element, head } = card("pareto", { about, controls: [showAll] }, chart.element, marks);

  function update() {
    head(words.pareto.title);
    chart.invalidate();
  }

  /** What is under the pointer in one chart is marked in all: their data are in one order. */
  function link(instance) {
    const others = (event) => pairs.map((_, pair) => ({ seriesIndex: pair * GROUPS + (event.seriesIndex % GROUPS), dataIndex: event.dataIndex }));
    instance.on("mouseover", (event) => instance.dispatchAction({ type: "highlight", batch: others(event) }));
    instance.on("mouseout", (event) => instance.dispatchAction({ type: "downplay", batch: others(event) }));
  }

  function draw(width) {
    const columns = pairs.length === 1 || width < 640 ? 1 : pairs.length === 3 && width >= 900 ? 3 : 2;
    const rows = Math.ceil(pairs.length / columns);
    const rowHeight = pairs.length === 1 ? Math.min(420, Math.max(280, width * 0.5)) : 290;
    const cellWidth = (width - (columns - 1) * GAP) / columns;
    const frames = objectives.map((index) => focus(study.complete.map((trial) => study.objective(index).values[trial]), study.sign(index)));
    showAll.hidden = frames.every((frame) => frame === null);
    const groups = [[], [], []]; // outside the filter or infeasible, dominated, front
    const infeasible = [];
    for (const trial of study.complete) {
      if (!page.mask[trial]) groups[0].push(trial);
      else if (!study.feasible(trial)) infeasible.push(trial);
      else groups[study.front.has(trial) ? 2 : 1].push(trial);
    }
    const front = study.head.front.filter((trial) => page.mask[trial]);
    const range = (index) => (everything ? null : frames[index]);
    const option = { grid: [], xAxis: [], yAxis: [], series: [] };
    pairs.forEach(([x, y], pair) => {
      const place = { column: pair % columns, row: Math.floor(pair / columns) };
      option.grid.push({
        left: place.column * (cellWidth + GAP) + 4,
        top: place.row * (rowHeight + GAP) + 28,
        width: cellWidth - 16,
        height: rowHeight - 32,
        outerBoundsMode: "same",
        outerBoundsContain: "all",
      });
      option.xAxis.push(axis("value", { name: titled(x), scale: true, gridIndex: pair, nameGap: 26, range: range(x) }));
      option.yAxis.push(axis("value", { name: titled(y), scale: true, gridIndex: pair, ...nameAbove(), range: range(y) }));
      const xs = study.objective(x).values;
      const ys = study.objective(y).values;
      const dots = (found, itemStyle, more = {}) => ({
        type: "scatter",
        xAxisIndex: pair,
        yAxisIndex: pair,
        data: found.map((trial) => [xs[trial], ys[trial], trial]),
        symbolSize: 6,
        ...manyDots,
        itemStyle,
        emphasis: { scale: 1.9, itemStyle: { opacity: 1, borderColor: colour("ink"), borderWidth: 1.5 } },
        ...more,
      });
      option.series.push(
        dots(groups[0], { color: colour("faint") }),
        dots(infeasible, { color: "transparent", borderColor: colour("soft"), borderWidth: 1.2 }),
        dots(groups[1], { color: colour("accent"), opacity: 0.55 }, { z: 3 }),
        dots(front, { color: colour("best"), borderColor: colour("card"), borderWidth: 1 }, { z: 4, symbolSize: 9 }),
      );
    });
    return {
      height: rows * rowHeight + (rows - 1) * GAP,
      told: words.pareto.told(study.head.front.length, study.complete.length),
      points: front.map((trial, index) => ({ trial, series: pairs.map((_, pair) => pair * GROUPS + 3), index })),
      option,
    };
  }

  function titled(index) {
    const { name, direction } = study.objectives[index];
    return `${name} ${direction === "Maximize" ? "↑" : "↓"}`;
  }
  return { element, update };
}
