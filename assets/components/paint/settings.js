// What a person chose outlives a reload of the page: tool, class, guard, looks.

import { FREE } from "./guard.js";
import { UNLABELLED } from "./classes.js";

const KEY = "tilewright.paint";

export const PLAIN_IMAGE = { brightness: 0, contrast: 0, gamma: 1, band: "all" };

/** Name -> [what it is at first, whether a kept value may be used]. */
const SETTINGS = {
  tool: ["brush", (value, tools) => tools.includes(value)],
  classIndex: [0, isClass],
  radius: [20, within(0.5, 400)],
  holes: [false, isSwitch],
  guard: [FREE, isGuard],
  opacity: [0.55, within(0.05, 1)],
  outlined: [false, isSwitch],
  palette: ["deepglobe", oneOf("deepglobe", "safe")],
  pagePalette: ["deepglobe", oneOf("deepglobe", "safe")], // what was chosen beside the page when this followed it last
  image: [PLAIN_IMAGE, isImage],
  minimap: [true, isSwitch],
  folded: [{ view: true }, (value) => typeof value === "object" && value !== null],
  grain: ["medium", oneOf("fine", "medium", "coarse")], // of the superpixels
  superpixelBorders: [false, isSwitch], // whether the borders of all superpixels are shown
  confidence: [0.5, within(0, 1)], // from which a suggestion is shown and accepted
  suggestionShown: [true, isSwitch],
  suggestionEverywhere: [false, isSwitch], // also over labels, then accepting replaces them
  suggestionOpacity: [0.6, within(0.1, 1)],
};

export const defaultSettings = () => Object.fromEntries(Object.entries(SETTINGS).map(([name, [value]]) => [name, value]));

/** The kept settings; whatever is missing or not understood is as at first. */
export function loadSettings(tools) {
  const settings = defaultSettings();
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch { /* no storage, or not ours */ }
  for (const [name, [, isFine]] of Object.entries(SETTINGS)) {
    if (name in kept && isFine(kept[name], tools)) settings[name] = kept[name];
  }
  return settings;
}

export function keepSettings(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch { /* a browser that keeps nothing still paints */ }
}

function isClass(value) {
  return value === UNLABELLED || (Number.isInteger(value) && value >= 0 && value < 6);
}

function isSwitch(value) {
  return typeof value === "boolean";
}

function within(least, most) {
  return (value) => typeof value === "number" && value >= least && value <= most;
}

function oneOf(...choices) {
  return (value) => choices.includes(value);
}

function isGuard(value) {
  const over = value?.over, known = over === "anything" || over === "unlabelled" || (over !== UNLABELLED && isClass(over));
  return known && Array.isArray(value.protect) && value.protect.every((index) => index !== UNLABELLED && isClass(index));
}

function isImage(value) {
  return within(-1, 1)(value?.brightness) && within(-1, 1)(value.contrast) && within(0.2, 5)(value.gamma)
    && oneOf("all", "red", "green", "blue")(value.band);
}
