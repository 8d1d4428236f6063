// Panels ("stages") on one tile with one zoom, one pan and one pointer. A stage shows the image under one layer, or two
// layers left and right of a line that is drawn across it (a swipe).

import { Pyramid } from "../paint/pyramid.js";
import { scaleBar, View } from "../paint/view.js";
import { paintLayer } from "./layers.js";
import { OUTSIDE, UNLABELLED } from "./rasters.js";

const GROUND = "#262b33";

export class Stages {
  /** `box` takes the stages; `onPointer(point or null)` is told the tile pixel under the pointer. */
  constructor(box, { onPointer, onScale }) {
    Object.assign(this, { box, onPointer, onScale, stages: [], pointer: null, opacity: 0.6, pyramids: new Map() });
    this.view = new View(1, 1);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(box);
  }

  close() {
    this.observer.disconnect();
    for (const pyramid of this.pyramids.values()) pyramid.close();
    cancelAnimationFrame(this.frame);
  }

  /** Show another tile, as a whole; its stages are set next. */
  openTile(tile) {
    this.tile = tile;
    this.pointer = null;
    const { width, height } = this.view;
    this.view = new View(tile.width, tile.height);
    if (width > 1) this.view.resize(width, height);
    this.pyramid = this.pyramidOf(tile);
  }

  /** Fetch the squares of a tile that are seen when it is opened. */
  prepare(tile) {
    if (this.pyramids.has(tile.id) || this.view.width <= 1) return;
    const view = new View(tile.width, tile.height), { width, height } = this.view;
    view.resize(width, height);
    this.pyramidOf(tile).draw(new OffscreenCanvas(1, 1).getContext("2d"), view, devicePixelRatio, [0, 0, width, height]);
  }

  pyramidOf(tile) {
    let pyramid = this.pyramids.get(tile.id);
    if (pyramid) return pyramid;
    for (const [id, old] of this.pyramids) {
      if (this.pyramids.size < 3) break;
      if (id === this.tile.id) continue;
      old.close();
      this.pyramids.delete(id);
    }
    pyramid = new Pyramid({
      address: (z, x, y) => `${this.base ?? ""}/tiles/${tile.id}/${z}/${x}/${y}.jpg?v=${tile.version}`,
      maxZoom: tile.max_zoom, width: tile.width, height: tile.height,
      onLoad: () => this.draw(), onError: () => {},
    });
    this.pyramids.set(tile.id, pyramid);
    return pyramid;
  }

  /** Show these stages: {title, detail, layer, other, split, legend, trouble, loading}; canvases of the same number stay. */
  set(wanted) {
    if (wanted.length !== this.stages.length) {
      this.stages = wanted.map(() => this.#make());
      this.box.replaceChildren(...this.stages.map((stage) => stage.element));
      this.box.dataset.count = wanted.length;
    }
    this.stages.forEach((stage, i) => this.#fill(stage, wanted[i]));
    this.resize();
  }

  #make() {
    const element = make("figure", "stage"), caption = make("figcaption"), canvas = make("canvas");
    const parts = { title: make("b"), detail: make("span", "detail"), reading: make("span", "reading") };
    caption.append(parts.title, parts.detail, parts.reading);
    const trouble = make("p", "trouble"), legend = make("div", "meanings");
    element.append(caption, canvas, legend, trouble);
    canvas.onpointermove = (event) => this.#moved(event, canvas);
    canvas.onpointerdown = (event) => canvas.setPointerCapture(event.pointerId);
    canvas.onpointerleave = () => this.setPointer(null);
    canvas.ondblclick = () => this.move(() => this.view.fit());
    canvas.addEventListener("wheel", (event) => this.#wheel(event, canvas), { passive: false });
    return { element, canvas, legend, trouble, ...parts, picture: null, wanted: null };
  }

  #fill(stage, wanted) {
    stage.wanted = wanted;
    stage.title.textContent = wanted.title;
    stage.detail.textContent = wanted.detail ?? "";
    stage.canvas.setAttribute("role", "img");
    stage.canvas.setAttribute("aria-label", `${wanted.title}: ${wanted.detail ?? ""}`);
    stage.trouble.textContent = wanted.trouble ?? "";
    stage.trouble.hidden = !wanted.trouble;
    stage.element.dataset.state = wanted.trouble ? "failed" : wanted.layer === null || wanted.loading ? "loading" : "ready";
    stage.legend.replaceChildren(...(wanted.legend ?? []).map(legendItem));
    stage.legend.hidden = !wanted.legend?.length;
  }

  resize() {
    const first = this.stages[0]?.canvas.getBoundingClientRect();
    if (!first?.width || !this.tile) return;
    for (const stage of this.stages) {
      const width = Math.round(first.width * devicePixelRatio), height = Math.round(first.height * devicePixelRatio);
      if (stage.canvas.width !== width || stage.canvas.height !== height) Object.assign(stage.canvas, { width, height });
    }
    this.view.resize(first.width, first.height);
    if (this.look) {
      this.view.scale = Math.max(this.view.fitScale, this.look.scale);
      this.view.centreOn(this.look.centre);
      this.look = null;
    }
    this.draw();
  }

  move(change) {
    change();
    this.draw();
  }

  /** One screen pixel a tile pixel. */
  fullSize() {
    const { width, height, scale } = this.view;
    this.move(() => this.view.zoomAt(1 / (scale * devicePixelRatio), width / 2, height / 2));
  }

  zoomBy(factor) {
    this.move(() => this.view.zoomAt(factor, this.view.width / 2, this.view.height / 2));
  }

  #wheel(event, canvas) {
    if (event.deltaY > 0 && this.view.isWhole) return; // nothing to zoom out to: let the page scroll on
    event.preventDefault();
    const { left, top } = canvas.getBoundingClientRect();
    const step = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.move(() => this.view.zoomAt(2 ** (-step / 240), event.clientX - left, event.clientY - top));
  }

