// A study's document (tuning_report/document.py) as columns that can be read by trial, and what follows from them.

const ABSENT = 0xffff;
const FORMAT = 1;

function bytes(base64) {
  const text = atob(base64);
  const found = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) found[index] = text.charCodeAt(index);
  return new DataView(found.buffer);
}

function numbers(column) {
  const view = bytes(column.data);
  return Array.from({ length: view.byteLength / 8 }, (_, index) => view.getFloat64(index * 8, true));
}

function codes(column) {
  const view = bytes(column.data);
  return Array.from({ length: view.byteLength / 2 }, (_, index) => view.getUint16(index * 2, true));
}

/** One value for each trial, whose number is the index. */
class NumberColumn {
  kind = "number";

  constructor(key, label, { log = false, whole = false } = {}) {
    Object.assign(this, { key, label, log, whole, values: [] });
  }

  merge(column, rows) {
    numbers(column).forEach((value, index) => (this.values[rows[index]] = value));
  }

  pad(count) {
    for (let index = 0; index < count; index++) if (this.values[index] === undefined) this.values[index] = NaN;
  }

  has(trial) {
    return !Number.isNaN(this.values[trial]);
  }

  /** For sorting: numbers in their order. */
  order(trial) {
    return this.values[trial];
  }
}

/** One of a few texts for each trial; `values` are indices into `texts`, -1 where there is none. */
class ChoiceColumn {
  kind = "choice";

  constructor(key, label) {
    Object.assign(this, { key, label, texts: [], values: [], index: new Map() });
  }

  code(text) {
    if (!this.index.has(text)) {
      this.index.set(text, this.texts.length);
      this.texts.push(text);
    }
    return this.index.get(text);
  }

  merge(column, rows) {
    const own = column.values.map((text) => this.code(text));
    codes(column).forEach((code, index) => (this.values[rows[index]] = code === ABSENT ? -1 : own[code]));
  }

  pad(count) {
    for (let index = 0; index < count; index++) if (this.values[index] === undefined) this.values[index] = -1;
  }

  has(trial) {
    return this.values[trial] >= 0;
  }

  text(trial) {
    const code = this.values[trial];
    return code < 0 ? "" : this.texts[code];
  }

  order(trial) {
    return this.has(trial) ? this.text(trial) : NaN;
  }
}

const CHOICES = ["state", "feasible", "phase", "worker", "failure", "traceback", "attributes"];
const NUMBERS = ["number", "start", "end"];

export class Study {
  /** Raises for a document of another format. */
  constructor(document) {
    this.count = 0;
    this.columns = new Map();
    this.metrics = [];
    this.parameters = [];
    this.curves = new Map();
    this.reports = { told: 0, all: 0 };
    for (const key of NUMBERS) this.columns.set(key, new NumberColumn(key, key, { whole: key === "number" }));
    for (const key of CHOICES) this.columns.set(key, new ChoiceColumn(key, key));
    this.columns.set("seconds", new NumberColumn("seconds", "seconds"));
    this.apply(document);
    this.reports = { told: document.reports.told, all: document.reports.all };
  }

  /** Takes in the whole document, or changed trials; raises where only a whole document can help. */
  apply({ head, trials, reports }) {
    if (head.format !== FORMAT) throw new Error(`a document of format ${head.format}; this page reads ${FORMAT}`);
    this.head = head;
    this.objectives = head.asked.objectives;
    const rows = numbers(trials.number);
    for (const row of rows) this.count = Math.max(this.count, row + 1);
    for (const key of [...NUMBERS, ...CHOICES]) this.columns.get(key).merge(trials[key], rows);
    this.#merge(trials.metrics, this.metrics, "metric", rows);
    this.#merge(trials.parameters, this.parameters, "parameter", rows);
    this.#mergeReports(reports, rows);
    const start = this.columns.get("start").values;
    const end = this.columns.get("end").values;
    const seconds = this.columns.get("seconds").values;
    for (const row of rows) seconds[row] = end[row] - start[row];
    for (const column of this.columns.values()) column.pad(this.count);
    this.#derive();
  }

  #merge(given, known, group, rows) {
    for (const { name, column, log, whole } of given) {
      const key = `${group}:${name}`;
      let own = this.columns.get(key);
      if (own && own.kind !== column.kind) throw new Error(`${name} is of another kind now`);
      if (!own) {
        own = column.kind === "number" ? new NumberColumn(key, name, { log, whole }) : new ChoiceColumn(key, name);
        this.columns.set(key, own);
        known.push(own);
      }
      own.merge(column, rows);
    }
  }

  #mergeReports({ trial, step, value }, rows) {
    const trials = numbers(trial);
    const steps = numbers(step);
    const values = numbers(value);
    for (const row of rows) this.curves.delete(row);
    trials.forEach((row, index) => {
      if (!this.curves.has(row)) this.curves.set(row, []);
      this.curves.get(row).push([steps[index], values[index]]);
    });
  }

  #derive() {
    const state = this.columns.get("state");
    this.front = new Set(this.head.front);
    this.complete = [];
    for (let trial = 0; trial < this.count; trial++) if (state.text(trial) === "complete") this.complete.push(trial);
    this.goodness = this.objectives.map((_, index) => this.#goodness(index));
  }

  /** From 0, the worst complete trial, to 1, the best, by rank: one odd value does not squeeze all others. */
  #goodness(objective) {
    const values = this.objective(objective).values;
    const sign = this.sign(objective);
    const found = new Float64Array(this.count).fill(NaN);
    const ordered = [...this.complete].sort((a, b) => sign * (values[a] - values[b]));
    const last = Math.max(1, ordered.length - 1);
    ordered.forEach((trial, place) => {
      const before = ordered[place - 1];
      const tied = place > 0 && values[before] === values[trial];
      found[trial] = tied ? found[before] : ordered.length === 1 ? 1 : place / last;
    });
    return found;
  }

  /** The values of an objective, by trial. */
  objective(index) {
    return this.columns.get(`metric:${this.objectives[index].name}`);
  }

  /** 1 where larger is better, -1 where smaller is. */
  sign(index) {
    return this.objectives[index].direction === "Maximize" ? 1 : -1;
  }

  state(trial) {
    return this.columns.get("state").text(trial);
  }

  feasible(trial) {
    return this.columns.get("feasible").text(trial) !== "no";
  }

  get constrained() {
    return this.head.asked.constraints.length > 0;
  }

  /** [trial, value] at each improvement, of feasible trials as long as there are some. */
  bestSoFar(index) {
    const values = this.objective(index).values;
    const sign = this.sign(index);
    const counting = this.complete.some((trial) => this.feasible(trial))
      ? this.complete.filter((trial) => this.feasible(trial))
      : this.complete;
    const steps = [];
    for (const trial of counting) {
      if (!steps.length || sign * (values[trial] - steps.at(-1)[1]) > 0) steps.push([trial, values[trial]]);
    }
    return steps;
  }

  /** Parameters and their values in one trial, of the type that they were suggested with. */
  values(trial) {
    const found = {};
    for (const column of this.parameters) {
      if (!column.has(trial)) continue;
      found[column.label] = column.kind === "number" ? column.values[trial] : untold(column.text(trial));
    }
    return found;
  }
}

/** The value behind its text: JSON, or else a string as it stands. */
function untold(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
