// The map of a collection. Leaflet's map is made once by folium and never changes; Python says in a small message what
// is to be seen on it (a layout, colours, a filter, what lies over the images), and this brings it about in place.

import { Legend, NoteControl, OverlayControl, WholeControl } from "./controls.js";
import { Grid, readMarks } from "./grid.js";
import { Hover, hoverText } from "./hover.js";
import { Marks } from "./marks.js";
import { Pictures } from "./pictures.js";

const ZOOM_OFFSET = 12; // core/catalog/maps/mosaic.py
const MAX_ZOOM = 2;

const maps = new WeakMap();

export function show(map, state) {
  if (!maps.has(map)) maps.set(map, new TileMap(map));
  return maps.get(map).show(state);
}

class TileMap {
  constructor(map) {
    this.map = map;
    this.kept = new Map(); // answers by their address: addresses carry versions
    this.hover = new Hover(map);
    this.marks = new Marks();
    this.clicks = 0;
    this.note = new NoteControl().addTo(map);
    new WholeControl({ whole: () => this._fit(true) }).addTo(map);
    this.control = new OverlayControl({ changed: () => this._overlaySettings() }).addTo(map);
    this.legend = new Legend(map);
    map.on("click", (event) => this._click(event));
    map.on("mousemove", (event) => this._move(event));
    map.on("mouseout zoomstart dragstart", () => this.hover.hide());
    window.tilewrightMap.current = this; // for tests
  }

  async show(state) {
    this.state = state;
    const [tiles, layout] = await Promise.all([this._fetch(state.tiles), this._fetch(state.layout)]);
    if (this.state !== state) return;
    const grid = new Grid(layout, tiles);
    if (!grid.fits() || state.marks.length !== grid.count) return; // the folder is being indexed: the next one will fit
    this.control.name(state.overlay?.name ?? null, state.classes);
    if (!this.grid) this._begin(grid);
    // The outlines of another layout, and what lies over it, come together with its pictures, not before.
    const images = this.images.show(state.images);
    this._showOverlay(images);
    if (!(await images) || this.state !== state) return;
    if (this.grid.order !== grid.order) this.overlay.dropFormer();
    this.grid = grid;
    this._showMarks();
  }

  _begin(grid) {
    const { map } = this;
    this.grid = grid;
    this._showMarks();
    this._fit(false);
    map.setMinZoom(grid.minZoom); // afterwards: it would begin to zoom there by itself
    map.setMaxBounds(grid.bounds().pad(0.4));
    const options = {
      minZoom: grid.minZoom, maxZoom: MAX_ZOOM, minNativeZoom: grid.minZoom, maxNativeZoom: 0,
      zoomOffset: ZOOM_OFFSET, noWrap: true, bounds: grid.bounds(), updateWhenZooming: false,
    };
    const told = (what) => (left, of) => this.note.say(left ? `Preparing ${what}: ${of - left} of ${of} tiles` : "");
    this.images = new Pictures(map, { ...options, zIndex: 1 }, told("the far view"));
    this.overlay = new Pictures(map, { ...options, zIndex: 2, className: "tw-mask" }, told("what lies over it"));
    this.marks.addTo(map);
  }

  // All tiles, beside what lies on the map's edges.
  _fit(animate) {
    const below = this.control.box.hidden ? 0 : this.control.box.offsetHeight + 10;
    this.map.fitBounds(this.grid.bounds(), {
      paddingTopLeft: [50, this.legend.height + 8], paddingBottomRight: [8, below + 8], animate,
    });
  }

  _showMarks() {
    const { codes, shown } = readMarks(this.state.marks);
    this.codes = codes;
    this.hover.hide();
    this.legend.paint(this.state, codes, shown);
    const selected = this.state.selected === null ? -1 : this.grid.tiles.ids.indexOf(this.state.selected);
    this.marks.show({ grid: this.grid, codes, shown, colours: this.state.colours, selected });
  }

  _showOverlay(after) {
    const { overlay } = this.state;
    const { opacity, style } = this.control.settings;
    const address = overlay ? overlay.address + (style === "borders" ? "&style=borders" : "") : null;
    return this.overlay.show(address, opacity / 100, after);
  }

  _overlaySettings() {
    this.overlay.opacity(this.control.settings.opacity / 100);
    this._showOverlay();
  }

  _click(event) {
    const number = this._at(event.latlng);
    if (number < 0) return;
    this.clicks += 1; // the same tile may be clicked again after it was closed
    window.Streamlit.setComponentValue({ tile: this.grid.tiles.ids[number], click: `${Date.now()}-${this.clicks}` });
  }

  _move(event) {
    if (!this.codes) return;
    const number = this._at(event.latlng);
    this.map.getContainer().style.cursor = number < 0 ? "" : "pointer";
    this.hover.show(number, event.latlng, () => hoverText(this.state, this.grid.tiles, this.codes, number));
  }

  _at(latlng) {
    return this.grid ? this.grid.at(latlng.lng, -latlng.lat) : -1;
  }

  async _fetch(address) {
    if (!this.kept.has(address)) {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
      this.kept.set(address, await answer.json());
    }
    return this.kept.get(address);
  }
}
