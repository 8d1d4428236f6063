// What is seen. Two canvases lie on each other: the picture below (image, layers and labels, redrawn only where something
// changed) and the overlay above (cursor, what is in the air, scale bar). Around them the tools, the legend and the
// status line, each brought up to date once a frame.

import { Banner } from "./banner.js";
import { commandsFor, tooltip } from "./commands.js";
import { colourLegend, updateLegend } from "./legend.js";
import { markup } from "./markup.js";
import { Minimap } from "./minimap.js";
import { Options } from "./options.js";
import { drawOverlay } from "./overlay.js";
import { PictureBar } from "./picture_bar.js";
import { StatusLine } from "./status_line.js";
import { ViewSection } from "./view_section.js";

const FAINT = 0.2; // of the opacity, inside outlines

export class Panel {
  constructor(root, painter, { classes, marks }) {
    Object.assign(this, { root, painter, classes, marks, pointer: null, panning: false, dirty: null, hovered: false });
    this.commands = commandsFor(classes, painter.tools);
    this.byId = new Map(this.commands.map((command) => [command.id, command]));
    this.byKey = new Map(this.commands.flatMap((command) => command.keys.map((key) => [key, command])));
    root.tabIndex = 0;
    root.dataset.testid = "paint-canvas";
    root.innerHTML = markup(this);
    const find = (part) => root.querySelector(`[data-part=${part}]`);
    this.stage = find("stage");
    this.picture = find("picture");
    this.overlay = find("overlay");
    this.notice = find("notice");
    this.help = find("help");
    this.guard = find("guard");
    this.buttons = [...root.querySelectorAll("[data-command]")].map((element) => [element, this.byId.get(element.dataset.command)]);
    this.options = new Options(find("options"));
    this.minimap = new Minimap(find("minimap"), painter);
    this.banner = new Banner(find("banner"), painter);
    this.pictureBar = new PictureBar(find("shown-picture"), painter);
    this.viewSection = new ViewSection(find("view"), painter);
    this.statusLine = new StatusLine(root, painter);
    this.#wire();
    this.#wireSections();
    this.recoloured();
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(this.stage);
    this.clock = setInterval(() => this.#fitWindow(), 500);
  }

  close() {
    clearInterval(this.clock);
    this.statusLine.close();
    this.minimap.close();
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }

  commandOf(key) {
    return this.byKey.get(key);
  }

  /** The element for another module's part of the side panel: "learning" or "history". */
  slot(part) {
    return this.root.querySelector(`[data-part=${part}]`);
  }

  #wire() {
    const { painter } = this;
    for (const [element, command] of this.buttons) {
      element.addEventListener("click", () => {
        if (command.hold) command.hold(painter, !command.active(painter));
        else command.run(painter);
        this.refresh();
      });
    }
    this.guard.addEventListener("change", () => {
      const { value } = this.guard;
      painter.paintOver(/^\d+$/.test(value) ? Number(value) : value);
      this.root.focus({ preventScroll: true });
    });
    this.help.addEventListener("click", () => this.toggleHelp());
    this.stage.addEventListener("pointerenter", () => { this.hovered = true; });
    this.stage.addEventListener("pointerleave", () => { this.hovered = false; });
  }

  #wireSections() {
    for (const section of this.root.querySelectorAll("[data-fold]")) {
      const { fold } = section.dataset;
      section.open = !this.painter.settings.folded[fold];
      section.addEventListener("toggle", () => {
        const folded = !section.open;
        if (Boolean(this.painter.settings.folded[fold]) !== folded) this.painter.set({ folded: { ...this.painter.settings.folded, [fold]: folded } });
      });
    }
  }

  // ---- drawing ----

  opened() {
    this.minimap.opened();
    this.#fitWindow();
    this.#resize();
    this.refresh();
  }

  recoloured() {
    colourLegend(this.root, this.painter.colours);
  }

  /** Tell the style sheet where the canvas begins, so that it ends with the window: what is above it may wrap. */
  #fitWindow() {
    if (this.top !== undefined && this.painter.tool.busy) return; // the tile must not move under a stroke
    const scrolled = document.querySelector("[data-testid=stMain]")?.scrollTop ?? 0;
    const top = Math.round(this.root.getBoundingClientRect().top + scrolled);
    if (top !== this.top && !document.fullscreenElement) this.root.style.setProperty("--tw-top", `${top}px`);
    this.top = top;
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
    if (!view) return;
    let clip = [0, 0, view.width, view.height];
    if (box) {
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
      const { dirty } = this;
      this.dirty = null;
      if (dirty) this.#drawPicture(dirty);
      drawOverlay(this.overlay.getContext("2d"), this);
      this.#update(Boolean(dirty));
    });
  }

  #drawPicture([left, top, right, bottom]) {
    const { painter, ratio } = this, { view, settings, labels } = painter;
    const clip = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top)), Math.min(view.width, Math.ceil(right)), Math.min(view.height, Math.ceil(bottom))];
    const size = [clip[2] - clip[0], clip[3] - clip[1]];
    if (size[0] <= 0 || size[1] <= 0) return; // out of sight
    const context = this.picture.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.save();
    context.beginPath();
    context.rect(clip[0], clip[1], ...size);
    context.clip();
    context.clearRect(clip[0], clip[1], ...size);
    const layers = [...painter.layers, painter.picture].filter(Boolean);
    const draw = (above) => layers.filter((layer) => Boolean(layer.above) === above).forEach((layer) => layer.draw(context, view, ratio, clip));
    painter.pyramid.draw(context, view, ratio, clip);
    draw(false);
    if (!painter.hidden) labels.drawFilled(context, view, settings.opacity * (settings.outlined ? FAINT : 1));
    if (!painter.hidden && settings.outlined) labels.drawOutline(context, view, clip);
    draw(true);
    context.restore();
  }

  // ---- everything around the picture ----

  pointAt(pointer, panning = this.panning) {
    this.pointer = pointer;
    this.setPanning(panning);
  }

  setPanning(panning) {
    this.panning = panning;
    this.refresh();
  }

  #update(pictureChanged) {
    const { painter } = this;
    this.overlay.dataset.cursor = this.panning || painter.tool.cursor === "pan" ? "pan" : painter.tool.cursor;
    for (const [element, command] of this.buttons) {
      if (command.active) element.setAttribute("aria-pressed", String(command.active(painter)));
      if (command.enabled) element.disabled = !command.enabled(painter);
      if (command.why) showWhy(element, command, command.why(painter));
    }
    this.guard.value = String(painter.guard.over);
    this.guard.dataset.set = String(painter.guard.over !== "anything");
    this.options.update(painter.tool.options);
    this.minimap.update(pictureChanged);
    this.banner.update();
    this.pictureBar.update();
    this.viewSection.update();
    updateLegend(this.root, painter, this.marks);
    this.statusLine.update(this.pointer);
    this.notice.hidden = !painter.notice;
    this.notice.textContent = painter.notice ?? "";
  }

  /** Somebody tried to paint on a tile that is not theirs now. */
  pointOutBanner() {
    this.banner.pointOut();
  }

  toggleHelp(shown = this.help.hidden) {
    this.help.hidden = !shown;
  }

  toggleFullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }
}

/** Grey a tool that cannot be used here, and say why in its tooltip; it can be chosen, and then says so too. */
function showWhy(element, command, why) {
  const title = why ? `${tooltip(command)}. ${why}` : tooltip(command);
  if (element.title !== title) element.title = title;
  element.classList.toggle("out-of-use", Boolean(why));
}
