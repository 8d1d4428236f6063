// A rectangle between where the pointer went down and where it came up.

import { drawRings } from "../ink.js";
import { rectangleSpans } from "../rasterise.js";
import { hundredths } from "../shapes.js";
import { Tool } from "./tool.js";

export class Rectangle extends Tool {
  static id = "rectangle";

  begin(point) {
    this.points = [hundredths(point), hundredths(point)];
  }

  move(point, drawing) {
    if (this.points && drawing) this.points[1] = hundredths(point);
  }

  end() {
    if (!this.points) return;
    const { painter, points } = this;
    this.points = null;
    const spans = rectangleSpans(...points, painter.tile.width, painter.tile.height);
    if (spans.length === 0) return; // a click, or beside the tile
    const classIndex = painter.paintClass;
    painter.send({ tool: "rectangle", class_index: classIndex, points }, [{ spans, classIndex }]);
  }

  cancel() {
    this.points = null;
    this.painter.screen?.refresh();
  }

  get busy() {
    return Boolean(this.points);
  }

  get hint() {
    return "Drag from one corner to the opposite one.";
  }

  draw(context, view) {
    if (!this.points) return;
    const [[ax, ay], [bx, by]] = this.points;
    drawRings(context, view, [[[ax, ay], [bx, ay], [bx, by], [ax, by]]], this.painter.ink);
  }
}
