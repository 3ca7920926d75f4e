// An objective over two parameters: interpolated between trials, and left open where none is near.

import { card } from "tuning/card.js";
import { Chart, columnAxis, extent, nameAbove, sampled } from "tuning/chart.js";
import { choose, h, replace } from "tuning/dom.js";
import { rampLegend } from "tuning/parallel.js";
import { colour, ramp } from "tuning/theme.js";
import { words } from "tuning/words.js";

const CELLS = 36; // a side
const MOST_POINTS = 800; // the work is cells × points
const NEAR = 0.18; // of an axis' length
const NEIGHBOURS = 6;

export function contourPanel(page) {
  let chosen = 0;
  let x = null;
  let y = null;
  const chart = new Chart({ draw, open: page.open, tip: page.tip });
  const controls = h("div", { class: "controls" });
  const { element, head, bar } = card("contour", { about: words.contour.about }, chart.element, rampLegend());
  bar.append(controls);
  let offered = "";

  function update() {
    const { study } = page;
    head(words.contour.title(study.objectives[chosen].name));
    const usable = study.parameters.filter((column) => new Set(study.complete.map((trial) => column.values[trial])).size > 1);
    element.hidden = usable.length < 2 || study.complete.length < 5;
    offer(usable);
    chart.invalidate();
  }

  /** At first the two that matter most, or the first two. */
  function offer(usable) {
    if (usable.length < 2) return;
    const ranked = page.importances?.[chosen]?.parameters.map((entry) => `parameter:${entry.parameter}`) ?? [];
    const keys = usable.map((column) => column.key);
    const offering = `${chosen} ${keys.join("\n")} ${ranked.length > 0}`;
    if (offering === offered) return;
    offered = offering;
    const [first, second] = [...ranked.filter((key) => keys.includes(key)), ...keys].filter((key, index, all) => all.indexOf(key) === index);
    [x, y] = [first, second];
    const options = usable.map((column) => [column.key, column.label]);
    replace(
      controls,
      page.study.objectives.length > 1 &&
        choose(words.charts.objective, page.study.objectives.map(({ name }, index) => [String(index), name]), String(chosen), (value) => {
          chosen = Number(value);
          update();
        }),
      choose(words.contour.x, options, x, (value) => {
        x = value;
        chart.invalidate();
      }),
      choose(words.contour.y, options, y, (value) => {
        y = value;
        chart.invalidate();
      }),
    );
  }

  function draw(width) {
    const { study, mask } = page;
    const columns = [study.columns.get(x), study.columns.get(y)];
    if (columns.some((column) => !column)) return { height: 0, told: "", option: {} };
    const goodness = study.goodness[chosen];
    const finite = (column, trial) => column.has(trial) && Number.isFinite(column.values[trial]);
    const having = sampled(study.complete, MOST_POINTS, goodness).filter((trial) => columns.every((column) => finite(column, trial)));
    const axes = columns.map((column) => scale(column, having));
    const paint = ramp();
    const cells = interpolated(axes, having.map((trial) => ({ at: columns.map((column, side) => axes[side].place(column.values[trial])), value: goodness[trial] })));
    const passing = having.filter((trial) => mask[trial]);
    const axisOf = (side, more) => {
      const shown = columnAxis(columns[side], more);
      return columns[side].kind === "choice" ? shown : { ...shown, min: axes[side].low, max: axes[side].high, splitLine: { show: false }, axisLabel: { ...shown.axisLabel, showMinLabel: false, showMaxLabel: false } };
    };
    return {
      height: Math.min(440, Math.max(300, width * 0.5)),
      told: words.contour.told(study.objectives[chosen].name, columns[0].label, columns[1].label),
      points: passing.map((trial, index) => ({ trial, series: 1, index })),
      option: {
        grid: { left: 4, right: 16, top: 30, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
        xAxis: axisOf(0, { nameGap: 26 }),
        yAxis: axisOf(1, { ...nameAbove(), splitLine: { show: false } }),
        series: [
          {
            type: "custom",
            silent: true,
            z: 1,
            clip: true,
            data: cells.map(({ from, to, value }) => [...from, ...to, value]),
            encode: { x: [0, 2], y: [1, 3] },
            renderItem: (_, api) => {
              const [left, bottom] = corner(api, axes, [api.value(0), api.value(1)], -0.5);
              const [right, top] = corner(api, axes, [api.value(2), api.value(3)], 0.5);
              const shape = { x: Math.round(left), y: Math.round(top), width: Math.round(right) - Math.round(left), height: Math.round(bottom) - Math.round(top) };
              return { type: "rect", shape, style: { fill: paint(api.value(4)) } };
            },
          },
          {
            type: "scatter",
            z: 3,
            symbolSize: passing.length > 300 ? 4 : 6,
            itemStyle: { color: colour("card"), borderColor: colour("ink"), borderWidth: 1 },
            emphasis: { scale: 1.8 },
            data: passing.map((trial) => [columns[0].values[trial], columns[1].values[trial], trial]),
          },
        ],
      },
    };
  }
  return { element, update };
}

/** Where in pixels; a text's cell reaches half a band to each side. */
function corner(api, axes, at, side) {
  const [x, y] = api.coord(at);
  const [width, height] = api.size([1, 1]);
  return [axes[0].texts ? x + side * width : x, axes[1].texts ? y - side * height : y];
}

/** How a column lies along its axis: `place` gives 0 to 1, or a text's index. */
function scale(column, trials) {
  if (column.kind === "choice") {
    return { texts: true, place: (code) => code, cells: column.texts.map((_, code) => ({ at: code, from: code, to: code })) };
  }
  const [low, high] = extent(trials.map((trial) => column.values[trial]));
  const log = column.log && low > 0;
  const onto = log ? Math.log : (value) => value;
  const back = log ? Math.exp : (value) => value;
  const [start, end] = low === high ? [onto(low) - 1, onto(low) + 1] : [onto(low), onto(high)];
  const edge = (index) => back(start + ((end - start) * index) / CELLS);
  return {
    texts: false,
    low: back(start),
    high: back(end),
    place: (value) => (onto(value) - start) / (end - start),
    cells: Array.from({ length: CELLS }, (_, index) => ({ at: (index + 0.5) / CELLS, from: edge(index), to: edge(index + 1) })),
  };
}

/** Cells with the mean of their nearest trials, the nearer the heavier; those of another text do not count. */
function interpolated(axes, points) {
  const cells = [];
  for (const across of axes[0].cells) {
    for (const up of axes[1].cells) {
      const near = [];
      for (const { at, value } of points) {
        const dx = axes[0].texts ? (at[0] === across.at ? 0 : Infinity) : at[0] - across.at;
        const dy = axes[1].texts ? (at[1] === up.at ? 0 : Infinity) : at[1] - up.at;
        const square = dx * dx + dy * dy;
        if (square <= NEAR * NEAR) near.push([square, value]);
      }
      if (!near.length) continue;
      near.sort((a, b) => a[0] - b[0]);
      let weights = 0;
      let sum = 0;
      for (const [square, value] of near.slice(0, NEIGHBOURS)) {
        const weight = 1 / (square + 1e-4);
        weights += weight;
        sum += weight * value;
      }
      cells.push({ from: [across.from, up.from], to: [across.to, up.to], value: sum / weights });
    }
  }
  return cells;
}
