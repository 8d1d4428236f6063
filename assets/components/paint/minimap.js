// The whole tile in a corner, with the part that is seen framed. A click or drag there moves the view; it can be folded,
// and is away while the whole tile is seen: it would only cover a corner that is to be painted.

const SIDE = 132; // CSS pixels of the longer side
const LABELS_EVERY = 400; // milliseconds: the small labels need not follow every stroke at once

export class Minimap {
  constructor(root, painter) {
    Object.assign(this, { root, painter, drawn: 0 });
    this.canvas = root.querySelector("canvas");
    this.frame = root.querySelector("i");
    const go = (event) => {
      const { left, top } = this.canvas.getBoundingClientRect();
      painter.view.centreOn([(event.clientX - left) / this.scale, (event.clientY - top) / this.scale]);
      painter.screen.redraw();
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons && go(event));
  }

  close() {
    clearTimeout(this.timer);
  }

  opened() {
    const { tile } = this.painter;
    this.scale = SIDE / Math.max(tile.width, tile.height);
    this.ratio = window.devicePixelRatio || 1;
    const width = Math.round(tile.width * this.scale), height = Math.round(tile.height * this.scale);
    Object.assign(this.canvas, { width: width * this.ratio, height: height * this.ratio });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
  }

  /** Follow the view now, and the picture a little later. */
  update(pictureChanged) {
    const { painter, frame, scale } = this, shown = painter.settings.minimap;
    this.root.hidden = painter.view.isWhole;
    this.canvas.hidden = frame.hidden = !shown;
    if (!shown || painter.view.isWhole) return;
    const [left, top, right, bottom] = painter.view.visible.map((edge) => edge * scale);
    Object.assign(frame.style, { transform: `translate(${left}px, ${top}px)`, width: `${Math.max(4, right - left)}px`, height: `${Math.max(4, bottom - top)}px` });
    if (pictureChanged && !this.timer) this.timer = setTimeout(() => this.#draw(), LABELS_EVERY);
  }

  #draw() {
    this.timer = null;
    const { painter, canvas } = this, context = canvas.getContext("2d");
    if (!painter.pyramid.drawWhole(context, 0, 0, canvas.width, canvas.height) || painter.hidden) return;
    context.globalAlpha = painter.settings.opacity;
    context.imageSmoothingEnabled = false; // quick
    context.drawImage(painter.labels.canvas, 0, 0, canvas.width, canvas.height);
    context.globalAlpha = 1;
  }
}
