// A set of pixels shown before it is painted: a tint and an outline that keeps its strength at every zoom.

import { contours } from "./contours.js";

export class MaskOverlay {
  /** `spans` as in contours.js. */
  constructor(spans) {
    this.spans = spans;
    this.path = new Path2D();
    for (const loop of contours(spans)) {
      this.path.moveTo(loop[0], loop[1]);
      for (let i = 2; i < loop.length; i += 2) this.path.lineTo(loop[i], loop[i + 1]);
      this.path.closePath();
    }
    this.pixels = 0;
    for (let i = 0; i < spans.length; i += 3) this.pixels += spans[i + 2] - spans[i + 1];
  }

  /** Draw it in a CSS colour; `tint` is the opacity of its inside. */
  draw(context, view, { ink, tint = 0.35, dashed = false, width = 1.75 }) {
    const onScreen = 1 / view.scale; // a screen pixel in tile pixels
    context.save();
    context.translate(view.left, view.top);
    context.scale(view.scale, view.scale);
    context.globalAlpha = tint;
    context.fillStyle = ink;
    context.fill(this.path);
    context.globalAlpha = 1;
    context.lineJoin = "round";
    context.lineWidth = (width + 2) * onScreen;
    context.strokeStyle = "rgb(0 0 0 / 0.7)"; // dark below light: it shows on snow and on water
    context.stroke(this.path);
    if (dashed) context.setLineDash([6 * onScreen, 4 * onScreen]);
    context.lineWidth = width * onScreen;
    context.strokeStyle = dashed ? "#ffffff" : ink;
    context.stroke(this.path);
    context.restore();
  }
}

/** A sentence beside a screen point, kept inside the view. */
export function drawCaption(context, view, [x, y], text) {
  context.save();
  context.font = "12.5px system-ui, sans-serif";
  const width = context.measureText(text).width + 16, height = 24;
  const left = Math.max(6, Math.min(x + 16, view.width - width - 6));
  const top = y + 16 + height > view.height ? y - 16 - height : y + 16;
  context.fillStyle = "rgb(20 24 22 / 0.86)";
  context.beginPath();
  context.roundRect(left, top, width, height, 6);
  context.fill();
  context.fillStyle = "#ffffff";
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, left + 8, top + height / 2 + 0.5);
  context.restore();
}