  #moved(event, canvas) {
    if (event.buttons & 5) this.view.panBy(event.movementX, event.movementY);
    const { left, top } = canvas.getBoundingClientRect();
    this.setPointer(this.view.toTile(event.clientX - left, event.clientY - top));
  }

  setPointer(point) {
    const inside = point && point.every((at, i) => at >= 0 && at < [this.tile.width, this.tile.height][i]);
    this.pointer = inside ? point : null;
    this.onPointer(this.pointer);
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow() {
    if (!this.tile) return;
    for (const stage of this.stages) this.#drawStage(stage);
    this.onScale(scaleBar(this.tile.metres_per_pixel_x / this.view.scale, 120));
  }

  #drawStage(stage) {
    const { canvas, wanted } = stage, context = canvas.getContext("2d"), ratio = devicePixelRatio, { view } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = GROUND;
    context.fillRect(0, 0, view.width, view.height);
    this.pyramid.draw(context, view, ratio, [0, 0, view.width, view.height]);
    const line = wanted.other ? Math.round(view.width * wanted.split) : view.width;
    // Where only marks are shown the image is grey, so that no colour of the ground is taken for one.
    if (wanted.layer?.grey) grey(context, 0, line, view.height);
    if (wanted.other?.grey) grey(context, line, view.width, view.height);
    this.#drawLayers(stage, line);
    if (wanted.other) drawLine(context, line, view.height);
    if (this.pointer) drawPointer(context, ...view.toScreen(...this.pointer));
  }

  /** Tile pixels smaller than the screen's are sampled twice as finely and averaged: thin things keep their weight. */
  #drawLayers(stage, line) {
    const { wanted, canvas } = stage, { view } = this;
    if (!wanted.layer && !wanted.other) return;
    const fine = view.scale * devicePixelRatio < 0.75 && !wanted.layer?.outline ? 2 : 1;
    const width = canvas.width * fine, height = canvas.height * fine, ratio = devicePixelRatio * fine;
    if (stage.picture?.width !== width || stage.picture?.height !== height) {
      stage.picture = new OffscreenCanvas(width, height);
      stage.brush = stage.picture.getContext("2d");
      stage.pixels = stage.brush.createImageData(width, height);
    }
    const words = new Uint32Array(stage.pixels.data.buffer).fill(0), middle = Math.min(width, Math.round(line * ratio));
    if (wanted.layer) paintLayer(words, { width, height, start: 0, end: middle }, view, ratio, wanted.layer);
    if (wanted.other) paintLayer(words, { width, height, start: middle, end: width }, view, ratio, wanted.other);
    stage.brush.putImageData(stage.pixels, 0, 0);
    const context = canvas.getContext("2d");
    // Marks on a grey image hide nothing that has to be seen through them: they are stronger than masks.
    const strength = wanted.layer?.outline ? 1 : wanted.layer?.grey ? 1.4 * this.opacity : this.opacity;
    context.globalAlpha = Math.min(1, strength);
    context.imageSmoothingEnabled = fine > 1;
    context.drawImage(stage.picture, 0, 0, view.width, view.height);
    context.globalAlpha = 1;
  }
}

/** A colour and what it stands for. */
export function legendItem({ colour, words, striped }) {
  const item = make("span"), chip = make("i", striped ? "striped" : "");
  chip.style.setProperty("--colour", `rgb(${colour})`);
  item.append(chip, words);
  return item;
}

function grey(context, left, right, height) {
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "#000";
  context.fillRect(left, 0, right - left, height);
  context.globalCompositeOperation = "source-over";
}

function drawLine(context, x, height) {
  for (const [colour, width] of [["rgb(0 0 0 / 0.6)", 4], ["#fff", 2]]) {
    context.fillStyle = colour;
    context.fillRect(x - width / 2, 0, width, height);
  }
}

function drawPointer(context, x, y) {
  for (const [colour, width] of [["rgba(0, 0, 0, 0.65)", 3], ["#fff", 1]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * 4, y + dy * 4);
      context.lineTo(x + dx * 14, y + dy * 14);
    }
    context.stroke();
  }
}

export function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** A class's name by its code; empty for no code. */
export function className(code, classes) {
  return code === null || code === undefined ? "" : code === OUTSIDE ? "not covered" : code === UNLABELLED ? "unlabelled" : classes[code].name;
}

export function showScale(element, bar) {
  element.textContent = bar.label;
  element.style.setProperty("--length", `${bar.pixels}px`);
}
