// How an objective improved, trial by trial.

import { card, key } from "tuning/card.js";
import { axis, Chart, focus, manyDots } from "tuning/chart.js";
import { choose, toggle } from "tuning/dom.js";
import { number } from "tuning/format.js";
import { colour } from "tuning/theme.js";
import { words } from "tuning/words.js";

export function historyPanel(page) {
  let chosen = 0;
  let everything = false;
  const chart = new Chart({ draw, open: page.open, tip: page.tip });
  const showAll = toggle(words.charts.all, false, (on) => {
    everything = on;
    chart.invalidate();
  });
  const { study } = page;
  const controls = [
    study.objectives.length > 1 &&
      choose(words.charts.objective, study.objectives.map(({ name }, index) => [String(index), name]), "0", (value) => {
        chosen = Number(value);
        update();
      }),
    showAll,
  ];
  const marks = key([
    { colour: "best", shape: "line", text: words.charts.legendBest },
    { colour: "accent", shape: "dot", text: words.states.complete },
    ...(study.constrained ? [{ colour: "soft", shape: "ring", text: words.charts.legendInfeasible }] : []),
  ]);
  const { element, head } = card("history", { about: words.history.about, controls }, chart.element, marks);

  function update() {
    head(words.history.title(study.objectives[chosen].name));
    chart.invalidate();
  }

  function draw(width) {
    const { name } = study.objectives[chosen];
    const values = study.objective(chosen).values;
    const frame = focus(study.complete.map((trial) => values[trial]), study.sign(chosen));
    showAll.hidden = frame === null;
    const steps = study.bestSoFar(chosen);
    const last = study.count - 1;
    const line = steps.length ? [...steps, [Math.max(last, steps.at(-1)[0]), steps.at(-1)[1]]] : [];
    const groups = [[], [], []];
    for (const trial of study.complete) {
      groups[!page.mask[trial] ? 0 : study.feasible(trial) ? 2 : 1].push([trial, values[trial], trial]);
    }
    const dots = (data, style, extra = {}) => ({ type: "scatter", data, symbolSize: groups[2].length > 2000 ? 4 : 7, itemStyle: style, ...manyDots, ...extra });
    const order = study.complete.filter((trial) => page.mask[trial] && study.feasible(trial));
    return {
      height: width < 500 ? 260 : 320,
      told: steps.length
        ? `${words.history.about} ${words.history.told(name, study.complete.length, number(steps.at(-1)[1]), steps.at(-1)[0])}`
        : words.history.none(name),
      points: order.map((trial, index) => ({ trial, series: 2, index })),
      option: {
        grid: { left: 4, right: 16, top: 14, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
        xAxis: axis("value", { name: words.charts.trial, whole: true, min: 0, max: Math.max(last, 1), nameGap: 26 }),
        yAxis: axis("value", { scale: true, range: everything ? null : frame, axisLine: { show: false }, axisTick: { show: false } }),
        series: [
          dots(groups[0], { color: colour("faint") }, { z: 1 }),
          dots(groups[1], { color: "transparent", borderColor: colour("soft"), borderWidth: 1.2 }, { z: 2 }),
          dots(groups[2], { color: colour("accent"), opacity: groups[2].length > 300 ? 0.55 : 0.8 }, { z: 3, emphasis: { scale: 1.8, itemStyle: { opacity: 1, borderColor: colour("ink"), borderWidth: 1.5 } } }),
          { type: "line", step: "end", data: line, symbol: "none", silent: true, z: 4, lineStyle: { color: colour("best"), width: 2.25 } },
        ],
      },
    };
  }
  return { element, update };
}
