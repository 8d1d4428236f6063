// The label layer: the class raster as an array (for questions) and as a canvas of full resolution (for drawing).
// Every change touches its own rectangle only, so that a brush costs the same on the thousandth stroke.

import { UNLABELLED } from "./classes.js";
import { changeable, FREE } from "./guard.js";
import { Outline } from "./outline.js";

export { UNLABELLED };

export class LabelLayer {
  /** `colours` are the raster's own [red, green, blue] by class index; `shown` are those on the screen. */
  constructor(width, height, colours, shown = colours) {
    Object.assign(this, { width, height, shown });
    this.classes = new Uint8Array(width * height).fill(UNLABELLED);
    this.canvas = document.createElement("canvas");
    this.canvas.width = width;
    this.canvas.height = height;
    this.context = this.canvas.getContext("2d");
    this.classOfColour = new Uint8Array(4096).fill(UNLABELLED); // by the upper half of each channel: quicker than a map
    colours.forEach((colour, index) => { this.classOfColour[shortColour(...colour)] = index; });
    this.changes = 0; // counted, so that what is drawn from the labels knows when it is old
    this.outline = new Outline(this);
  }

  /** The class at a tile point, or null outside the tile. */
  classAt(x, y) {
    const column = Math.floor(x), row = Math.floor(y);
    const inside = column >= 0 && row >= 0 && column < this.width && row < this.height;
    return inside ? this.classes[row * this.width + column] : null;
  }

  /**
   * Paint spans (see rasterise.js) where the guard lets the pixel be changed; returns the rectangle around them {left,
   * top, width, height}, or null.
   */
  paint(spans, classIndex, guard = FREE) {
    if (spans.length === 0) return null;
    this.changes++;
    const open = changeable(guard, classIndex);
    let left = Infinity, top = Infinity, right = 0, bottom = 0;
    this.context.fillStyle = classIndex === UNLABELLED ? "#000" : `rgb(${this.shown[classIndex].join(" ")})`;
    for (let i = 0; i < spans.length; i += 3) {
      const row = spans[i], start = spans[i + 1], end = spans[i + 2];
      if (open) this.#paintOpen(row, start, end, classIndex, open);
      else this.#paintStretch(row, start, end, classIndex);
      left = Math.min(left, start);
      right = Math.max(right, end);
      top = Math.min(top, row);
      bottom = Math.max(bottom, row + 1);
    }
    return { left, top, width: right - left, height: bottom - top };
  }

  #paintStretch(row, start, end, classIndex) {
    this.classes.fill(classIndex, row * this.width + start, row * this.width + end);
    if (classIndex === UNLABELLED) this.context.clearRect(start, row, end - start, 1);
    else this.context.fillRect(start, row, end - start, 1);
  }

  #paintOpen(row, start, end, classIndex, open) {
    const { classes } = this, line = row * this.width;
    for (let from = start; from < end; from++) {
      if (!open[classes[line + from]]) continue;
      let to = from + 1;
      while (to < end && open[classes[line + to]]) to++;
      this.#paintStretch(row, from, to, classIndex);
      from = to;
    }
  }

  /** Replace a rectangle by what the server has: `image` is its palette PNG, decoded, unlabelled transparent. */
  replace({ left, top, width, height }, image) {
    const scratch = document.createElement("canvas");
    Object.assign(scratch, { width, height });
    const context = scratch.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    for (let row = 0, at = 0; row < height; row++) {
      let to = (top + row) * this.width + left;
      for (let column = 0; column < width; column++, at += 4, to++) {
        this.classes[to] = data[at + 3] === 0 ? UNLABELLED : this.classOfColour[shortColour(data[at], data[at + 1], data[at + 2])];
      }
    }
    this.#render({ left, top, width, height });
    scratch.width = scratch.height = 1; // a full tile is 24 MB
  }

  /** Show the classes in other colours. */
  recolour(shown) {
    this.shown = shown;
    this.#render({ left: 0, top: 0, width: this.width, height: this.height });
  }

  #render({ left, top, width, height }) {
    this.changes++;
    const image = this.context.createImageData(width, height);
    const out = new Uint32Array(image.data.buffer), inks = this.inks;
    for (let row = 0, at = 0; row < height; row++) {
      let from = (top + row) * this.width + left;
      for (let column = 0; column < width; column++) out[at++] = inks[this.classes[from++]];
    }
    this.context.putImageData(image, left, top);
  }

  /** For each value of the raster, its colour on the screen as a pixel of an ImageData; unlabelled is transparent. */
  get inks() {
    const inks = new Uint32Array(256);
    this.shown.forEach(([r, g, b], index) => { inks[index] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0; });
    return inks;
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
  drawOutline(context, view, clip) {
    this.outline.draw(context, view, clip);
  }
}

const shortColour = (r, g, b) => ((r >> 4) << 8) | ((g >> 4) << 4) | (b >> 4);
