// Outlined regions on a tile: one or more panels with one zoom, and a list of the regions to go to. Mounted by
// pages/components/region_view.py. Streamlit calls this again whenever the page reruns; the view stays with the tile.

import { Pyramid } from "../paint/pyramid.js";
import { scaleBar, View } from "../paint/view.js";

const mounted = new WeakMap(); // the component's element -> its Regions

export default function mount({ data, parentElement }) {
  let regions = mounted.get(parentElement);
  if (!regions) mounted.set(parentElement, (regions = new Regions(parentElement.querySelector(".tw-regions"))));
  regions.show(data);
  return () => {
    regions.close();
    mounted.delete(parentElement);
  };
}

class Regions {
  constructor(root) {
    this.root = root;
    this.pictures = new Map(); // address -> promise of an image
    this.stages = [];
    this.here = null; // the box that was gone to last
    root.innerHTML =
      '<div class="bar"><button type="button" data-do="fit" title="Whole tile (0)">Whole tile</button>' +
      '<button type="button" data-do="full" title="One screen pixel a tile pixel (1)">1 : 1</button>' +
      '<label class="opacity">Overlay <input type="range" min="0" max="100" value="60" aria-label="Overlay opacity"></label>' +
      '<label class="outline"><input type="checkbox" checked> Outlines</label><span class="scale"></span></div>' +
      '<div class="body"><div class="stages"></div><ol class="list" aria-label="Regions, largest first"></ol></div>';
    this.range = root.querySelector('input[type="range"]');
    this.lines = root.querySelector('input[type="checkbox"]');
    this.range.oninput = this.lines.onchange = () => this.draw();
    root.querySelector('[data-do="fit"]').onclick = () => this.fit();
    root.querySelector('[data-do="full"]').onclick = () => this.fullSize();
    root.tabIndex = 0;
    root.onkeydown = (event) => this.key(event);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(root);
    root.tilewright = window.tilewrightRegions = this;
  }

  close() {
    this.observer.disconnect();
    this.pyramid?.close();
    cancelAnimationFrame(this.frame);
    if (window.tilewrightRegions === this) delete window.tilewrightRegions;
  }

  show(data) {
    const before = this.data;
    if (JSON.stringify(before) === JSON.stringify(data)) return;
    this.data = data;
    this.root.style.setProperty("--tw-height", `${data.height}px`);
    this.root.style.setProperty("--tw-aspect", Math.min(2, Math.max(0.5, data.tile.width / data.tile.height)));
    const otherTile = data.tile.id !== before?.tile.id || data.tile.version !== before?.tile.version;
    if (otherTile) this.openTile();
    this.root.querySelector(".opacity").hidden = !data.panels.some((panel) => panel.overlay);
    this.build();
    if (data.focus && (otherTile || JSON.stringify(data.focus) !== JSON.stringify(before.focus))) this.lookAt(data.focus);
  }

  openTile() {
    const { tile } = this.data;
    this.pyramid?.close();
    this.view = new View(tile.width, tile.height);
    this.here = null;
    this.pictures.clear();
    this.pyramid = new Pyramid({
      address: (z, x, y) => `/tiles/${tile.id}/${z}/${x}/${y}.jpg?v=${tile.version}`,
      maxZoom: tile.max_zoom, width: tile.width, height: tile.height,
      onLoad: () => this.draw(), onError: () => {},
    });
  }

  build() {
    const stages = this.root.querySelector(".stages"), list = this.root.querySelector(".list");
    this.stages = this.data.panels.map((panel) => this.stage(panel));
    stages.replaceChildren(...this.stages.map((stage) => stage.element));
    stages.style.setProperty("--columns", this.stages.length);
    list.hidden = !this.data.regions.length;
    list.replaceChildren(...this.data.regions.map((region, place) => this.listed(region, place)));
    this.root.querySelector(".outline").hidden = !this.data.outline;
    this.root.dataset.state = "loading";
    this.loading = Promise.all(this.stages.map((stage) => this.load(stage))).then(() => {
      this.root.dataset.state = "ready";
    });
    this.resize();
  }

