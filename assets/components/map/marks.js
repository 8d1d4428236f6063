// What is drawn over all tiles: an outline in the tile's colour, a shade where the filter leaves it out, and what is
// selected. One canvas for ten thousand tiles, drawn in one path a colour.

const SHADE = "rgba(30, 34, 41, 0.82)";
const SELECTED = "#ffffff";
const LINE_SHARE = 0.05; // of a tile's side on the screen
const LINE = [1, 4]; // pixels

export const Marks = L.Renderer.extend({
  options: { padding: 0.4, pane: "overlayPane" },

  show(look) {
    this._look = look;
    if (this._map) this._update();
  },

  _initContainer() {
    this._container = document.createElement("canvas");
    this._container.className = "tw-marks";
    this._context = this._container.getContext("2d");
  },

  _destroyContainer() {
    this._container.remove();
  },

  _update() {
    if (this._map._animatingZoom && this._bounds) return;
    L.Renderer.prototype._update.call(this);
    const size = this._bounds.getSize();
    const density = window.devicePixelRatio || 1;
    const canvas = this._container;
    L.DomUtil.setPosition(canvas, this._bounds.min);
    canvas.width = Math.round(size.x * density);
    canvas.height = Math.round(size.y * density);
    canvas.style.width = `${size.x}px`;
    canvas.style.height = `${size.y}px`;
    if (this._look) this._paint(density);
  },

  _updatePaths() {}, // Leaflet's renderers redraw their vectors here: this one has none

  _paint(density) {
    const { grid, codes, shown, colours, selected } = this._look;
    const scale = this._map.getZoomScale(this._map.getZoom(), 0);
    const origin = this._map.latLngToLayerPoint([0, 0]).subtract(this._bounds.min);
    const context = this._context;
    context.setTransform(density, 0, 0, density, origin.x * density, origin.y * density);
    const size = this._bounds.getSize();
    const seen = grid.within(
      -origin.x / scale, -origin.y / scale, (size.x - origin.x) / scale, (size.y - origin.y) / scale,
    );
    const line = Math.max(LINE[0], Math.min(LINE[1], LINE_SHARE * grid.cellWidth * scale));
    const paths = colours.map(() => new Path2D());
    const shade = new Path2D();
    for (let row = seen.rows[0]; row <= seen.rows[1]; row += 1) {
      for (let column = seen.columns[0]; column <= seen.columns[1]; column += 1) {
        const place = row * grid.columns + column;
        if (place >= grid.count) break;
        const number = grid.order[place];
        const [left, top, width, height] = grid.box(place).map((value) => value * scale);
        if (shown[number]) paths[codes[number]].rect(left + line / 2, top + line / 2, width - line, height - line);
        else shade.rect(left - 0.5, top - 0.5, width + 1, height + 1);
      }
    }
    context.fillStyle = SHADE;
    context.fill(shade);
    context.lineWidth = line;
    paths.forEach((path, code) => {
      context.strokeStyle = colours[code];
      context.stroke(path);
    });
    if (selected >= 0) this._paintSelected(grid.box(grid.places[selected]).map((value) => value * scale));
  },

  _paintSelected([left, top, width, height]) {
    const context = this._context;
    for (const [line, colour] of [[6, "rgba(0, 0, 0, 0.75)"], [3, SELECTED]]) {
      context.lineWidth = line;
      context.strokeStyle = colour;
      context.strokeRect(left - 1.5, top - 1.5, width + 3, height + 3);
    }
  },
});
