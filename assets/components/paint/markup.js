// The canvas's HTML, made once from the table of commands.

import { tooltip } from "./commands.js";
import { icon } from "./icons.js";
import { legendRows } from "./legend.js";
import { capital, escape } from "./text.js";

const BAR_GROUPS = { edit: "Edit", view: "View" };

export function markup({ commands, classes, marks }) {
  const inBar = (bar) => commands.filter((command) => command.bar === bar);
  const icons = (bar) => inBar(bar).map((command) => button(command, icon(command.icon))).join("");
  const group = (bar) => `<div class="group" role="group" aria-label="${BAR_GROUPS[bar]}">${icons(bar)}</div>`;
  const actions = inBar("tile").map((command) => button(command, escape(command.label), "text")).join("");
  return `
    <div class="bar">
      <div class="options" data-part="options" role="group" aria-label="Settings of the tool"></div>
      ${guardChoice(classes)}
      <span class="gap"></span>${group("edit")}${group("view")}
    </div>
    <div class="banner" data-part="banner" role="status" hidden></div>
    <div class="body">
      <div class="tools" role="toolbar" aria-label="Painting tools" aria-orientation="vertical">${icons("tools")}</div>
      <div class="stage" data-part="stage">
        <canvas data-part="picture"></canvas>
        <canvas data-part="overlay" data-testid="paint-overlay" role="img" aria-label="The tile and its labels"></canvas>
        <div class="minimap" data-part="minimap"><canvas aria-label="The whole tile; a click moves the view"></canvas><i></i>
          <button type="button" data-command="minimap" aria-label="Overview map" title="Overview map (M)">${icon("fold")}</button></div>
        <div class="shown-picture" data-part="shown-picture" hidden></div>
        <div class="notice" data-part="notice" role="alert" hidden></div>
        <div class="help" data-part="help" role="dialog" aria-label="Keys" hidden><div>${help(commands)}</div></div>
      </div>
      <aside class="side">
        ${legendRows(classes, commands, marks)}
        ${section("view", "Image and colours")}${section("learning", "Learning while you paint")}${section("history", "History")}
        <div class="actions">${actions}</div>
      </aside>
    </div>
    <div class="line">
      <span data-part="status" data-testid="paint-status" role="status"></span><span class="hint" data-part="hint" data-testid="paint-hint"></span>
      <span data-part="where"></span><span data-part="zoom"></span><span data-part="person"></span>
    </div>`;
}

export function button(command, inside, kind = "") {
  return `<button type="button" class="${kind}" data-command="${command.id}" aria-label="${escape(command.label)}" title="${escape(tooltip(command))}">${inside}</button>`;
}

function guardChoice(classes) {
  const choices = [["anything", "Anything"], ["unlabelled", "Unlabelled only"], ...classes.map(({ index, name }) => [index, `${capital(name)} only`])];
  const options = choices.map(([value, text]) => `<option value="${value}">${escape(text)}</option>`).join("");
  return `<label class="guard" title="What may be painted over (Shift+A, Shift+U, Shift+C)">Paint over
    <select data-part="guard" aria-label="Paint over">${options}</select></label>`;
}

/** A foldable part of the side panel; its contents are put in by another module, and without any it is not seen. */
function section(part, title) {
  return `<details class="section" data-fold="${part}"><summary>${title}</summary><div data-part="${part}"></div></details>`;
}

function help(commands) {
  const groups = [...new Set(commands.map(({ group }) => group))].filter((group) => group !== "Tile");
  const key = (name) => `<kbd>${escape(name.replace("Arrow", "").replace("Escape", "Esc"))}</kbd>`;
  const row = ({ label, keys, note }) => `<dt>${keys.map(key).join(" ")}</dt><dd>${escape(label)}${note ? `<small>${escape(note)}</small>` : ""}</dd>`;
  return groups.map((group) => `<section><h4>${group}</h4><dl>${commands.filter((c) => c.group === group).map(row).join("")}</dl></section>`).join("");
}
