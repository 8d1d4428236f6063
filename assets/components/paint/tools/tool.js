// What every tool of the canvas is. A tool keeps what is in the air (a path, corners, clicks), shows it on the overlay,
// and hands a finished stroke to `painter.send`. It is made once, with the canvas; `opened` tells it of another tile.
//
// Points are [x, y] in tile pixels. What a tool may use of the painter:
//   tile, view, labels, settings     the tile's facts, the window on it, its class raster, what the user chose
//   guard, paintClass, ink, opinion  what may be painted over, the class now, its colour on the screen, whose labels
//   screen.redraw(box), screen.refresh()   draw a part of the tile (or all) anew; the overlay and panels alone
//   layers                           pictures between image and labels, or above them (see panel.js)
//   say(sentence)                    tell the user; null takes it away
//   get(name), post(name, body)      fetch below /labels/{tile}/: a Response, or the parsed answer (see server.js)
//   send(body, paint)                queue a stroke; `paint` is shown at once: [{spans, classIndex}], or []
//   paint(paint)                     show it only, as a brush does while it moves; then send(..., { painted: true })
//   set({name: value})               keep a setting

export class Tool {
  static id = null;

  constructor(painter) {
    this.painter = painter;
  }

  get id() {
    return this.constructor.id;
  }

  /** Another tile is open: forget what belonged to the last one. */
  opened() {
    this.cancel();
  }

  /** The tool was chosen. */
  activate() {}

  /** Another tool is chosen: drop what is in the air. */
  deactivate() {
    this.cancel();
  }

  /** The pointer went down. `erase`: with a pen's other end; `right`: its right button, if `rightClicks`. */
  begin(point, { erase, shift, ctrl, right }) {}

  get rightClicks() {
    return false;
  }

  /** The pointer moved, with its button down (`drawing`) or not. */
  move(point, drawing) {}

  /** The pointer went up. */
  end() {}

  /** Escape: drop what is in the air. */
  cancel() {}

  /** Enter (`shift`: with Shift): finish what is in the air. */
  confirm({ shift = false } = {}) {}

  /** The second click of two. */
  doubleClick() {}

  /** Backspace, or undo: take back one step in the air; false where there is none. */
  back() {
    return false;
  }

  /** What is painted but not sent yet, to be painted again where the labels are fetched anew meanwhile. */
  get unsent() {
    return [];
  }

  /** Whether something is in the air. */
  get busy() {
    return false;
  }

  /** Why the tool cannot be used here and what would mend it, in one sentence; null where it can. */
  get unavailable() {
    return null;
  }

  /** What to do next, in one sentence. */
  get hint() {
    return null;
  }

  /** "brush" (a circle of the brush's size), "cross", "pointer" (the system's arrow) or "pan". */
  get cursor() {
    return "cross";
  }

  /** The tool's own settings, shown beside its hint; see options.js for the kinds. */
  get options() {
    return [];
  }

  /** Draw what is in the air on the overlay (CSS pixels). */
  draw(context, view) {}
}
