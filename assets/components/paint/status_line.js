// The line below the canvas: whether everything is saved, what to do next, what is under the pointer, and who paints.

import { UNLABELLED } from "./classes.js";
import { annotator, setAnnotator } from "./person.js";
import { escape } from "./text.js";

const LOOK_ONLY = "Look around as you like; this tile takes no strokes of yours while somebody else has it.";

export class StatusLine {
  constructor(root, painter) {
    this.painter = painter;
    const find = (part) => root.querySelector(`.line [data-part=${part}]`);
    this.parts = Object.fromEntries(["status", "hint", "where", "zoom", "person"].map((part) => [part, find(part)]));
    this.#showName();
    this.clock = setInterval(() => this.#updateStatus(), 1000);
  }

  close() {
    clearInterval(this.clock);
  }

  update(pointer) {
    const { painter, parts } = this;
    const hint = painter.mayWrite ? [painter.tool.hint, painter.guardSentence].filter(Boolean).join(" ") : LOOK_ONLY;
    setText(parts.hint, hint);
    parts.hint.title = hint;
    setText(parts.zoom, `${Math.round(painter.view.scale * 100)} %`);
    setText(parts.where, pointer ? this.#whereText(painter.view.toTile(...pointer)) : "");
    this.#updateStatus();
  }

  #whereText([x, y]) {
    const classIndex = this.painter.labels.classAt(x, y);
    if (classIndex === null) return "";
    const name = classIndex === UNLABELLED ? "unlabelled" : this.painter.classes[classIndex].name;
    return `${name}  ·  x ${Math.floor(x)}, y ${Math.floor(y)}`;
  }

  #updateStatus() {
    const { painter, parts } = this;
    if (!painter.queue) return;
    const [look, text] = statusOf(painter);
    parts.status.dataset.look = look;
    setText(parts.status, text);
  }

  // ---- the name ----

  #showName() {
    const { person } = this.parts, name = annotator();
    person.innerHTML = `<button type="button" title="Who paints; others at this server see this name">${escape(name || "Your name")}</button>`;
    person.firstChild.addEventListener("click", () => this.#askName());
  }

  #askName() {
    const { person } = this.parts, before = annotator();
    person.innerHTML = `<input type="text" aria-label="Your name" placeholder="Your name" maxlength="40" size="14" value="${escape(before)}">`;
    const field = person.firstChild;
    let done = false;
    const finish = (keep) => {
      if (done) return;
      done = true;
      if (keep && field.value.trim() !== before) {
        setAnnotator(field.value);
        this.painter.renamed(annotator());
      }
      this.#showName();
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") finish(event.key === "Enter");
    });
    field.addEventListener("blur", () => finish(true));
    field.focus();
    field.select();
  }
}

function statusOf({ queue, ready, state, down, tool, mayWrite }) {
  const unsaved = queue.waiting.length;
  if (unsaved > 0 && (queue.held || !mayWrite)) return ["bad", `Not saved: ${unsaved === 1 ? "one stroke waits" : `${unsaved} strokes wait`}`];
  if (queue.trouble) return ["bad", `Not saved: ${queue.trouble}, retrying; ${queue.mayBeLost ? "do not close this page" : "kept in this browser"}`];
  if (unsaved > 0) return ["busy", "Saving…"];
  if (down && tool.busy) return ["busy", "Drawing…"];
  if (!ready) return ["busy", "Loading the tile…"];
  return ["good", state.saved_at ? `Saved ${ago(state)}` : "Nothing labelled yet; every stroke is saved at once"];
}

/** How long ago the last save was, by the server's clock: the browser's may be wrong. */
function ago(state) {
  const seconds = (Date.parse(state.server_time) - Date.parse(state.saved_at) + performance.now() - state.heard) / 1000;
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  return new Date(state.saved_at).toLocaleString();
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
