// The borders of the labelled regions on the screen, two pixels wide at every zoom. Each screen pixel is compared with
// its left and upper neighbour, on rows of classes sampled once; only the part of the screen that changed is looked at.

export class Outline {
  constructor(labels) {
    this.labels = labels;
    this.canvas = document.createElement("canvas");
  }

  /** `clip` is what to draw of the screen: left, top, right, bottom in whole CSS pixels. */
  draw(context, view, [left, top, right, bottom]) {
    const width = right - left, height = bottom - top;
    if (width <= 0 || height <= 0) return;
    if (this.canvas.width < width || this.canvas.height < height) {
      this.canvas.width = Math.max(this.canvas.width, width);
      this.canvas.height = Math.max(this.canvas.height, height);
    }
    const pen = this.canvas.getContext("2d", { willReadFrequently: true });
    const image = pen.createImageData(width, height);
    this.#trace(new Uint32Array(image.data.buffer), view, left, top, width, height);
    pen.putImageData(image, 0, 0);
    context.drawImage(this.canvas, 0, 0, width, height, left, top, width, height);
  }

  #trace(out, view, left, top, width, height) {
    const { inks, classes, width: wide, height: high } = this.labels;
    const columns = new Int32Array(width);
    for (let x = 0; x < width; x++) {
      const column = Math.floor(view.toTile(left + x + 0.5, 0)[0]);
      columns[x] = column >= 0 && column < wide ? column : -1;
    }
    let above = null, here = new Uint8Array(width), other = new Uint8Array(width), lastRow = null;
    for (let y = 0; y < height; y++) {
      const row = Math.floor(view.toTile(0, top + y + 0.5)[1]), at = y * width;
      if (row === lastRow) { // zoomed in, a tile row covers several of the screen: the upright borders go on
        for (let x = 1; x < width; x++) if (here[x] !== here[x - 1]) border(out, inks, at + x, at + x - 1, here[x], here[x - 1]);
        continue;
      }
      above = lastRow === null ? null : here;
      here = other;
      other = above ?? new Uint8Array(width);
      const line = row >= 0 && row < high ? row * wide : -1;
      for (let x = 0; x < width; x++) here[x] = line < 0 || columns[x] < 0 ? 255 : classes[line + columns[x]];
      for (let x = 1; x < width; x++) if (here[x] !== here[x - 1]) border(out, inks, at + x, at + x - 1, here[x], here[x - 1]);
      if (above) for (let x = 0; x < width; x++) if (here[x] !== above[x]) border(out, inks, at + x, at + x - width, here[x], above[x]);
      lastRow = row;
    }
  }
}

/** Both sides of a border in their own colour; an unlabelled side in the other's. */
function border(out, inks, at, from, is, was) {
  out[at] = inks[is] || inks[was];
  out[from] = inks[was] || inks[is];
}
