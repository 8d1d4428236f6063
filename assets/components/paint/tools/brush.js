// Brush and eraser: painted while the pointer moves. Shift and a click draw a straight line from where the last
// stroke ended.

import { hundredths, MOST_POINTS } from "../shapes.js";
import { capsuleSpans } from "../rasterise.js";
import { UNLABELLED } from "../classes.js";
import { Tool } from "./tool.js";

export class Brush extends Tool {
  static id = "brush";

  opened() {
    this.points = null; // the stroke in the air
    this.lastEnd = null; // where the stroke before ended
  }

  begin(point, { erase, shift }) {
    const start = hundredths(point);
    this.spans = [];
    this.strokeTool = erase ? "eraser" : this.id;
    this.classIndex = this.strokeTool === "eraser" ? UNLABELLED : this.painter.paintClass;
    if (shift && this.lastEnd) {
      this.points = [this.lastEnd];
      this.#goTo(start);
    } else {
      this.points = [start];
      this.#cover(start, start);
    }
  }

  move(point, drawing) {
    if (!drawing || !this.points) return;
    const next = hundredths(point), last = this.points.at(-1);
    const tooNear = Math.max(0.5, this.painter.settings.radius * 0.08);
    if (Math.hypot(next[0] - last[0], next[1] - last[1]) >= tooNear) this.#goTo(next);
  }

  end() {
    if (!this.points) return;
    this.lastEnd = this.points.at(-1);
    this.#send();
    this.points = null;
  }

  #goTo(next) {
    const last = this.points.at(-1);
    this.points.push(next);
    this.#cover(last, next);
    if (this.points.length < MOST_POINTS) return;
    this.#send(); // go on in a second stroke
    this.points = [next];
    this.spans = [];
  }

  /** Paint one step at once; the stroke is sent when it ends. */
  #cover(from, to) {
    const { tile, settings, screen } = this.painter;
    const fresh = capsuleSpans(from, to, settings.radius, tile.width, tile.height);
    for (const value of fresh) this.spans.push(value);
    const changed = this.painter.paint([{ spans: fresh, classIndex: this.classIndex }]);
    if (changed) screen.redraw(changed);
  }

  #send() {
    const { strokeTool, points, spans, classIndex } = this;
    if (spans.length === 0) return; // beside the tile
    const body = { tool: strokeTool, class_index: classIndex, points, radius: this.painter.settings.radius };
    this.painter.send(body, [{ spans, classIndex }], { painted: true });
  }

  get unsent() {
    return this.points ? [{ spans: this.spans, classIndex: this.classIndex }] : [];
  }

  get busy() {
    return Boolean(this.points);
  }

  get hint() {
    return "Drag to paint; Shift and a click paint a straight line from the last stroke.";
  }

  get cursor() {
    return "brush";
  }

  get options() {
    return [this.painter.sizeOption];
  }
}

export class Eraser extends Brush {
  static id = "eraser";

  get hint() {
    return "Drag to take labels away; Shift and a click erase a straight line.";
  }
}
