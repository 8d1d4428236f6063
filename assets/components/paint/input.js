// Mouse, pen, touch and keyboard. One pointer draws (or pans, with the hand, Space or the middle button); two fingers
// pan and zoom, and where a pen is used, one finger pans too: it may be a palm. Keys count while the pointer is over the canvas or the focus is not in a field of the page.

import { keyOf } from "./commands.js";

const TAP = 5; // CSS pixels: a finger that moved less has not begun to draw, since a second may follow

export class Input {
  constructor(root, panel, painter) {
    Object.assign(this, { root, panel, painter });
    this.pointers = new Map(); // what is down: id -> [x, y]
    this.action = null; // "draw", "pan" or "pinch"
    this.waiting = null; // what a finger that is down will begin
    this.penSeen = false;
    this.space = false;
    this.held = null; // the command whose key is held
    this.stop = new AbortController();
    const on = (target, type, handler, options = {}) =>
      target.addEventListener(type, handler, { ...options, signal: this.stop.signal });
    const { overlay } = panel;
    on(overlay, "pointerdown", (event) => this.#down(event));
    on(overlay, "pointermove", (event) => this.#move(event));
    on(overlay, "pointerup", (event) => this.#up(event));
    on(overlay, "pointercancel", (event) => this.#up(event));
    on(overlay, "pointerleave", () => panel.pointAt(null));
    on(overlay, "dblclick", () => painter.doubleClick());
    on(overlay, "wheel", (event) => this.#wheel(event), { passive: false });
    on(overlay, "contextmenu", (event) => event.preventDefault());
    // Captured before Streamlit sees them: its own R and C would rerun the page.
    on(window, "keydown", (event) => this.#key(event), { capture: true });
    on(window, "keyup", (event) => this.#keyUp(event), { capture: true });
    on(window, "blur", () => this.#letGo());
  }

  close() {
    this.stop.abort();
  }

  #at(event) {
    const { left, top } = this.panel.overlay.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  #down(event) {
    event.preventDefault();
    this.root.focus({ preventScroll: true });
    this.panel.overlay.setPointerCapture(event.pointerId);
    const at = this.#at(event), touch = event.pointerType === "touch";
    if (event.pointerType === "pen") this.penSeen = true;
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size === 2) {
      if (touch) this.#pinchInstead();
    } else if (this.pointers.size === 1) {
      const { tool } = this.painter;
      const pans = event.button === 1 || this.space || tool.cursor === "pan" || (touch && this.penSeen);
      const right = event.button === 2, erase = event.button === 5; // 5: a pen's eraser end
      const paints = event.button === 0 || erase || (right && tool.rightClicks);
      this.action = pans ? "pan" : paints ? "draw" : null;
      const how = { erase, right, shift: event.shiftKey, ctrl: event.ctrlKey || event.metaKey, alt: event.altKey };
      if (this.action === "draw" && touch) this.waiting = { at, how };
      else if (this.action === "draw") this.painter.begin(this.painter.view.toTile(...at), how);
    }
    this.panel.pointAt(at, this.#panning);
  }

  #pinchInstead() {
    if (!this.waiting) this.painter.end();
    this.waiting = null;
    this.action = "pinch";
  }

  #beginWaiting() {
    const { at, how } = this.waiting;
    this.waiting = null;
    this.painter.begin(this.painter.view.toTile(...at), how);
  }

  #move(event) {
    const at = this.#at(event), before = this.pointers.get(event.pointerId);
    if (before && this.action === "pinch") this.#pinch(event.pointerId, before, at);
    if (before && this.action === "pan") {
      this.painter.view.panBy(at[0] - before[0], at[1] - before[1]);
      this.panel.redraw();
    }
    if (this.waiting && before) {
      if (Math.hypot(at[0] - this.waiting.at[0], at[1] - this.waiting.at[1]) < TAP) return;
      this.#beginWaiting();
    }
    if (this.action !== "pan" && this.action !== "pinch") {
      const steps = event.getCoalescedEvents?.() ?? [];
      for (const step of steps.length ? steps : [event]) {
        this.painter.move(this.painter.view.toTile(...this.#at(step)), Boolean(before) && this.action === "draw");
      }
    }
    if (before) this.pointers.set(event.pointerId, at);
    this.panel.pointAt(at, this.#panning);
  }

  #pinch(id, before, at) {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const apart = (a) => Math.max(1, Math.hypot(a[0] - other[0], a[1] - other[1]));
    this.painter.view.panBy((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.painter.zoom(apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.waiting && event.type === "pointerup") this.#beginWaiting();
    this.waiting = null;
    if (this.action === "draw") this.painter.end();
    if (this.pointers.size === 0) this.action = null;
    this.panel.pointAt(this.#at(event), this.#panning);
    this.panel.refresh();
  }

  #wheel(event) {
    event.preventDefault();
    if (event.shiftKey) { // some systems turn Shift + wheel sideways
      const turned = event.deltaY || event.deltaX;
      if (turned) this.painter.resizeBrush(turned < 0 ? 1.15 : 1 / 1.15);
      return;
    }
    const lines = event.deltaMode === 1 ? 30 : 1; // Firefox counts lines
    this.painter.zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.0022), ...this.#at(event));
    this.painter.move(this.painter.view.toTile(...this.#at(event)), false);
  }

  get #panning() {
    return this.space || this.action === "pan" || this.painter.tool.cursor === "pan";
  }

  #key(event) {
    const alt = event.altKey && !event.getModifierState("AltGraph");
    if (inField(event) || alt || !this.root.isConnected) return;
    if (event.key === " ") {
      const onButton = event.composedPath()[0] instanceof HTMLButtonElement;
      if (onButton && !this.panel.hovered) return;
      this.space = true;
      this.panel.setPanning(true);
      return swallow(event);
    }
    if (event.key === "Enter" && event.composedPath()[0] instanceof HTMLButtonElement) return;
    const command = this.panel.commandOf(keyOf(event));
    if (!command) return;
    swallow(event);
    if (command.hold) {
      if (event.repeat) return;
      this.held = command;
      command.hold(this.painter, true);
      this.panel.refresh();
    } else if (!command.enabled || command.enabled(this.painter)) command.run(this.painter);
  }

  #keyUp(event) {
    if (event.key === " " && this.space) {
      this.space = false;
      this.panel.setPanning(this.#panning);
    }
    if (this.held && this.held.keys.includes(event.key.toUpperCase())) this.#letGo();
  }

  #letGo() {
    this.held?.hold(this.painter, false);
    this.held = null;
    this.space = false;
    this.panel.refresh();
  }
}

function swallow(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** Whether somebody is typing. A slider is no field: its arrow keys are ours only when it has no focus. */
function inField(event) {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement && target.type === "range") return event.key.startsWith("Arrow");
  if (target instanceof HTMLInputElement && target.type === "checkbox") return event.key === " ";
  return target.matches("input, textarea, select, [contenteditable], [role=combobox], [role=listbox], [role=option]");
}
