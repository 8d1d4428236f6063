// The window on the tile: `scale` is screen pixels (CSS) a tile pixel; (left, top) is where the tile's corner lies.

const MAX_SCALE = 24;
const KEEP_IN_SIGHT = 64; // CSS pixels of the tile that always stay on the screen

const LOOK_SHARE = 0.55; // of the window is taken by a box that is looked at
const LOOK_SCALE = 4; // nearer, a small box is nothing but squares

export class View {
  constructor(tileWidth, tileHeight) {
    Object.assign(this, { tileWidth, tileHeight, width: 1, height: 1, scale: 1, left: 0, top: 0 });
  }

  /** The scale at which the whole tile is seen. */
  get fitScale() {
    return Math.min((this.width - 24) / this.tileWidth, (this.height - 24) / this.tileHeight);
  }

  /** Whether the whole tile is seen already. */
  get isWhole() {
    return this.scale <= this.fitScale;
  }

  resize(width, height) {
    const middle = this.toTile(this.width / 2, this.height / 2);
    const whole = this.width === 1 || this.isWhole;
    this.width = width;
    this.height = height;
    if (whole) this.fit();
    else this.centreOn(middle);
  }

  fit() {
    this.scale = Math.max(0.01, this.fitScale);
    this.centreOn([this.tileWidth / 2, this.tileHeight / 2]);
  }

  centreOn([x, y]) {
    this.left = this.width / 2 - x * this.scale;
    this.top = this.height / 2 - y * this.scale;
    this.#keepInSight();
  }

  /** Show a box of tile pixels {top, left, height, width} with some of what lies around it. */
  lookAt(box) {
    this.scale = Math.max(this.fitScale, Math.min(LOOK_SCALE, LOOK_SHARE * this.width / box.width, LOOK_SHARE * this.height / box.height));
    this.centreOn([box.left + box.width / 2, box.top + box.height / 2]);
  }

  /** Zoom by a factor; the tile point under the screen point stays there. Farther out than the whole tile is no use. */
  zoomAt(factor, screenX, screenY) {
    if (this.scale * factor <= this.fitScale) {
      this.fit();
      return;
    }
    const [x, y] = this.toTile(screenX, screenY);
    this.scale = Math.min(MAX_SCALE, this.scale * factor);
    this.left = screenX - x * this.scale;
    this.top = screenY - y * this.scale;
    this.#keepInSight();
  }

  panBy(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.#keepInSight();
  }

  toTile(screenX, screenY) {
    return [(screenX - this.left) / this.scale, (screenY - this.top) / this.scale];
  }

  toScreen(tileX, tileY) {
    return [tileX * this.scale + this.left, tileY * this.scale + this.top];
  }

  /** The part of the tile that is seen, in whole tile pixels: left, top, right, bottom. */
  get visible() {
    const [left, top] = this.toTile(0, 0), [right, bottom] = this.toTile(this.width, this.height);
    return [
      Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top)),
      Math.min(this.tileWidth, Math.ceil(right)), Math.min(this.tileHeight, Math.ceil(bottom)),
    ];
  }

  #keepInSight() {
    const width = this.tileWidth * this.scale, height = this.tileHeight * this.scale;
    this.left = Math.min(this.width - KEEP_IN_SIGHT, Math.max(KEEP_IN_SIGHT - width, this.left));
    this.top = Math.min(this.height - KEEP_IN_SIGHT, Math.max(KEEP_IN_SIGHT - height, this.top));
  }
}

/** A round number of metres whose bar is at most `maxPixels` long: {pixels, label}. */
export function scaleBar(metresPerScreenPixel, maxPixels) {
  const most = metresPerScreenPixel * maxPixels;
  const power = 10 ** Math.floor(Math.log10(most));
  const metres = [5, 2, 1].map((step) => step * power).find((length) => length <= most);
  const label = metres >= 1000 ? `${metres / 1000} km` : metres >= 1 ? `${metres} m` : `${Math.round(metres * 100)} cm`;
  return { pixels: metres / metresPerScreenPixel, label };
}
