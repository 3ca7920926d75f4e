// Colours of the charts, taken from the page's style, so that both change together with light and dark.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** Calls back when the reader's system changes between light and dark. */
export function onThemeChange(callback) {
  dark.addEventListener("change", callback);
}

/** A colour of page.css: `colour("accent")`. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const RAMP = 5;

/** Maps 0 (worst) to 1 (best) to a colour: the worst is nearest to the page, in light and in dark. */
export function ramp() {
  const stops = Array.from({ length: RAMP }, (_, index) => channels(colour(`ramp-${index}`)));
  return (share) => {
    const place = Math.min(Math.max(share, 0), 1) * (RAMP - 1);
    const low = Math.min(Math.floor(place), RAMP - 2);
    const mixed = stops[low].map((from, index) => Math.round(from + (stops[low + 1][index] - from) * (place - low)));
    return `rgb(${mixed.join(",")})`;
  };
}

function channels(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

/** Colours that can be told apart, also by the colour-blind, for up to eight studies. */
export function palette() {
  return Array.from({ length: 8 }, (_, index) => colour(`series-${index}`));
}
