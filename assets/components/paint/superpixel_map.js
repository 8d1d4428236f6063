// Superpixels of a tile: which one a pixel belongs to, and which pixels it has. The server sends ids at
// half resolution; tile pixel (row, column) belongs to cell (row // 2, column // 2), as in core/labels/superpixels.py.

/** The runs of every superpixel, in one pass: `runs` are (row, start, end) in cells, those of number i from first[i] on. */
export function superpixelRuns(ids, columns, rows) {
  let most = 0, count = 0;
  forEachRun(ids, columns, rows, (id) => { most = Math.max(most, id); count++; });
  const first = new Uint32Array(most + 2);
  forEachRun(ids, columns, rows, (id) => { first[id + 1]++; });
  for (let id = 0; id <= most; id++) first[id + 1] += first[id];
  const next = first.slice(), runs = new Uint16Array(3 * count);
  forEachRun(ids, columns, rows, (id, row, start, end) => runs.set([row, start, end], 3 * next[id]++));
  return { first, runs };
}

function forEachRun(ids, columns, rows, take) {
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    for (let start = 0, end = 1; start < columns; start = end, end++) {
      const id = ids[at + start];
      while (end < columns && ids[at + end] === id) end++;
      take(id, row, start, end);
    }
  }
}

export class SuperpixelMap {
  /** From the worker: {ids, columns, rows, first, runs}; `tile` has width and height. */
  constructor(arrays, tile) {
    Object.assign(this, arrays, { width: tile.width, height: tile.height });
  }

  /** The number of the superpixel at a tile point, or null outside the tile. */
  at([x, y]) {
    const column = Math.floor(x), row = Math.floor(y);
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return null;
    return this.ids[(row >> 1) * this.columns + (column >> 1)];
  }

  /** The pixels of a superpixel as spans of the tile (see rasterise.js), row by row. */
  spans(id) {
    const spans = [];
    for (let i = this.first[id]; i < this.first[id + 1];) {
      const row = this.runs[3 * i];
      let behind = i;
      while (behind < this.first[id + 1] && this.runs[3 * behind] === row) behind++;
      for (let line = 2 * row; line < Math.min(2 * row + 2, this.height); line++) {
        for (let run = i; run < behind; run++) {
          spans.push(line, 2 * this.runs[3 * run + 1], Math.min(2 * this.runs[3 * run + 2], this.width));
        }
      }
      i = behind;
    }
    return spans;
  }

  /** The superpixels that the way between two tile points crosses, in order; it looks at every cell's width. */
  between(from, to) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / 2));
    const crossed = new Set();
    for (let step = 0; step <= steps; step++) {
      const share = step / steps;
      const id = this.at([from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]);
      if (id !== null) crossed.add(id);
    }
    return crossed;
  }
}
