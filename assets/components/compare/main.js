// Panels side by side on one tile, with one zoom, one pan and one pointer. Mounted by pages/components/image_pair.py.
// Streamlit calls this again whenever the page reruns with other data; view, opacity and shown panels stay.

import { Pyramid } from "../paint/pyramid.js";
import { scaleBar, View } from "../paint/view.js";
import { classAt, loadRaster, paintDifference, paintErrors, UNLABELLED } from "./rasters.js";

const WRONG = [230, 0, 60];
const DIFFERENCE = { a: [30, 136, 229], b: [251, 140, 0], neither: [200, 30, 100], differ: [230, 0, 160] };
const mounted = new WeakMap(); // the component's element -> its Panels
let lastLook = null; // {tile, names, scale, centre, opacity, hidden} of the panels closed last: a rerun may mount them anew

export default function mount({ data, parentElement }) {
  const root = parentElement.querySelector(".tw-compare");
  let panels = mounted.get(parentElement);
  if (!panels) mounted.set(parentElement, (panels = new Panels(root)));
  panels.show(data);
  return () => {
    panels.close();
    mounted.delete(parentElement);
  };
}

class Panels {
  constructor(root) {
    this.root = root;
    this.opacity = 0.6;
    this.hidden = null; // names of panels switched off; null until the first data says its defaults
    this.pointer = null; // in tile pixels
    this.rasters = new Map(); // address -> promise of a raster
    this.stages = [];
    root.innerHTML =
      '<div class="bar"><div class="toggles" role="group" aria-label="Panels"></div><label class="opacity">Overlay ' +
      '<input type="range" min="0" max="100" aria-label="Overlay opacity"><output></output></label>' +
      '<button type="button" data-do="fit" title="Whole tile (0)">Whole tile</button>' +
      '<button type="button" data-do="full" title="One screen pixel a tile pixel (1)">1 : 1</button></div>' +
      '<div class="stages"></div><div class="foot"><span>Wheel zooms, drag moves, double click shows the whole tile</span>' +
      '<span class="scale"></span></div>';
    this.range = root.querySelector("input");
    this.range.value = this.opacity * 100;
    this.range.oninput = () => this.setOpacity(this.range.value / 100);
    root.querySelector('[data-do="fit"]').onclick = () => this.move(() => this.view.fit());
    root.querySelector('[data-do="full"]').onclick = () => this.fullSize();
    root.tabIndex = 0;
    root.onkeydown = (event) => this.key(event);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(root);
    this.setOpacity(this.opacity);
    root.tilewright = window.tilewrightCompare = this;
  }

  close() {
    const { width, height, scale } = this.view;
    const centre = this.view.toTile(width / 2, height / 2);
    lastLook = { tile: this.data.tile.id, names: this.names, scale, centre, opacity: this.opacity, hidden: this.hidden };
    this.observer.disconnect();
    this.pyramid?.close();
    cancelAnimationFrame(this.frame);
    if (window.tilewrightCompare === this) delete window.tilewrightCompare;
  }

  show(data) {
    const otherTile = data.tile.id !== this.data?.tile.id || data.tile.version !== this.data?.tile.version;
    const otherPanels = JSON.stringify(data.panels) !== JSON.stringify(this.data?.panels);
    const names = data.panels.map((panel) => panel.name).join("/");
    const otherNames = names !== this.names;
    this.data = data;
    this.names = names;
    this.root.style.setProperty("--tw-height", `${data.height}px`);
    this.root.style.setProperty("--tw-aspect", Math.min(2, Math.max(0.5, data.tile.width / data.tile.height)));
    if (otherTile) this.openTile();
    if (!this.hidden && lastLook?.names === names) this.hidden = lastLook.hidden;
    else if (otherNames) this.hidden = new Set(data.panels.filter((panel) => panel.off).map((panel) => panel.name));
    if (otherTile || otherPanels) this.build();
  }

