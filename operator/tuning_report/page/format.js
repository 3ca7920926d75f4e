// Numbers, durations and times as people read them: the same as in the terminal (tuning_report/format.py).

/** Six significant digits: enough to tell trials apart, short enough to read. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value).replace("-", "−");
  const size = Math.abs(value);
  const text = size >= 1e7 || size < 1e-4 ? value.toExponential(4) : value.toPrecision(6);
  const [digits, exponent] = text.split("e");
  const short = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
  return (exponent ? `${short}e${exponent.replace("+", "")}` : short).replaceAll("-", "−");
}

const UNITS = [
  { least: 1e12, unit: 1e12, sign: "T" },
  { least: 1e9, unit: 1e9, sign: "G" },
  { least: 1e6, unit: 1e6, sign: "M" },
  { least: 1e4, unit: 1e3, sign: "k" },
];

/** Four significant digits, with k, M, G and T: for axes and tight places. */
export function brief(value) {
  if (!Number.isFinite(value)) return number(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e15 || size < 1e-3)) {
    return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e").replaceAll("-", "−");
  }
  const { unit, sign } = UNITS.find(({ least }) => size >= least) ?? { unit: 1, sign: "" };
  return `${Number((value / unit).toPrecision(4))}${sign}`.replace("-", "−");
}

/** `0.42s`, `8s`, `3m20s`, `2h05m`, `3d4h`. */
export function duration(seconds) {
  if (seconds === null || Number.isNaN(seconds)) return "–";
  if (seconds < 10) return `${Number(seconds.toPrecision(2))}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${String(whole % 60).padStart(2, "0")}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h${String(minutes % 60).padStart(2, "0")}m` : `${Math.floor(hours / 24)}d${hours % 24}h`;
}

/** `40s`, `3m`, `2h`, `3d`: for what changes by itself while it is read. */
export function roughly(seconds) {
  const [size, unit] = [[86_400, "d"], [3600, "h"], [60, "m"]].find(([least]) => seconds >= 2 * least) ?? [1, "s"];
  return `${Math.max(0, Math.round(seconds / size))}${unit}`;
}

/** A moment of the server, where the reader is: `2026-03-08 13:05`. */
export function moment(iso) {
  const time = new Date(iso);
  const two = (value) => String(value).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** Long texts, cut in the middle: names say the important at both ends. */
export function shortened(text, length = 28) {
  if (text.length <= length) return text;
  const end = Math.floor((length - 1) / 3);
  return `${text.slice(0, length - 1 - end)}…${text.slice(text.length - end)}`;
}
