// What each parameter mattered, how sure that is, and what chance alone would say.

import { card } from "tuning/card.js";
import { axis, Chart } from "tuning/chart.js";
import { choose, h, replace } from "tuning/dom.js";
import { brief, shortened } from "tuning/format.js";
import { colour } from "tuning/theme.js";
import { words } from "tuning/words.js";

const ROW = 34;
const MOST = 12;
const END = 1.1; // of the axis; what chance reaches beyond it is drawn at its end

export function importancePanel(page) {
  const { study } = page;
  let chosen = 0;
  const chart = new Chart({ draw, reserve: 34 + ROW * Math.min(MOST, study.parameters.length) });
  const remark = h("p", { class: "remark" });
  const table = h("div", { class: "unseen" });
  const controls = study.objectives.length > 1 ? [
    choose(words.charts.objective, study.objectives.map(({ name }, index) => [String(index), name]), "0", (value) => {
      chosen = Number(value);
      update();
    }),
  ] : [];
  const { element, head } = card("importance", { about: words.importance.about, controls }, chart.element, remark, table);

  function update() {
    head(words.importance.title(study.objectives[chosen].name));
    const found = page.importances?.[chosen];
    const text = !found
      ? words.importance.pending
      : found.complete < found.least
        ? words.importance.few(found.complete, found.least)
        : !found.parameters.length
          ? words.importance.none
          : found.parameters.some(({ low, chance }) => low > chance)
            ? ""
            : words.importance.unclear;
    const more = (found?.parameters.length ?? 0) - MOST;
    remark.textContent = [text, more > 0 ? words.importance.more(more) : ""].join(" ").trim();
    remark.hidden = !remark.textContent;
    chart.element.hidden = !found?.parameters.length;
    if (found?.parameters.length) replace(table, spoken(found.parameters));
    chart.invalidate();
  }

  function spoken(parameters) {
    const names = words.importance.columns;
    return h(
      "table",
      {},
      h("thead", {}, h("tr", {}, Object.values(names).map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, parameters.map((entry) => h("tr", {}, Object.keys(names).map((name) => h("td", {}, typeof entry[name] === "number" ? brief(entry[name]) : entry[name]))))),
    );
  }

  function draw(width) {
    const found = page.importances?.[chosen];
    if (!found?.parameters.length) return null;
    const shown = found.parameters.slice(0, MOST);
    const conditional = ({ trials }) => (trials < found.complete ? ` · ${words.importance.conditional(trials)}` : "");
    const clear = ({ low, chance }) => low > chance;
    const longest = width < 500 ? 16 : 26;
    const labels = shown.map((entry) => shortened(entry.parameter, longest));
    const [ink, soft, strong, faint, best] = ["ink", "soft", "accent", "faint-accent", "best"].map(colour);
    return {
      height: shown.length * ROW + 34,
      told: words.importance.about,
      option: {
        grid: { left: 4, right: 20, top: 4, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
        tooltip: {
          trigger: "item",
          confine: true,
          className: "tip",
          backgroundColor: colour("card"),
          borderColor: colour("line"),
          padding: 0,
          formatter: ({ dataIndex }) => {
            const entry = shown[dataIndex];
            const text = words.importance.told(entry.parameter, brief(entry.value), brief(entry.low), brief(entry.high), brief(entry.chance));
            return h("div", { class: "tip-body" }, h("p", {}, text + conditional(entry)));
          },
        },
        xAxis: axis("value", { min: 0, max: END, interval: 0.25, labels: { showMaxLabel: false } }),
        yAxis: axis("category", {
          data: labels,
          inverse: true,
          axisLine: { show: false },
          labels: {
            color: ink,
            fontSize: 12.5,
            interval: 0,
            formatter: (label, index) => (conditional(shown[index]) && width >= 500 ? `{name|${label}}\n{soft|${words.importance.conditional(shown[index].trials)}}` : label),
            rich: { name: { color: ink, fontSize: 12.5, lineHeight: 15 }, soft: { color: soft, fontSize: 10.5, lineHeight: 13 } },
          },
        }),
        series: [
          {
            type: "bar",
            barWidth: 12,
            data: shown.map((entry) => ({ value: entry.value, itemStyle: { color: clear(entry) ? strong : faint, borderRadius: [0, 3, 3, 0] } })),
          },
          {
            type: "custom",
            silent: true,
            z: 5,
            data: shown.map((entry, index) => [entry.low, index, entry.high, Math.min(entry.chance, END)]),
            encode: { x: [0, 2, 3], y: 1 },
            renderItem: (_, api) => {
              const row = api.value(1);
              const [low, y] = api.coord([api.value(0), row]);
              const [high] = api.coord([api.value(2), row]);
              const [chance] = api.coord([api.value(3), row]);
              const line = (x1, y1, x2, y2, stroke, lineWidth) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth } });
              return {
                type: "group",
                children: [
                  line(low, y, high, y, ink, 1.25),
                  line(low, y - 4, low, y + 4, ink, 1.25),
                  line(high, y - 4, high, y + 4, ink, 1.25),
                  line(chance, y - 10, chance, y + 10, best, 2),
                ],
              };
            },
          },
        ],
      },
    };
  }
  return { element, update };
}
