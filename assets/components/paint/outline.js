// The borders of the labelled regions on the screen, two pixels wide at every zoom. Each screen pixel is compared with
// its left and upper neighbour. What was drawn is kept: moving the tile shifts it and looks only at the strips that came
// into sight, and a stroke only at its own rectangle, so that neither depends on the size of the screen.

const MARGIN = 1; // pixels looked at beyond what is drawn: a border belongs to both its sides

export class Outline {
  constructor(labels) {
    this.labels = labels;
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.kept = null; // {scale, left, top, changes}: what the canvas shows
  }

  /** `clip` is what to draw of the screen: left, top, right, bottom in whole CSS pixels. */
  draw(context, view, clip) {
    for (const part of this.#outdated(view, clip)) this.#trace(view, part);
    this.kept = { scale: view.scale, left: view.left, top: view.top, changes: this.labels.changes };
    const [left, top, right, bottom] = clip, width = right - left, height = bottom - top;
    context.drawImage(this.canvas, left, top, width, height, left, top, width, height);
  }

  /** The parts of the screen to look at anew. */
  #outdated(view, clip) {
    const { canvas, pen, kept, labels } = this;
    const width = Math.ceil(view.width), height = Math.ceil(view.height), whole = [0, 0, width, height];
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
      return [whole];
    }
    if (kept?.scale !== view.scale) return [whole];
    const dx = nearlyWhole(view.left - kept.left), dy = nearlyWhole(view.top - kept.top);
    const changed = kept.changes !== labels.changes;
    if (dx === 0 && dy === 0) return changed ? [clip] : [];
    // Only whole pixels can be shifted without blurring; and a stroke drawn while moving may be anywhere.
    if (changed || !Number.isInteger(dx) || !Number.isInteger(dy) || Math.abs(dx) >= width || Math.abs(dy) >= height) return [whole];
    pen.globalCompositeOperation = "copy";
    pen.drawImage(canvas, dx, dy);
    const strips = [];
    if (dx !== 0) strips.push(dx > 0 ? [0, 0, dx + MARGIN, height] : [width + dx - MARGIN, 0, width, height]);
    if (dy !== 0) strips.push(dy > 0 ? [0, 0, width, dy + MARGIN] : [0, height + dy - MARGIN, width, height]);
    return strips;
  }

  #trace(view, [left, top, right, bottom]) {
    const fromX = left - MARGIN, fromY = top - MARGIN, width = right - left + 2 * MARGIN, height = bottom - top + 2 * MARGIN;
    const image = this.pen.createImageData(width, height), out = new Uint32Array(image.data.buffer);
    const { inks, classes, width: wide, height: high } = this.labels;
    const columns = Int32Array.from({ length: width }, (_, x) => {
      const column = Math.floor((fromX + x + 0.5 - view.left) / view.scale);
      return column >= 0 && column < wide ? column : -1;
    });
    let above = null, here = new Uint8Array(width), lastRow = null;
    for (let y = 0; y < height; y++) {
      const row = Math.floor((fromY + y + 0.5 - view.top) / view.scale), at = y * width;
      if (row !== lastRow) { // zoomed in, a tile row covers several of the screen
        const spare = above ?? new Uint8Array(width);
        if (lastRow !== null) above = here;
        here = lastRow === null ? here : spare;
        readRow(here, columns, classes, row >= 0 && row < high ? row * wide : -1);
        if (lastRow !== null) {
          for (let x = 0; x < width; x++) if (here[x] !== above[x]) border(out, inks, at + x, at + x - width, here[x], above[x]);
        }
        lastRow = row;
      }
      for (let x = 1; x < width; x++) if (here[x] !== here[x - 1]) border(out, inks, at + x, at + x - 1, here[x], here[x - 1]);
    }
    this.pen.putImageData(image, fromX, fromY, MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN);
  }
}

function readRow(here, columns, classes, line) {
  if (line < 0) here.fill(255);
  else for (let x = 0; x < here.length; x++) here[x] = columns[x] < 0 ? 255 : classes[line + columns[x]];
}

/** A distance of whole pixels loses its last digits when it is added to a fraction. */
function nearlyWhole(distance) {
  const whole = Math.round(distance);
  return Math.abs(distance - whole) < 1e-6 ? whole : distance;
}

/** Both sides of a border in their own colour; an unlabelled side in the other's. */
function border(out, inks, at, from, is, was) {
  out[at] = inks[is] || inks[was];
  out[from] = inks[was] || inks[is];
}
