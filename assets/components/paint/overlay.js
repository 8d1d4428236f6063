// What lies over the picture and belongs to no pixel: the cursor, what is in the air, the scale bar.

import { drawText, strokeTwice } from "./ink.js";
import { scaleBar } from "./view.js";

export function drawOverlay(context, { painter, pointer, panning, ratio }) {
  const { view, tool } = painter;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  if (painter.ready) tool.draw(context, view);
  if (pointer && !panning && tool.cursor !== "pointer") drawCursor(context, painter, pointer);
  drawScaleBar(context, painter);
}

/** The brush at its true size, or a cross. */
function drawCursor(context, { tool, settings, view, ink }, [x, y]) {
  const radius = settings.radius * view.scale;
  context.beginPath();
  if (tool.cursor === "brush" && radius > 2) {
    context.arc(x, y, radius, 0, 2 * Math.PI);
    if (tool.id === "eraser") context.setLineDash([5, 4]);
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
  drawText(context, label, right - 2, bottom - 8);
}