  stage(panel) {
    const box = element("figure", "stage"), caption = element("figcaption"), canvas = element("canvas");
    caption.append(element("b", "", panel.title), element("span", "detail", panel.detail || ""));
    box.append(caption, canvas);
    canvas.onpointermove = (event) => {
      if (event.buttons & 5) this.move(() => this.view.panBy(event.movementX, event.movementY));
    };
    canvas.onpointerdown = (event) => canvas.setPointerCapture(event.pointerId);
    canvas.ondblclick = () => this.fit();
    canvas.addEventListener("wheel", (event) => this.wheel(event, canvas), { passive: false });
    return { panel, element: box, canvas, overlay: null, outline: null };
  }

  listed(region, place) {
    const item = element("li"), button = element("button");
    button.type = "button";
    button.append(element("b", "", `${place + 1}`), element("span", "", region.label));
    button.title = "Go to this region";
    button.onclick = () => this.lookAt(region);
    item.append(button);
    return item;
  }

  async load(stage) {
    try {
      const { outline } = this.data;
      [stage.overlay, stage.outline] = await Promise.all([
        stage.panel.overlay && this.picture(stage.panel.overlay),
        outline && this.picture(outline.address),
      ]);
    } catch (error) {
      stage.element.append(element("p", "trouble", error.message));
    }
    this.drawNow();
  }

  /** A picture from our own server or a data address; a refusal says its reason. */
  picture(address) {
    if (!this.pictures.has(address)) this.pictures.set(address, fetchPicture(address));
    return this.pictures.get(address);
  }

  resize() {
    const first = this.stages[0]?.canvas.getBoundingClientRect();
    if (!first?.width) return;
    for (const { canvas } of this.stages) {
      canvas.width = Math.round(first.width * devicePixelRatio);
      canvas.height = Math.round(first.height * devicePixelRatio);
    }
    this.view.resize(first.width, first.height);
    if (this.here) this.lookAt(this.here);
    this.draw();
  }

  /** Show a box of tile pixels, with some of what lies around it. */
  lookAt(box) {
    this.here = box;
    if (this.view.width === 1) return; // not laid out yet: resize comes back to it
    this.view.lookAt(box);
    for (const [place, item] of [...this.root.querySelectorAll(".list button")].entries())
      item.setAttribute("aria-pressed", same(this.data.regions[place], box));
    this.draw();
  }

  fit() {
    this.here = null;
    for (const item of this.root.querySelectorAll(".list button")) item.setAttribute("aria-pressed", false);
    this.move(() => this.view.fit());
  }

  fullSize() {
    const { width, height, scale } = this.view;
    this.move(() => this.view.zoomAt(1 / (scale * devicePixelRatio), width / 2, height / 2));
  }

  move(change) {
    change();
    this.draw();
  }

  wheel(event, canvas) {
    if (event.deltaY > 0 && this.view.isWhole) return; // nothing to zoom out to: let the page scroll on
    event.preventDefault();
    const { left, top } = canvas.getBoundingClientRect();
    const step = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.move(() => this.view.zoomAt(2 ** (-step / 240), event.clientX - left, event.clientY - top));
  }

  key(event) {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const { width, height } = this.view, step = 60;
    const actions = {
      "0": () => this.fit(), "1": () => this.fullSize(),
      "+": () => this.view.zoomAt(1.5, width / 2, height / 2), "-": () => this.view.zoomAt(1 / 1.5, width / 2, height / 2),
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
    const bar = scaleBar(this.data.tile.metres_per_pixel_x / this.view.scale, 120);
    const scale = this.root.querySelector(".scale");
    scale.textContent = bar.label;
    scale.style.setProperty("--length", `${bar.pixels}px`);
  }

  drawStage({ canvas, overlay, outline }) {
    const context = canvas.getContext("2d"), ratio = devicePixelRatio, { view } = this, { tile } = this.data;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    this.pyramid.draw(context, view, ratio, [0, 0, view.width, view.height]);
    context.imageSmoothingEnabled = view.scale * ratio < 1;
    if (overlay) {
      context.globalAlpha = this.range.value / 100;
      place(context, view, overlay, { top: 0, left: 0, height: tile.height, width: tile.width });
      context.globalAlpha = 1;
    }
    if (outline && this.lines.checked) place(context, view, outline, this.data.outline);
  }
}

function place(context, view, picture, box) {
  const [left, top] = view.toScreen(box.left, box.top);
  context.drawImage(picture, left, top, box.width * view.scale, box.height * view.scale);
}

function same(one, other) {
  return ["top", "left", "height", "width"].every((side) => one[side] === other[side]);
}

async function fetchPicture(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || `${answer.status}`);
  return createImageBitmap(await answer.blob());
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
