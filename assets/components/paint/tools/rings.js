// Polygon and lasso: shapes of rings, painted by the even-odd rule, so that a ring inside another is a hole. Closing
// the first ring paints it at once; closing it with Shift (or the button 'Cut holes') keeps it in the air, so that
// holes can be drawn before Enter paints the whole.

import { drawRings, drawHandle } from "../ink.js";
import { hundredths, MOST_POINTS, pixelsOf, ringsSpans } from "../shapes.js";
import { Tool } from "./tool.js";

const CLOSING_DISTANCE = 9; // CSS pixels from the first corner
const DRAG_STEP = 5; // CSS pixels between the corners that a drag sets
const MOST_HOLES = 100;

class RingTool extends Tool {
  constructor(painter) {
    super(painter);
    this.#forget();
  }

  #forget() {
    this.rings = []; // closed rings: the outline, then its holes
    this.ring = null; // the ring being drawn
    this.pointer = null;
  }

  cancel() {
    this.#forget();
    this.painter.screen?.refresh();
  }

  get busy() {
    return this.ring !== null || this.rings.length > 0;
  }

  /** Whether the next ring is a hole. */
  get cutting() {
    return this.rings.length > 0;
  }

  start(point) {
    if (this.rings.length > MOST_HOLES) this.painter.say(`A shape has at most ${MOST_HOLES} holes; paint it with Enter.`);
    else this.ring = [hundredths(point)];
  }

  add(point) {
    const next = hundredths(point), last = this.ring.at(-1);
    const used = this.ring.length + this.rings.reduce((sum, ring) => sum + ring.length, 0);
    if (used < MOST_POINTS && (next[0] !== last[0] || next[1] !== last[1])) this.ring.push(next);
  }

  /** Close the ring; paint, unless it is to be (or is already) cut. */
  close(keepOpen) {
    if (this.ring.length < 3) return this.painter.say("A shape needs at least three corners.");
    const paints = !keepOpen && !this.cutting, { ring } = this;
    this.ring = null;
    if (this.cutting && !this.#touches(ring)) return this.painter.say("A hole lies in the shape; this one was beside it, and was dropped.");
    this.rings.push(ring);
    if (paints) this.#paint();
    this.painter.screen.refresh();
  }

  /** Whether a hole takes something from the shape: by the even-odd rule, one beside it would be painted. */
  #touches(hole) {
    const pixels = (rings) => pixelsOf(ringsSpans(rings, this.painter.tile));
    return pixels([this.rings[0], hole]) < pixels([this.rings[0]]) + pixels([hole]);
  }

  confirm({ shift = false } = {}) {
    if (this.ring) this.close(shift);
    else if (this.rings.length > 0) this.#paint();
  }

  #paint() {
    const { painter, rings, id } = this;
    const spans = ringsSpans(rings, painter.tile), classIndex = painter.paintClass;
    this.cancel();
    if (spans.length === 0) return; // beside the tile
    const body = { tool: id, class_index: classIndex, points: rings[0] };
    if (rings.length > 1) body.holes = rings.slice(1);
    painter.send(body, [{ spans, classIndex }]);
  }

  screenDistance(a, b) {
    return Math.hypot(a[0] - b[0], a[1] - b[1]) * this.painter.view.scale;
  }

  get options() {
    if (!this.busy) return [];
    const ready = this.ring ? this.ring.length >= 3 : true;
    const paint = { kind: "button", label: this.ring && this.cutting ? "Close the hole" : "Paint", key: "Enter", enabled: ready, run: () => this.confirm() };
    const cut = { kind: "button", label: "Cut holes", key: "Shift+Enter", enabled: ready, run: () => this.confirm({ shift: true }) };
    const drop = { kind: "button", label: "Drop", key: "Esc", enabled: true, run: () => this.cancel() };
    return this.cutting ? [paint, drop] : [paint, cut, drop];
  }

  draw(context, view) {
    const open = this.ring ? [this.pointer ? [...this.ring, this.pointer] : this.ring] : [];
    drawRings(context, view, [...this.rings, ...open], this.painter.ink);
  }
}

export class Polygon extends RingTool {
  static id = "polygon";

  begin(point, { shift }) {
    if (!this.ring) this.start(point);
    else if (this.ring.length >= 3 && this.screenDistance(point, this.ring[0]) < CLOSING_DISTANCE) this.close(shift);
    else this.add(point);
  }

  move(point, drawing) {
    if (!this.ring) return;
    this.pointer = point;
    if (drawing && this.screenDistance(point, this.ring.at(-1)) > DRAG_STEP) this.add(point);
  }

  /** The second click of two: closes, unless the first did so already and the second began anew. */
  doubleClick() {
    if (!this.ring) return;
    if (this.ring.length === 1 && !this.cutting) this.cancel();
    else if (this.ring.length === 1) this.ring = null;
    else this.confirm();
  }

  back() {
    if (!this.ring) this.ring = this.rings.pop() ?? null; // open the last ring again
    else this.ring.pop();
    if (this.ring?.length === 0) this.ring = null;
    this.painter.screen.refresh();
    return true;
  }

  get hint() {
    if (!this.busy) return "Click the corners of the region, or drag along its edge.";
    if (!this.ring) return "Click corners inside to cut a hole; Enter paints what is left.";
    if (this.cutting) return "Close the hole at its first corner or with Enter.";
    if (this.ring.length < 3) return "Click the next corner; Backspace takes one back.";
    return "Click the first corner or press Enter to paint; Shift+Enter cuts holes first.";
  }

  draw(context, view) {
    super.draw(context, view);
    if (this.ring?.length >= 3) drawHandle(context, view, this.ring[0], this.painter.ink); // a click there closes it
  }
}

export class Lasso extends RingTool {
  static id = "lasso";

  begin(point, { shift }) {
    this.keepOpen = shift;
    this.start(point);
  }

  move(point, drawing) {
    if (this.ring && drawing && this.screenDistance(point, this.ring.at(-1)) > 2) this.add(point);
  }

  end() {
    if (!this.ring) return;
    if (this.ring.length >= 3) this.close(this.keepOpen || this.painter.settings.holes);
    else this.ring = null; // a click, no loop
  }

  back() {
    if (!this.cutting) return false;
    this.rings.pop();
    this.painter.screen.refresh();
    return true;
  }

  get hint() {
    if (this.cutting && !this.ring) return "Drag around each hole; Enter paints what is left.";
    return "Drag around the region, and let go to paint it; start with Shift held to cut holes first.";
  }

  get options() {
    const { painter } = this;
    const keep = { kind: "switch", label: "Cut holes", on: painter.settings.holes, set: (holes) => painter.set({ holes }) };
    return this.busy ? super.options.filter(({ label }) => label !== "Cut holes") : [keep];
  }
}