  openTile() {
    const { tile, base_url: base } = this.data;
    this.pyramid?.close();
    this.view = new View(tile.width, tile.height);
    this.look = lastLook?.tile === tile.id ? lastLook : null;
    this.rasters.clear();
    this.pointer = null;
    this.pyramid = new Pyramid({
      address: (z, x, y) => `${base}/tiles/${tile.id}/${z}/${x}/${y}.jpg?v=${tile.version}`,
      maxZoom: tile.max_zoom, width: tile.width, height: tile.height,
      onLoad: () => this.draw(), onError: () => {},
    });
  }

  build() {
    const toggles = this.root.querySelector(".toggles"), stages = this.root.querySelector(".stages");
    toggles.replaceChildren(...this.data.panels.map((panel) => this.toggle(panel)));
    const shown = this.data.panels.filter((panel) => !this.hidden.has(panel.name));
    this.stages = shown.map((panel) => this.stage(panel));
    stages.replaceChildren(...this.stages.map((stage) => stage.element));
    stages.dataset.count = this.stages.length;
    for (const stage of this.stages) this.load(stage);
    this.resize();
  }

  toggle(panel) {
    const button = element("button", "", panel.name);
    button.type = "button";
    button.setAttribute("aria-pressed", !this.hidden.has(panel.name));
    button.onclick = () => {
      if (!this.hidden.delete(panel.name) && this.stages.length > 1) this.hidden.add(panel.name);
      this.build();
    };
    return button;
  }

  stage(panel) {
    const box = element("figure", "stage"), caption = element("figcaption");
    const title = element("b", "", panel.title), detail = element("span", "detail", panel.detail || "");
    const reading = element("span", "reading"), canvas = element("canvas");
    caption.append(title, detail, reading);
    box.append(caption, canvas);
    const keys = this.legendOf(panel);
    if (keys) box.append(keys);
    canvas.onpointermove = (event) => this.pointerMoved(event, canvas);
    canvas.onpointerdown = (event) => canvas.setPointerCapture(event.pointerId);
    canvas.onpointerleave = () => this.setPointer(null);
    canvas.ondblclick = () => this.move(() => this.view.fit());
    canvas.addEventListener("wheel", (event) => this.wheel(event, canvas), { passive: false });
    return { panel, element: box, canvas, reading, overlay: null, raster: null };
  }

  /** What the colours of an error or difference panel mean. */
  legendOf(panel) {
    const meanings = {
      errors: [[WRONG, "wrong"]],
      difference: this.data.truth
        ? [[DIFFERENCE.a, "only A right"], [DIFFERENCE.b, "only B right"], [DIFFERENCE.neither, "both wrong, and differ"]]
        : [[DIFFERENCE.differ, "A and B differ"]],
    }[panel.kind];
    if (!meanings) return null;
    const list = element("div", "meanings");
    for (const [colour, words] of meanings) {
      const chip = element("i");
      chip.style.background = `rgb(${colour})`;
      const item = element("span");
      item.append(chip, words);
      list.append(item);
    }
    return list;
  }

  async load(stage) {
    const { panel } = stage;
    try {
      if (panel.kind === "raster") {
        stage.raster = await this.raster(panel.address);
        stage.overlay = stage.raster.picture;
      } else if (panel.kind === "errors") {
        const [prediction, truth] = await Promise.all([this.raster(panel.address), this.raster(this.data.truth)]);
        stage.overlay = paintErrors(prediction, truth, WRONG);
      } else if (panel.kind === "difference") {
        const truth = this.data.truth ? this.raster(this.data.truth) : null;
        const [a, b, true_] = await Promise.all([this.raster(panel.a), this.raster(panel.b), truth]);
        stage.overlay = paintDifference(a, b, true_, DIFFERENCE);
      }
      stage.element.dataset.state = "ready";
    } catch (error) {
      stage.element.dataset.state = "failed";
      stage.element.append(element("p", "trouble", `${error.message}`));
    }
    this.draw();
  }

  raster(address) {
    if (!this.rasters.has(address)) this.rasters.set(address, loadRaster(address));
    return this.rasters.get(address);
  }

