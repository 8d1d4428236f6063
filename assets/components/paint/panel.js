// What is seen: toolbar, canvas, legend, status line, help. Two canvases lie on each other: the picture below (image
// and labels, redrawn only where something changed) and the overlay above (cursor, shape in the air, scale bar).

import { commandsFor, tooltip } from "./commands.js";
import { icon } from "./icons.js";
import { UNLABELLED } from "./labels.js";
import { legendRows, updateLegend } from "./legend.js";
import { drawOverlay } from "./overlay.js";

const FAINT = 0.2; // of the opacity, inside outlines
const escape = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

export class Panel {
  constructor(root, painter, { classes, marks }) {
    Object.assign(this, { root, painter, classes, marks, pointer: null, panning: false, dirty: null, hovered: false });
    this.commands = commandsFor(classes);
    this.byKey = new Map(this.commands.flatMap((command) => command.keys.map((key) => [key, command])));
    root.tabIndex = 0;
    root.dataset.testid = "paint-canvas";
    root.innerHTML = this.#markup();
    const find = (part) => root.querySelector(`[data-part=${part}]`);
    this.stage = find("stage");
    this.picture = find("picture");
    this.overlay = find("overlay");
    this.parts = Object.fromEntries(["size", "size-value", "opacity", "status", "where", "zoom", "notice", "help"].map((part) => [part, find(part)]));
    this.#wire();
    this.clock = setInterval(() => this.#updateStatus(), 1000);
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(this.stage);
  }

  close() {
    clearInterval(this.clock);
    this.observer.disconnect();
  }

  commandOf(key) {
    return this.byKey.get(key);
  }

  // ---- markup ----

  #markup() {
    const groups = ["Tools", "Edit", "View"].map((group) => {
      const buttons = this.commands.filter((command) => command.group === group && command.icon).map((command) => this.#button(command, icon(command.icon)));
      return `<div class="group" role="group" aria-label="${group}">${buttons.join("")}</div>`;
    });
    const actions = this.commands.filter(({ group }) => group === "Tile").map((command) => this.#button(command, escape(command.label), "text"));
    return `
      <div class="bar" role="toolbar" aria-label="Painting tools">
        ${groups[0]}
        <label class="slider" title="Brush size: [ and ]">Size
          <input type="range" data-part="size" aria-label="Brush size" min="0" max="100" step="1"><output data-part="size-value"></output></label>
        ${groups[1]}
        <label class="slider" title="Opacity of the labels">Labels
          <input type="range" data-part="opacity" aria-label="Label opacity" min="5" max="100" step="1"></label>
        ${groups[2]}
      </div>
      <div class="body">
        <div class="stage" data-part="stage">
          <canvas data-part="picture"></canvas>
          <canvas data-part="overlay" data-testid="paint-overlay" role="img" aria-label="The tile and its labels"></canvas>
          <div class="notice" data-part="notice" role="alert" hidden></div>
          <div class="help" data-part="help" role="dialog" aria-label="Keys" hidden>${this.#help()}</div>
        </div>
        <aside class="side">${legendRows(this.classes, this.commands)}<div class="actions">${actions.join("")}</div></aside>
      </div>
      <div class="line"><span data-part="status" data-testid="paint-status" role="status"></span><span data-part="where"></span><span data-part="zoom"></span></div>`;
  }

  #button(command, inside, kind = "") {
    const hint = escape(tooltip(command));
    return `<button type="button" class="${kind}" data-command="${command.id}" aria-label="${escape(command.label)}" title="${hint}">${inside}</button>`;
  }

  #help() {
    const groups = [...new Set(this.commands.map(({ group }) => group))].filter((group) => group !== "Tile");
    const row = ({ label, keys, note }) => `<dt>${keys.map((key) => `<kbd>${escape(key.replace("Arrow", ""))}</kbd>`).join(" ")}</dt><dd>${escape(label)}${note ? `<small>${escape(note)}</small>` : ""}</dd>`;
    return groups.map((group) => `<section><h4>${group}</h4><dl>${this.commands.filter((c) => c.group === group).map(row).join("")}</dl></section>`).join("");
  }

