// One chart of the page: drawn by ECharts when it comes into view, again when it is stale, and usable by keyboard.

import { init } from "tuning/echarts.js";
import { announce, h } from "tuning/dom.js";
import { brief, shortened } from "tuning/format.js";
import { colour, onThemeChange } from "tuning/theme.js";
import { words } from "tuning/words.js";

const charts = new Set();
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = entry.target.chart;
    chart.visible = entry.isIntersecting;
    if (chart.visible) chart.refresh();
  }
}, { rootMargin: "300px" });
const sized = new ResizeObserver((entries) => {
  for (const entry of entries) entry.target.chart.resized();
});

window.addEventListener("beforeprint", () => {
  for (const chart of charts) if (chart.stale) chart.render();
});

const FRAME = 12; // milliseconds of a frame that may go into drawing; what is left over waits for the next
const queue = new Set();

function wanted(chart) {
  if (!queue.size) requestAnimationFrame(drawQueue);
  queue.add(chart);
}

function drawQueue() {
  const began = performance.now();
  for (const chart of queue) {
    queue.delete(chart);
    chart.render();
    if (performance.now() - began > FRAME) break;
  }
  if (queue.size) requestAnimationFrame(drawQueue);
}

onThemeChange(() => {
  for (const chart of charts) {
    chart.dispose();
    chart.invalidate();
  }
});

/**
 * `draw(width)` gives {option, height, told, points}: ECharts' option, pixels, what a screen reader is told, and
 * [{trial, series, index}] for the arrow keys to walk through, where a trial may be in several series;
 * `after(instance)` is called once it is drawn. `open(trial)` is called for a click or Enter.
 * `tip(trial)` gives the element that a pointer sees. `reserve` pixels are kept free until it is drawn.
 */
