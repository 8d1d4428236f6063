// Tool, class and looks outlive a reload of the page.

import { UNLABELLED } from "./labels.js";

const KEY = "tilewright.paint";
const DEFAULTS = { tool: "brush", classIndex: 0, radius: 20, opacity: 0.55, outlined: false };

export function loadSettings() {
  try {
    const kept = { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY)) };
    const classKnown = kept.classIndex === UNLABELLED || (kept.classIndex >= 0 && kept.classIndex < 6);
    return classKnown && kept.radius >= 0.5 && kept.radius <= 400 ? kept : { ...DEFAULTS };
  } catch {
    return { ...DEFAULTS }; // no storage, or not ours
  }
}

export function keepSettings(painter) {
  const kept = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, painter[name]]));
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch { /* a browser that keeps nothing still paints */ }
}