  #wire() {
    for (const button of this.root.querySelectorAll("[data-command]")) {
      const command = this.commands.find(({ id }) => id === button.dataset.command);
      button.addEventListener("click", () => {
        if (command.hold) command.hold(this.painter, !this.painter.hidden);
        else command.run(this.painter);
        this.refresh();
      });
    }
    // The size slider is logarithmic: small brushes need the finer steps.
    this.parts.size.addEventListener("input", () => this.painter.setRadius(Math.round(0.5 * 800 ** (this.parts.size.value / 100) * 2) / 2));
    this.parts.opacity.addEventListener("input", () => this.painter.setOpacity(this.parts.opacity.value / 100));
    this.parts.help.addEventListener("click", () => this.toggleHelp());
    this.stage.addEventListener("pointerenter", () => { this.hovered = true; });
    this.stage.addEventListener("pointerleave", () => { this.hovered = false; });
  }

  // ---- drawing ----

  opened() {
    this.#resize();
    this.refresh();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height || !this.painter.view) return;
    this.ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.picture, this.overlay]) {
      const wide = Math.round(width * this.ratio), high = Math.round(height * this.ratio);
      if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    }
    this.painter.view.resize(width, height);
    this.redraw();
  }

  /** Draw anew in the next frame: a rectangle of the tile {left, top, width, height}, or everything. */
  redraw(box) {
    const { view } = this.painter;
    let clip = [0, 0, view.width, view.height];
    if (box && !this.painter.outlined) {
      const [left, top] = view.toScreen(box.left, box.top), [right, bottom] = view.toScreen(box.left + box.width, box.top + box.height);
      clip = [Math.floor(left) - 2, Math.floor(top) - 2, Math.ceil(right) + 2, Math.ceil(bottom) + 2];
    }
    const { dirty } = this;
    this.dirty = dirty
      ? [Math.min(dirty[0], clip[0]), Math.min(dirty[1], clip[1]), Math.max(dirty[2], clip[2]), Math.max(dirty[3], clip[3])]
      : clip;
    this.refresh();
  }

  /** Bring everything but the picture up to date in the next frame. */
  refresh() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      if (!this.painter.tile || !this.ratio) return;
      if (this.dirty) this.#drawPicture(this.dirty);
      this.dirty = null;
      drawOverlay(this.overlay.getContext("2d"), this);
      this.#update();
    });
  }

  #drawPicture([left, top, right, bottom]) {
    const { painter, ratio } = this, { view } = painter;
    const context = this.picture.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    context.clearRect(left, top, right - left, bottom - top);
    painter.pyramid.draw(context, view, ratio, [Math.max(0, left), Math.max(0, top), Math.min(view.width, right), Math.min(view.height, bottom)]);
    if (!painter.hidden) painter.labels.drawFilled(context, view, painter.opacity * (painter.outlined ? FAINT : 1));
    if (!painter.hidden && painter.outlined) painter.labels.drawOutline(context, view);
    context.restore();
  }

  // ---- everything around the picture ----

  pointAt(pointer, panning = this.panning) {
    this.pointer = pointer;
    this.setPanning(panning);
  }

  setPanning(panning) {
    this.panning = panning;
    this.overlay.dataset.cursor = panning ? "pan" : "none";
    this.refresh();
  }

  #update() {
    const { painter, parts } = this;
    for (const button of this.root.querySelectorAll("[data-command]")) {
      const command = this.commands.find(({ id }) => id === button.dataset.command);
      if (command.active) button.setAttribute("aria-pressed", String(command.active(painter)));
      if (command.enabled) button.disabled = !command.enabled(painter);
    }
    parts.size.value = (100 * Math.log(painter.radius / 0.5)) / Math.log(800);
    parts["size-value"].textContent = `${painter.radius * 2} px`;
    parts.opacity.value = painter.opacity * 100;
    parts.zoom.textContent = `${Math.round(painter.view.scale * 100)} %`;
    parts.where.textContent = this.#whereText();
    updateLegend(this.root, painter, this.marks);
    this.#updateStatus();
  }

  #whereText() {
    if (!this.pointer) return "";
    const [x, y] = this.painter.view.toTile(...this.pointer);
    const classIndex = this.painter.labels.classAt(x, y);
    if (classIndex === null) return "";
    const name = classIndex === UNLABELLED ? "unlabelled" : this.classes[classIndex].name;
    return `${name}  ·  x ${Math.floor(x)}, y ${Math.floor(y)}`;
  }

  #updateStatus() {
    const { painter, parts } = this, { queue, state } = painter;
    if (!queue) return;
    const unsaved = queue.waiting.length;
    const [look, text] = queue.trouble
      ? ["bad", `Not saved: ${queue.trouble}, retrying; do not close this page`]
      : unsaved > 0 || painter.shape ? ["busy", unsaved > 0 ? "Saving…" : "Drawing…"]
      : !painter.ready ? ["busy", "Loading the tile…"]
      : ["good", state.saved_at ? `Saved ${ago(state)}` : "Nothing labelled yet; every stroke is saved at once"];
    parts.status.dataset.look = look;
    if (parts.status.textContent !== text) parts.status.textContent = text;
    parts.notice.hidden = !painter.notice;
    parts.notice.textContent = painter.notice ?? "";
  }

  toggleHelp(shown = this.parts.help.hidden) {
    this.parts.help.hidden = !shown;
  }

  toggleFullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }
}

/** How long ago the last save was, by the server's clock: the browser's may be wrong. */
function ago(state) {
  const seconds = (Date.parse(state.server_time) - Date.parse(state.saved_at) + performance.now() - state.heard) / 1000;
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  return new Date(state.saved_at).toLocaleString();
}
