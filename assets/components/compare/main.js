// Panels side by side on one tile, for Evaluate and others. Mounted by pages/components/image_pair.py.
// Streamlit calls this again whenever the page reruns with other data; view, opacity and shown panels stay.

import { paletteColours } from "../paint/palettes.js";
import { errorLayer, differenceLayer, ERROR, maskLayer, WHO } from "./layers.js";
import { codeAt, loadMask, Rasters } from "./rasters.js";
import { className, make, showScale, Stages } from "./stages.js";

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
    this.hidden = null; // names of panels switched off; null until the first data says its defaults
    this.rasters = new Rasters(loadMask);
    root.innerHTML =
      '<div class="bar"><div class="toggles" role="group" aria-label="Panels"></div><label class="opacity">Overlay ' +
      '<input type="range" min="0" max="100" aria-label="Overlay opacity"><output></output></label>' +
      '<button type="button" data-do="fit" title="Whole tile (0)">Whole tile</button>' +
      '<button type="button" data-do="full" title="One screen pixel a tile pixel (1)">1 : 1</button></div>' +
      '<div class="stages"></div><div class="foot"><span>Wheel zooms, drag moves, double click shows the whole tile</span>' +
      '<span class="scale"></span></div>';
    this.stages = new Stages(root.querySelector(".stages"), {
      onPointer: (point) => this.read(point),
      onScale: (bar) => showScale(root.querySelector(".scale"), bar),
    });
    this.range = root.querySelector("input");
    this.range.oninput = () => this.setOpacity(this.range.value / 100);
    root.querySelector('[data-do="fit"]').onclick = () => this.stages.move(() => this.stages.view.fit());
    root.querySelector('[data-do="full"]').onclick = () => this.stages.fullSize();
    root.tabIndex = 0;
    root.onkeydown = (event) => this.key(event);
    this.setOpacity(0.6);
    root.tilewright = window.tilewrightCompare = this;
  }

  close() {
    const { view, opacity } = this.stages, { hidden, names } = this;
    const centre = view.toTile(view.width / 2, view.height / 2);
    lastLook = { tile: this.data.tile.id, names, scale: view.scale, centre, opacity, hidden };
    this.stages.close();
    if (window.tilewrightCompare === this) delete window.tilewrightCompare;
  }

  show(data) {
    const otherTile = data.tile.id !== this.data?.tile.id || data.tile.version !== this.data?.tile.version;
    const otherPanels = JSON.stringify(data.panels) !== JSON.stringify(this.data?.panels);
    const names = data.panels.map((panel) => panel.name).join("/");
    const otherPalette = this.data && data.palette !== this.data.palette;
    const otherNames = names !== this.names;
    this.data = data;
    this.names = names;
    this.stages.base = data.base_url;
    this.root.style.setProperty("--tw-height", `${data.height}px`);
    this.root.style.setProperty("--tw-aspect", Math.min(2, Math.max(0.5, data.tile.width / data.tile.height)));
    if (otherTile) this.openTile();
    if (!this.hidden && lastLook?.names === names) this.hidden = lastLook.hidden;
    else if (otherNames) this.hidden = new Set(data.panels.filter((panel) => panel.off).map((panel) => panel.name));
    if (otherTile || otherPanels || otherPalette) this.build();
  }

  openTile() {
    this.stages.openTile(this.data.tile);
    if (lastLook?.tile !== this.data.tile.id) return;
    this.stages.look = lastLook;
    this.range.value = lastLook.opacity * 100;
    this.setOpacity(lastLook.opacity);
  }

  build() {
    this.root.querySelector(".toggles").replaceChildren(...this.data.panels.map((panel) => this.toggle(panel)));
    this.shown = this.data.panels.filter((panel) => !this.hidden.has(panel.name)).map((panel) => ({ panel, layer: null }));
    this.draw();
    for (const shown of this.shown) this.load(shown);
  }

  draw() {
    this.stages.set(
      this.shown.map(({ panel, layer, trouble }) => ({
        title: panel.title, detail: panel.detail, layer, trouble, legend: this.legendOf(panel),
      })),
    );
  }

  toggle(panel) {
    const button = make("button", "", panel.name);
    button.type = "button";
    button.setAttribute("aria-pressed", !this.hidden.has(panel.name));
    button.onclick = () => {
      if (!this.hidden.delete(panel.name) && this.shown.length > 1) this.hidden.add(panel.name);
      this.build();
    };
    return button;
  }

  /** What the colours of an error or difference panel mean. */
  legendOf(panel) {
    if (panel.kind === "errors") return [ERROR];
    if (panel.kind === "difference") return this.data.truth ? [WHO.a, WHO.b, WHO.neither] : [WHO.differ];
    return [];
  }

  async load(shown) {
    const { panel } = shown, { truth } = this.data;
    try {
      const addresses = { image: [], raster: [panel.address], errors: [panel.address, truth], difference: [panel.a, panel.b, truth] };
      const found = await Promise.all(addresses[panel.kind].map((address) => address && this.rasters.get(address)));
      const layers = {
        image: () => undefined,
        raster: () => maskLayer(found[0], paletteColours(this.data.palette, this.data.classes)),
        errors: () => errorLayer(...found),
        difference: () => differenceLayer(...found),
      };
      shown.layer = layers[panel.kind]();
      shown.raster = panel.kind === "raster" ? found[0] : null;
    } catch (error) {
      shown.trouble = error.message;
    }
    if (this.shown.includes(shown)) this.draw();
  }

  setOpacity(value) {
    this.stages.opacity = Math.min(1, Math.max(0, value));
    this.range.value = this.stages.opacity * 100;
    this.root.querySelector("output").textContent = `${Math.round(this.stages.opacity * 100)} %`;
    this.stages.draw();
  }

  read(point) {
    this.shown.forEach(({ raster }, i) => {
      const code = point && raster ? codeAt(raster, ...point, this.data.tile.width) : null;
      this.stages.stages[i].reading.textContent = className(code, this.data.classes);
    });
  }

  key(event) {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const { stages } = this, step = 60;
    const pan = (x, y) => () => stages.move(() => stages.view.panBy(x, y));
    const actions = {
      "0": () => stages.move(() => stages.view.fit()), "1": () => stages.fullSize(),
      "+": () => stages.zoomBy(1.5), "=": () => stages.zoomBy(1.5), "-": () => stages.zoomBy(1 / 1.5),
      ArrowLeft: pan(step, 0), ArrowRight: pan(-step, 0), ArrowUp: pan(0, step), ArrowDown: pan(0, -step),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}
