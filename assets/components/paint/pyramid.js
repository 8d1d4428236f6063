// The tile's image, in squares of 256 pixels at the level that the zoom needs. A square that has not arrived yet is
// drawn from a coarser one, so that panning never shows holes.

import { adjusted, isPlain, lookupTable } from "./image_adjustment.js";

const SQUARE = 256;
const KEPT = 320; // squares in memory: some 80 MB

export class Pyramid {
  /** `address(z, x, y)` gives a square's URL; `maxZoom` is the level of native resolution. */
  constructor({ address, maxZoom, width, height, onLoad, onError }) {
    Object.assign(this, { address, maxZoom, width, height, onLoad, onError });
    this.squares = new Map(); // "z/x/y" -> {image, state}, least recently used first
    this.closed = false;
    this.settings = null; // of the image's looks, where it is not shown as it is
  }

  close() {
    this.closed = true;
    this.squares.clear();
  }

  /** Show the image adjusted (see image_adjustment.js) from now on. */
  adjust(settings) {
    this.settings = isPlain(settings) ? null : settings;
    this.table = this.settings && lookupTable(settings);
  }

  /** What to draw of a square that has arrived: its image, or that adjusted, made when it is first seen. */
  #picture(square) {
    if (!this.settings) return square.image;
    if (square.settings !== this.settings) {
      square.adjusted = adjusted(square.image, this.settings, this.table);
      square.settings = this.settings;
    }
    return square.adjusted;
  }

  /** Draw the whole tile small, into a rectangle of the context; false while it has not arrived. */
  drawWhole(context, x, y, width, height) {
    const whole = this.#square(0, 0, 0);
    if (whole.state !== "ready") return false;
    const step = 2 ** this.maxZoom;
    context.drawImage(this.#picture(whole), 0, 0, Math.min(this.width / step, whole.image.naturalWidth), Math.min(this.height / step, whole.image.naturalHeight), x, y, width, height);
    return true;
  }

  /** Draw what the view shows; `clip` (left, top, right, bottom on the screen) limits it. */
  draw(context, view, ratio, clip) {
    const level = Math.min(this.maxZoom, Math.max(0, Math.ceil(this.maxZoom + Math.log2(view.scale * ratio) - 0.25)));
    const side = SQUARE * 2 ** (this.maxZoom - level); // a square's side in tile pixels
    const [left, top] = view.toTile(clip[0], clip[1]), [right, bottom] = view.toTile(clip[2], clip[3]);
    const lastX = Math.ceil(Math.min(right, this.width) / side), lastY = Math.ceil(Math.min(bottom, this.height) / side);
    context.imageSmoothingEnabled = view.scale * ratio < 4;
    context.imageSmoothingQuality = "medium";
    this.#square(0, 0, 0); // the fallback of all others
    for (let y = Math.max(0, Math.floor(top / side)); y < lastY; y++) {
      for (let x = Math.max(0, Math.floor(left / side)); x < lastX; x++) this.#drawSquare(context, view, ratio, level, x, y);
    }
  }

  #drawSquare(context, view, ratio, level, x, y) {
    let shown = this.#square(level, x, y);
    let up = 0;
    while (shown.state !== "ready" && up < level) {
      up++;
      const coarser = this.squares.get(`${level - up}/${x >> up}/${y >> up}`);
      if (coarser) shown = coarser;
    }
    if (shown.state !== "ready") return;
    const step = 2 ** (this.maxZoom - level); // tile pixels a level pixel
    const left = x * SQUARE * step, top = y * SQUARE * step;
    const right = Math.min(left + SQUARE * step, this.width), bottom = Math.min(top + SQUARE * step, this.height);
    const shownStep = 2 ** (this.maxZoom - shown.z);
    const sourceLeft = left / shownStep - shown.x * SQUARE, sourceTop = top / shownStep - shown.y * SQUARE;
    // Whole device pixels, or hairlines would show between neighbours.
    const snap = (value) => Math.round(value * ratio) / ratio;
    const [x0, y0] = view.toScreen(left, top).map(snap), [x1, y1] = view.toScreen(right, bottom).map(snap);
    context.drawImage(
      this.#picture(shown), sourceLeft, sourceTop,
      Math.min((right - left) / shownStep, shown.image.naturalWidth - sourceLeft),
      Math.min((bottom - top) / shownStep, shown.image.naturalHeight - sourceTop),
      x0, y0, x1 - x0, y1 - y0,
    );
  }

  #square(z, x, y) {
    const key = `${z}/${x}/${y}`;
    let square = this.squares.get(key);
    if (square) {
      this.squares.delete(key); // to the end: used last
      this.squares.set(key, square);
      return square;
    }
    square = { z, x, y, image: new Image(), state: "loading" };
    this.squares.set(key, square);
    if (this.squares.size > KEPT) this.squares.delete(this.squares.keys().next().value);
    square.image.src = this.address(z, x, y);
    square.image.decode().then(
      () => { square.state = "ready"; if (!this.closed) this.onLoad(); },
      () => { square.state = "failed"; if (!this.closed) this.#failed(key, z); },
    );
    return square;
  }

  #failed(key, z) {
    this.onError();
    setTimeout(() => { // asked for again, should it be in sight
      if (this.closed) return;
      this.squares.delete(key);
      this.onLoad();
    }, z === 0 ? 1500 : 4000);
  }
}
