// The legend: each class with its colour, key, share of the tile and labelled instances against the marks. A click
// chooses the class. The bar is filled by the instances of all tiles (pale) and of this one (full).

import { UNLABELLED } from "./labels.js";

const swatch = (colour) => (colour ? `style="background: rgb(${colour.join(" ")})"` : 'class="none"');

export function legendRows(classes, commands) {
  const keyOf = (name) => commands.find(({ id }) => id === `class-${name}`).keys[0];
  const row = ({ index, name, colour, meaning }) => `
    <button type="button" class="class" data-command="class-${name}" data-class="${index}" aria-label="${name}" title="${meaning}">
      <i ${swatch(colour)}></i><span class="name">${name}</span><kbd>${keyOf(name)}</kbd><span class="share"></span>
      ${index === UNLABELLED ? "" : '<span class="meter"><b class="all"></b><b class="here"></b><u></u></span><span class="count"></span>'}
    </button>`;
  const unlabelled = { index: UNLABELLED, name: "unlabelled", colour: null, meaning: "takes no part in training or scoring" };
  return `<div class="legend" role="group" aria-label="Classes">${[...classes, unlabelled].map(row).join("")}</div>`;
}

export function updateLegend(root, painter, [begin, plenty]) {
  const { state, tile, elsewhere } = painter;
  const total = tile.width * tile.height;
  const labelled = state ? state.counts.reduce((sum, { pixels }) => sum + pixels, 0) : 0;
  for (const row of root.querySelectorAll("[data-class]")) {
    const index = Number(row.dataset.class);
    row.setAttribute("aria-pressed", String(painter.paintClass === index));
    const { instances, pixels } = index === UNLABELLED ? { pixels: total - labelled } : state?.counts[index] ?? { instances: 0, pixels: 0 };
    row.querySelector(".share").textContent = percent(pixels / total);
    if (index === UNLABELLED) continue;
    const all = instances + (elsewhere?.[index] ?? 0);
    row.querySelector(".all").style.width = `${Math.min(100, (100 * all) / plenty)}%`;
    row.querySelector(".here").style.width = `${Math.min(100, (100 * instances) / plenty)}%`;
    row.querySelector("u").style.left = `${(100 * begin) / plenty}%`;
    row.dataset.reached = all >= plenty ? "plenty" : all >= begin ? "begin" : "few";
    row.querySelector(".count").textContent = all > instances ? `${instances} here, ${all} in all` : `${instances} of ${all < begin ? begin : plenty}`;
    row.querySelector(".meter").title = `${all} labelled instances; ${begin} are enough to begin, ${plenty} give a steady score`;
  }
}

const percent = (share) => (share === 0 ? "" : share < 0.001 ? "<0.1 %" : share < 0.0995 ? `${(share * 100).toFixed(1)} %` : `${Math.round(share * 100)} %`);
