// The legend: each class with its colour, key, share of the tile and labelled instances against the marks, and a
// padlock that protects it. A click chooses the class. The bar is filled by the instances of all tiles (pale) and of
// this one (full); it is logarithmic, since the marks lie far apart.

import { icon } from "./icons.js";
import { UNLABELLED } from "./classes.js";
import { capital, escape } from "./text.js";

export function legendRows(classes, commands, marks) {
  const keyOf = (id) => commands.find((command) => command.id === id).keys[0];
  const ticks = marks.slice(0, -1).map((mark) => `<u style="left: ${percentOf(mark, marks)}%"></u>`).join("");
  const row = ({ index, name, meaning }) => `
    <div class="row">
      <button type="button" class="class" data-command="class-${name}" data-class="${index}" aria-label="${escape(name)}" title="${escape(capital(name))}: ${escape(meaning)}">
        <i></i><span class="name">${escape(name)}</span><kbd>${keyOf(`class-${name}`)}</kbd><span class="share"></span>
        ${index === UNLABELLED ? "" : `<span class="meter"><b class="all"></b><b class="here"></b>${ticks}</span><span class="count"></span>`}
      </button>
      ${index === UNLABELLED ? "" : `<button type="button" class="lock" data-command="protect-${name}" aria-label="Protect ${escape(name)}" title="Protect ${escape(name)}: its pixels are not changed (${keyOf(`protect-${name}`)})">${icon("open-lock")}${icon("lock")}</button>`}
    </div>`;
  const unlabelled = { index: UNLABELLED, name: "unlabelled", meaning: "not known, or not labelled yet; takes no part in training or scoring" };
  return `<div class="legend" role="group" aria-label="Classes">${[...classes, unlabelled].map(row).join("")}</div>`;
}

export function colourLegend(root, colours) {
  for (const row of root.querySelectorAll("[data-class]")) {
    const colour = colours[row.dataset.class], swatch = row.querySelector("i");
    swatch.className = colour ? "" : "none";
    swatch.style.background = colour ? `rgb(${colour.join(" ")})` : "";
  }
}

export function updateLegend(root, painter, marks) {
  const { state, tile, sheet } = painter;
  const total = tile.width * tile.height;
  const labelled = state ? state.counts.reduce((sum, { pixels }) => sum + pixels, 0) : 0;
  for (const row of root.querySelectorAll("[data-class]")) {
    const index = Number(row.dataset.class);
    row.setAttribute("aria-pressed", String(painter.classIndex === index));
    const { instances, pixels } = index === UNLABELLED ? { pixels: total - labelled } : state?.counts[index] ?? { instances: 0, pixels: 0 };
    row.querySelector(".share").textContent = percent(pixels / total);
    if (index === UNLABELLED) continue;
    const all = instances + (sheet.elsewhere?.[index] ?? 0);
    const reached = marks.filter((mark) => all >= mark).length, next = marks[Math.min(reached, marks.length - 1)];
    row.querySelector(".all").style.width = `${percentOf(all, marks)}%`;
    row.querySelector(".here").style.width = `${percentOf(instances, marks)}%`;
    row.dataset.reached = String(reached);
    row.querySelector(".count").textContent = all > instances ? `${instances} here, ${all} of ${next} in all` : `${instances} of ${next}`;
    row.querySelector(".meter").title = `${all} labelled instances; ${meaningOf(marks)}`;
  }
}

const meaningOf = ([begin, steady, close]) => `${begin} are enough to begin, ${steady} give a steady score, ${close} come close to the full data`;

/** Where a number of instances stands on the bar, whose end is the last mark. */
const percentOf = (instances, marks) => Math.min(100, (100 * Math.log1p(instances)) / Math.log1p(marks.at(-1)));

const percent = (share) => (share === 0 ? "" : share < 0.001 ? "<0.1 %" : share < 0.0995 ? `${(share * 100).toFixed(1)} %` : `${Math.round(share * 100)} %`);
