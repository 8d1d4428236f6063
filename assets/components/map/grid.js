// The grid that tiles lie on. Coordinates are pixels of the tiles, y down; Leaflet's CRS Simple has latitude -y.

export class Grid {
  // layout: what layout.json says; tiles: what tiles.json says.
  constructor(layout, tiles) {
    Object.assign(this, layout);
    this.tiles = tiles;
    this.count = this.order.length;
    this.places = new Int32Array(this.count); // of each tile, by its number
    this.order.forEach((number, place) => { this.places[number] = place; });
  }

  fits() {
    return this.count === this.tiles.ids.length;
  }

  // Left, top, width and height of the tile in a place.
  box(place) {
    const number = this.order[place];
    return [
      (place % this.columns) * this.cellWidth,
      Math.floor(place / this.columns) * this.cellHeight,
      this.tiles.widths[number],
      this.tiles.heights[number],
    ];
  }

  // The number of the tile at a point, or -1 between tiles.
  at(x, y) {
    const column = Math.floor(x / this.cellWidth);
    const row = Math.floor(y / this.cellHeight);
    const place = row * this.columns + column;
    if (column < 0 || row < 0 || column >= this.columns || place >= this.count) return -1;
    const [left, top, width, height] = this.box(place);
    return x - left < width && y - top < height ? this.order[place] : -1;
  }

  // First and last column and row that touch a box.
  within(left, top, right, bottom) {
    const rows = Math.ceil(this.count / this.columns);
    return {
      columns: [Math.max(0, Math.floor(left / this.cellWidth)), Math.min(this.columns - 1, Math.floor(right / this.cellWidth))],
      rows: [Math.max(0, Math.floor(top / this.cellHeight)), Math.min(rows - 1, Math.floor(bottom / this.cellHeight))],
    };
  }

  bounds() {
    return L.latLngBounds([-this.height, 0], [0, this.width]);
  }
}

// A tile's mark is one character: twice the number of its colour, and one more where the filter shows it.
export const FIRST_MARK = 48;

export function readMarks(text) {
  const codes = new Uint8Array(text.length);
  const shown = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) {
    const mark = text.charCodeAt(i) - FIRST_MARK;
    codes[i] = mark >> 1;
    shown[i] = mark & 1;
  }
  return { codes, shown };
}