export class Chart {
  constructor({ draw, open = null, tip = null, prepare = null, reserve = 300 }) {
    Object.assign(this, { draw, open, tip, prepare, visible: false, stale: true, at: -1, points: [], width: 0 });
    this.place = h("div", { class: "chart-canvas" });
    this.element = h("div", { class: "chart", role: "img", style: { "min-height": `${reserve}px` } }, this.place);
    this.element.chart = this;
    if (open) {
      this.element.tabIndex = 0;
      this.element.setAttribute("role", "application");
      this.element.setAttribute("aria-roledescription", words.charts.role);
      this.element.addEventListener("keydown", (event) => this.#key(event));
      this.element.addEventListener("blur", () => this.#leave());
    }
    charts.add(this);
    seen.observe(this.element);
    sized.observe(this.element);
  }

  /** What it shows has changed. */
  invalidate() {
    this.stale = true;
    this.refresh();
  }

  refresh() {
    if (this.visible && this.stale) wanted(this);
  }

  resized() {
    if (Math.abs(this.element.clientWidth - this.width) > 1) this.invalidate();
  }

  dispose() {
    this.instance?.dispose();
    this.instance = null;
  }

  /** It is no longer on the page. */
  remove() {
    this.dispose();
    charts.delete(this);
    queue.delete(this);
    seen.unobserve(this.element);
    sized.unobserve(this.element);
    this.element.remove();
  }

  render() {
    const width = this.element.clientWidth;
    if (!width) return;
    this.width = width;
    this.stale = false;
    const drawn = this.draw(width);
    this.element.hidden = !drawn;
    if (!drawn) return;
    const { option, height, told, points = [], after } = drawn;
    this.element.style.minHeight = "0";
    this.points = points;
    if (this.at >= points.length) this.at = -1;
    this.place.style.height = `${height}px`;
    if (!this.instance) {
      this.instance = init(this.place, null, { renderer: "canvas" });
      this.instance.on("click", (event) => this.#clicked(event));
      this.prepare?.(this.instance);
    }
    this.instance.resize({ width, height, silent: true });
    this.instance.setOption({ ...base(), ...option, ...(this.tip ? { tooltip: this.#tooltip() } : {}) }, { notMerge: true });
    after?.(this.instance);
    this.element.setAttribute("aria-label", this.open ? `${told} ${words.charts.hint}` : told);
  }

  #tooltip() {
    return {
      trigger: "item",
      confine: true,
      className: "tip",
      backgroundColor: colour("card"),
      borderColor: colour("line"),
      padding: 0,
      transitionDuration: 0,
      formatter: ({ data }) => this.tip(trialOf(data)),
    };
  }

  #clicked({ data }) {
    const trial = trialOf(data);
    if (trial !== null && this.open) this.open(trial);
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const jump = { Home: 0, End: this.points.length - 1 }[event.key];
    if ((step || jump !== undefined) && this.points.length) {
      event.preventDefault();
      this.#leave();
      this.at = jump ?? (this.at + step + this.points.length) % this.points.length;
      const { series, index, trial } = this.points[this.at];
      this.instance?.dispatchAction({ type: "highlight", seriesIndex: series, dataIndex: index });
      this.instance?.dispatchAction({ type: "showTip", seriesIndex: [series].flat()[0], dataIndex: index });
      announce(this.tip?.(trial)?.innerText ?? words.trial(trial));
    } else if (event.key === "Enter" && this.points[this.at]) {
      event.preventDefault();
      this.open(this.points[this.at].trial);
    } else if (event.key === "Escape") {
      this.#leave();
    }
  }

  #leave() {
    this.instance?.dispatchAction({ type: "downplay" });
    this.instance?.dispatchAction({ type: "hideTip" });
  }
}

/** The last entry of a datum is its trial's number. */
function trialOf(data) {
  const value = Array.isArray(data) ? data : data?.value;
  const trial = data?.trial ?? (Array.isArray(value) ? value.at(-1) : undefined);
  return Number.isInteger(trial) ? trial : null;
}

function base() {
  return {
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12, color: colour("soft") },
  };
}

/** An axis in the page's style. `kind` is value, log or category; `range` is [least, largest], cut where it may be odd. */
export function axis(kind, { name = "", whole = false, range = null, labels = {}, ...more } = {}) {
  return {
    type: kind,
    name: shortened(name, 40),
    nameLocation: "middle",
    nameTextStyle: { color: colour("soft"), fontSize: 12 },
    axisLine: { show: true, lineStyle: { color: colour("line-strong") } },
    axisTick: { show: kind !== "category", lineStyle: { color: colour("line-strong") } },
    splitLine: { show: kind !== "category", lineStyle: { color: colour("line") } },
    minorTick: { show: false },
    axisLabel: {
      color: colour("soft"),
      fontSize: 11.5,
      hideOverlap: true,
      ...(kind === "category" ? {} : { formatter: (value) => brief(value) }),
      ...(range ? { showMinLabel: false, showMaxLabel: false } : {}),
      ...labels,
    },
    ...(range ? { min: range[0], max: range[1] } : {}),
    ...(whole ? { minInterval: 1 } : {}),
    ...more,
  };
}

/** What names an upright axis above its end: beside it, its numbers would be in the way. */
export function nameAbove() {
  return { nameLocation: "end", nameGap: 10, nameTextStyle: { color: colour("soft"), fontSize: 12, align: "left", padding: [0, 0, 0, -18] } };
}

/** The axis of a column of a study: logarithmic, whole numbers, or its texts. */
export function columnAxis(column, more = {}) {
  if (column.kind === "choice") {
    const texts = column.texts.map((text) => shortened(text, 16));
    return axis("category", { name: column.label, data: column.texts, labels: { formatter: (_, index) => texts[index] }, ...more });
  }
  const values = column.values.filter((value) => Number.isFinite(value));
  const log = column.log && values.every((value) => value > 0);
  const [low, high] = extent(values);
  const alone = low === high;
  if (log) {
    const [min, max] = alone ? [low / 10, low * 10] : [low, high];
    const powers = max / min >= 100 ? { showMinLabel: false, showMaxLabel: false } : {}; // odd ends would crowd them
    return axis("log", { name: column.label, min, max, labels: powers, ...more });
  }
  return axis("value", { name: column.label, whole: column.whole, scale: true, ...(alone ? { min: low - 1, max: high + 1 } : {}), ...more });
}

/** [least, largest] without a limit on how many. */
export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Of a scatter series in one style: thousands of dots are drawn at once. */
export const manyDots = { large: true, largeThreshold: 2500, progressive: 0 };

const FOR_FOCUS = 10;

/** The range of an axis that the worst tenth of the trials would squeeze; null where all can be shown. */
export function focus(values, sign) {
  const finite = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  if (finite.length < FOR_FOCUS) return null;
  const tenth = Math.floor(finite.length / 10);
  const [low, high] = sign > 0 ? [finite[tenth], finite.at(-1)] : [finite[0], finite.at(-1 - tenth)];
  if (high <= low || finite.at(-1) - finite[0] < 3 * (high - low)) return null;
  const margin = (high - low) * 0.08;
  return [low - margin, high + margin];
}

/** A list of at most so many trials: the best third as they are, the others evenly over the rest, by their numbers. */
export function sampled(found, most, goodness) {
  if (found.length <= most) return [...found];
  const ordered = [...found].sort((a, b) => (goodness[b] || 0) - (goodness[a] || 0));
  const best = Math.floor(most / 3);
  const rest = ordered.slice(best);
  const step = rest.length / (most - best);
  const others = Array.from({ length: most - best }, (_, index) => rest[Math.floor(index * step)]);
  return [...ordered.slice(0, best), ...others].sort((a, b) => a - b);
}
