// The stroke in the air, one class a tool: points come in as tile coordinates, `body` goes to the server, and `spans`
// are the pixels it covers. Coordinates are cut to hundredths of a pixel, so that browser and server read the same.

import { capsuleSpans, polygonSpans, rectangleSpans } from "./rasterise.js";

export const MOST_POINTS = 4000; // the server takes 5000 in one stroke
const hundredths = ([x, y]) => [Math.round(x * 100) / 100, Math.round(y * 100) / 100];

/** Brush and eraser: painted while the pointer moves. */
export class Path {
  constructor(point, radius, { width, height }) {
    Object.assign(this, { radius, width, height, points: [hundredths(point)] });
    this.spans = capsuleSpans(this.points[0], this.points[0], radius, width, height);
    this.fresh = this.spans;
  }

  /** Go on to a point; returns the spans that this adds, empty where it is too near to tell. */
  extend(point) {
    const next = hundredths(point), last = this.points.at(-1);
    if (Math.hypot(next[0] - last[0], next[1] - last[1]) < Math.max(0.5, this.radius * 0.08)) return [];
    this.points.push(next);
    const fresh = capsuleSpans(last, next, this.radius, this.width, this.height);
    for (const value of fresh) this.spans.push(value);
    return fresh;
  }

  get full() {
    return this.points.length >= MOST_POINTS;
  }

  get body() {
    return { points: this.points, radius: this.radius };
  }
}

/** A polygon: corners by clicks, or many by dragging (a lasso). Painted when it is closed. */
export class Polygon {
  constructor(point, size) {
    Object.assign(this, { size, points: [hundredths(point)], pointer: point });
  }

  add(point) {
    const next = hundredths(point), last = this.points.at(-1);
    if (this.points.length < MOST_POINTS && (next[0] !== last[0] || next[1] !== last[1])) this.points.push(next);
  }

  get complete() {
    return this.points.length >= 3;
  }

  get spans() {
    return polygonSpans(this.points, this.size.width, this.size.height);
  }

  get body() {
    return { points: this.points };
  }

  /** What to draw on the screen meanwhile. */
  get corners() {
    return [...this.points, this.pointer];
  }
}

/** A rectangle between where the pointer went down and where it is. */
export class Rectangle {
  constructor(point, size) {
    Object.assign(this, { size, points: [hundredths(point), hundredths(point)] });
  }

  moveTo(point) {
    this.points[1] = hundredths(point);
  }

  get spans() {
    return rectangleSpans(...this.points, this.size.width, this.size.height);
  }

  get body() {
    return { points: this.points };
  }

  get corners() {
    const [[ax, ay], [bx, by]] = this.points;
    return [[ax, ay], [bx, ay], [bx, by], [ax, by]];
  }
}