  resize() {
    const first = this.stages[0]?.canvas.getBoundingClientRect();
    if (!first?.width) return;
    for (const { canvas } of this.stages) {
      canvas.width = Math.round(first.width * devicePixelRatio);
      canvas.height = Math.round(first.height * devicePixelRatio);
    }
    const wasWhole = this.view.width === 1 || Math.abs(this.view.scale / this.view.fitScale - 1) < 1e-6;
    this.view.resize(first.width, first.height);
    if (wasWhole) this.view.fit();
    if (this.look) {
      this.view.scale = this.look.scale;
      this.view.centreOn(this.look.centre);
      this.range.value = this.look.opacity * 100;
      this.setOpacity(this.look.opacity);
      this.look = null;
    }
    this.draw();
  }

  move(change) {
    change();
    this.draw();
  }

  fullSize() {
    const { width, height, scale } = this.view;
    this.move(() => this.view.zoomAt(1 / (scale * devicePixelRatio), width / 2, height / 2));
  }

  setOpacity(value) {
    this.opacity = Math.min(1, Math.max(0, value));
    this.root.querySelector("output").textContent = `${Math.round(this.opacity * 100)} %`;
    this.draw();
  }

  wheel(event, canvas) {
    if (event.deltaY > 0 && this.view.isWhole) return; // nothing to zoom out to: let the page scroll on
    event.preventDefault();
    const { left, top } = canvas.getBoundingClientRect();
    const step = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.move(() => this.view.zoomAt(2 ** (-step / 240), event.clientX - left, event.clientY - top));
  }

  pointerMoved(event, canvas) {
    if (event.buttons & 5) this.view.panBy(event.movementX, event.movementY);
    const { left, top } = canvas.getBoundingClientRect();
    this.setPointer(this.view.toTile(event.clientX - left, event.clientY - top));
  }

  setPointer(point) {
    this.pointer = point;
    for (const stage of this.stages) {
      const found = point && stage.raster ? classAt(stage.raster, point[0], point[1], this.data.tile.width) : null;
      stage.reading.textContent = found === null ? "" : found === UNLABELLED ? "unlabelled" : this.data.classes[found].name;
    }
    this.draw();
  }

  key(event) {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const { width, height } = this.view;
    const step = 60;
    const actions = {
      "0": () => this.view.fit(), "1": () => this.fullSize(),
      "+": () => this.view.zoomAt(1.5, width / 2, height / 2), "=": () => this.view.zoomAt(1.5, width / 2, height / 2),
      "-": () => this.view.zoomAt(1 / 1.5, width / 2, height / 2),
      ArrowLeft: () => this.view.panBy(step, 0), ArrowRight: () => this.view.panBy(-step, 0),
      ArrowUp: () => this.view.panBy(0, step), ArrowDown: () => this.view.panBy(0, -step),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    this.move(actions[event.key]);
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    for (const stage of this.stages) this.drawStage(stage);
    const metres = this.data.tile.metres_per_pixel_x / this.view.scale;
    const bar = scaleBar(metres, 120);
    const scale = this.root.querySelector(".scale");
    scale.textContent = bar.label;
    scale.style.setProperty("--length", `${bar.pixels}px`);
  }

  drawStage({ panel, canvas, overlay }) {
    const context = canvas.getContext("2d"), ratio = devicePixelRatio, { view } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    // Under errors and differences the image is grey, so that no colour of the ground is taken for a mark.
    const marks = panel.kind === "errors" || panel.kind === "difference";
    context.filter = marks ? "grayscale(1)" : "none";
    this.pyramid.draw(context, view, ratio, [0, 0, view.width, view.height]);
    context.filter = "none";
    if (overlay) this.drawOverlay(context, overlay);
    if (this.pointer) this.drawPointer(context);
  }

  drawOverlay(context, overlay) {
    const { view } = this, { width, height } = this.data.tile;
    context.globalAlpha = this.opacity;
    context.imageSmoothingEnabled = view.scale * devicePixelRatio < 1;
    const [left, top] = view.toScreen(0, 0);
    context.drawImage(overlay, left, top, width * view.scale, height * view.scale);
    context.globalAlpha = 1;
  }

  drawPointer(context) {
    const [x, y] = this.view.toScreen(...this.pointer);
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
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
