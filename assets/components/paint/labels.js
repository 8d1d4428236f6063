// The label layer: the class raster as an array (for questions) and as a canvas of full resolution (for drawing).
// Every change touches its own rectangle only, so that a brush costs the same on the thousandth stroke.

export const UNLABELLED = 255;

export class LabelLayer {
  /** `colours` are [red, green, blue] by class index. */
  constructor(width, height, colours) {
    Object.assign(this, { width, height, colours });
    this.classes = new Uint8Array(width * height).fill(UNLABELLED);
    this.canvas = document.createElement("canvas");
    this.canvas.width = width;
    this.canvas.height = height;
    this.context = this.canvas.getContext("2d");
    this.scratch = document.createElement("canvas");
    this.byColour = new Map(colours.map(([r, g, b], index) => [(r << 16) | (g << 8) | b, index]));
    this.outline = document.createElement("canvas");
  }

  /** The class at a tile point, or null outside the tile. */
  classAt(x, y) {
    const column = Math.floor(x), row = Math.floor(y);
    const inside = column >= 0 && row >= 0 && column < this.width && row < this.height;
    return inside ? this.classes[row * this.width + column] : null;
  }

  /** Paint spans (see rasterise.js); returns the changed rectangle {left, top, width, height}, or null. */
  paint(spans, classIndex) {
    if (spans.length === 0) return null;
    let left = Infinity, top = Infinity, right = 0, bottom = 0;
    this.context.fillStyle = classIndex === UNLABELLED ? "#000" : `rgb(${this.colours[classIndex].join(" ")})`;
    for (let i = 0; i < spans.length; i += 3) {
      const row = spans[i], start = spans[i + 1], end = spans[i + 2];
      this.classes.fill(classIndex, row * this.width + start, row * this.width + end);
      if (classIndex === UNLABELLED) this.context.clearRect(start, row, end - start, 1);
      else this.context.fillRect(start, row, end - start, 1);
      left = Math.min(left, start);
      right = Math.max(right, end);
      top = Math.min(top, row);
      bottom = Math.max(bottom, row + 1);
    }
    return { left, top, width: right - left, height: bottom - top };
  }

  /** Replace a rectangle by what the server has: `image` is its palette PNG, decoded, unlabelled transparent. */
  replace({ left, top, width, height }, image) {
    this.scratch.width = width;
    this.scratch.height = height;
    const context = this.scratch.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, width, height).data;
    for (let row = 0, at = 0; row < height; row++) {
      let to = (top + row) * this.width + left;
      for (let column = 0; column < width; column++, at += 4, to++) {
        this.classes[to] = pixels[at + 3] === 0
          ? UNLABELLED
          : this.byColour.get((pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2]);
      }
    }
    this.context.clearRect(left, top, width, height);
    this.context.drawImage(image, left, top);
    this.scratch.width = this.scratch.height = 1; // a full tile is 24 MB
  }

  /** Draw the part that the view shows, filled. */
  drawFilled(context, view, opacity) {
    const [left, top, right, bottom] = view.visible;
    if (right <= left || bottom <= top) return;
    const [x, y] = view.toScreen(left, top);
    context.save();
    context.globalAlpha = opacity;
    context.imageSmoothingEnabled = view.scale < 1;
    const width = right - left, height = bottom - top;
    context.drawImage(this.canvas, left, top, width, height, x, y, width * view.scale, height * view.scale);
    context.restore();
  }

  /** Draw the borders of the labelled regions, as lines of the same strength at every zoom. */
  drawOutline(context, view) {
    const width = Math.ceil(view.width), height = Math.ceil(view.height);
    this.outline.width = width;
    this.outline.height = height;
    const outline = this.outline.getContext("2d");
    const image = outline.createImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    const inks = this.colours.map(([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r);
    const columns = Int32Array.from({ length: width }, (_, x) => {
      const column = Math.floor(view.toTile(x + 0.5, 0)[0]);
      return column < 0 || column >= this.width ? -1 : column;
    });
    let above = new Uint8Array(width).fill(UNLABELLED), here = new Uint8Array(width);
    for (let y = 0; y < height; y++) {
      const row = Math.floor(view.toTile(0, y + 0.5)[1]);
      const inside = row >= 0 && row < this.height;
      for (let x = 0; x < width; x++) {
        const is = inside && columns[x] >= 0 ? this.classes[row * this.width + columns[x]] : UNLABELLED;
        here[x] = is;
        const at = y * width + x;
        for (const [was, from] of [[x > 0 ? here[x - 1] : is, at - 1], [above[x], at - width]]) {
          if (was === is || from < 0) continue;
          out[at] = inks[is === UNLABELLED ? was : is]; // both sides: two pixels wide
          out[from] = inks[was === UNLABELLED ? is : was];
        }
      }
      [above, here] = [here, above];
    }
    outline.putImageData(image, 0, 0);
    context.drawImage(this.outline, 0, 0);
  }
}
