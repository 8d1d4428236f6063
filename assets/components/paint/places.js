// Places of the tile that somebody sent to be mended: a dashed frame around each, and one to look at first.

const DASHES = [8, 6];

export class Places {
  constructor(painter) {
    Object.assign(this, { painter, boxes: [], turn: null });
    painter.layers.push({ above: true, draw: (context, view) => this.draw(context, view) });
  }

  /** `wanted`: {boxes, look, turn}: frames, and with each other `turn` the box to look at; null: there are none. */
  show(wanted) {
    this.boxes = wanted?.boxes ?? [];
    const turn = wanted?.look ? wanted.turn : null;
    if (turn !== null && turn !== this.turn) this.look(wanted.look);
    this.turn = turn;
    this.painter.screen.redraw();
  }

  /** Once the canvas is laid out, which on a page that has just opened takes a moment. */
  look(box) {
    const { view, screen } = this.painter;
    if (view.width === 1) {
      requestAnimationFrame(() => this.look(box));
      return;
    }
    view.lookAt(box);
    screen.redraw();
  }

  draw(context, view) {
    context.save();
    context.setLineDash(DASHES);
    for (const [colour, width] of [["rgba(0, 0, 0, 0.7)", 4], ["#ff2d95", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      for (const box of this.boxes) {
        const [left, top] = view.toScreen(box.left, box.top);
        context.strokeRect(left - 4, top - 4, box.width * view.scale + 8, box.height * view.scale + 8);
      }
    }
    context.restore();
  }
}
