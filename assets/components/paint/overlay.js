// What lies over the picture and belongs to no pixel: the cursor, the shape in the air, the scale bar.

import { UNLABELLED } from "./labels.js";
import { scaleBar } from "./view.js";

export function drawOverlay(context, { painter, pointer, panning, ratio, classes }) {
  const { view } = painter;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  const ink = painter.paintClass === UNLABELLED ? "#ffffff" : `rgb(${classes[painter.paintClass].colour.join(" ")})`;
  if (painter.shape?.corners) drawShape(context, painter, ink);
  if (pointer && !panning) drawCursor(context, painter, pointer, ink);
  drawScaleBar(context, painter);
}

/** Twice, dark below light, so that it shows on snow and on water. */
function strokeTwice(context, ink, width) {
  context.lineWidth = width + 2;
  context.strokeStyle = "rgb(0 0 0 / 0.65)";
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = ink;
  context.stroke();
}

function drawShape(context, painter, ink) {
  const corners = painter.shape.corners.map(([x, y]) => painter.view.toScreen(x, y));
  context.beginPath();
  corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.globalAlpha = 0.3;
  context.fillStyle = ink;
  context.fill("evenodd");
  context.globalAlpha = 1;
  strokeTwice(context, ink, 1.5);
  if (painter.shape.complete) { // a click on the first corner closes it
    context.beginPath();
    context.arc(...corners[0], 5, 0, 2 * Math.PI);
    context.fillStyle = "#ffffff";
    context.fill();
    strokeTwice(context, ink, 2);
  }
}

/** The brush at its true size, or a cross. */
function drawCursor(context, painter, [x, y], ink) {
  const radius = painter.radius * painter.view.scale;
  context.beginPath();
  if ((painter.tool === "brush" || painter.tool === "eraser") && radius > 2) {
    context.arc(x, y, radius, 0, 2 * Math.PI);
    if (painter.tool === "eraser") context.setLineDash([5, 4]);
  } else {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 3 * dx, y + 3 * dy);
      context.lineTo(x + 10 * dx, y + 10 * dy);
    }
  }
  strokeTwice(context, ink, 1.5);
  context.setLineDash([]);
}

function drawScaleBar(context, { view, tile }) {
  const { pixels, label } = scaleBar(tile.metres_per_pixel_x / view.scale, 140);
  const right = view.width - 14, bottom = view.height - 14;
  context.beginPath();
  context.moveTo(right - pixels, bottom - 5);
  context.lineTo(right - pixels, bottom);
  context.lineTo(right, bottom);
  context.lineTo(right, bottom - 5);
  strokeTwice(context, "#ffffff", 1.5);
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "right";
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = "rgb(0 0 0 / 0.65)";
  context.strokeText(label, right - 2, bottom - 8);
  context.fillStyle = "#ffffff";
  context.fillText(label, right - 2, bottom - 8);
}
