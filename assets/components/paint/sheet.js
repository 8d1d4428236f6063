// The labels of the open tile: what the server has on disk, and what was drawn since. Answers bring the changed part
// along; where somebody else painted meanwhile, everything is fetched anew and what still waits is painted over it.

import { LabelLayer } from "./labels.js";
import { queueFor } from "./saver.js";
import { paintOf } from "./shapes.js";

const LOOK_EVERY = 5000; // milliseconds, for what other tabs and people painted

export class Sheet {
  /** `painter` is told by `say` and its screen; `unsent()` gives what is painted but not sent yet. */
  constructor(painter, server, colours, shown) {
    const { tile } = server;
    Object.assign(this, { painter, server, tile, ready: false, closed: false });
    this.state = null; // the server's last word: counts, undo, redo, saved_at
    this.elsewhere = null;
    this.labels = new LabelLayer(tile.width, tile.height, colours, shown);
    this.queue = queueFor(server);
    this.queue.listener = {
      accept: (reply) => this.#accept(reply),
      refused: (sentence) => this.#refused(sentence),
      held: () => painter.lock.renew(), // to learn who holds the tile
      changed: () => painter.screen.refresh(),
    };
    this.clock = setInterval(() => this.lookAgain(), LOOK_EVERY);
    this.load();
  }

  close() {
    this.closed = true;
    clearInterval(this.clock);
    if (this.queue.listener) this.queue.listener = null; // it goes on saving by itself
  }

  async load() {
    const { painter } = this;
    for (let wait = 300; !this.closed && !(await this.fetchLabels()); wait = Math.min(5000, wait * 2)) {
      painter.say("The labels could not be loaded: server unreachable; trying again.");
      await new Promise((resume) => setTimeout(resume, wait));
    }
    if (this.closed) return;
    painter.say(null);
    this.ready = true;
    if (painter.mayWrite) this.adopt();
    painter.screen.redraw();
    const elsewhere = await this.server.get("elsewhere.json").then((answer) => answer.json()).catch(() => null);
    if (this.closed || !elsewhere) return;
    this.elsewhere = elsewhere.instances;
    painter.screen.refresh();
  }

  /** Send what a visit before left unsaved. */
  adopt() {
    if (!this.ready) return;
    const restore = (path, body) => ({ paint: path === "strokes" ? paintOf(body, this.tile) : [], guard: body.guard });
    const count = this.queue.adopt(restore);
    if (count === 0) return;
    this.#repaintWaiting();
    this.painter.screen.redraw();
    this.painter.say(`${count === 1 ? "One stroke" : `${count} strokes`} not saved at the last visit ${count === 1 ? "is" : "are"} saved now.`);
  }

  /** Fetch raster and state anew; what waits for the server is painted over them again. */
  async fetchLabels() {
    const { tile, labels } = this;
    try {
      const [picture, state] = await Promise.all([this.server.get("raster.png"), this.server.get("state.json")]);
      const image = await createImageBitmap(await picture.blob());
      const answer = await state.json();
      if (this.closed) return true;
      labels.replace({ left: 0, top: 0, width: tile.width, height: tile.height }, image);
      this.state = { ...answer, heard: performance.now() };
      this.#repaintWaiting();
      this.painter.screen.redraw();
      return true;
    } catch {
      return false;
    }
  }

  /** Fetch the labels if the server has other ones: another tab, another person or a page changed them. */
  async lookAgain() {
    if (!this.#idle || document.visibilityState !== "visible") return;
    const answer = await this.server.get("state.json").then((got) => got.json()).catch(() => null);
    if (answer && this.#idle && answer.sequence !== this.state.sequence) await this.fetchLabels();
  }

  /** A page knows of this revision. */
  async heardOf(revision) {
    if (this.#idle && revision > this.state.sequence) await this.fetchLabels();
  }

  get #idle() {
    return this.ready && !this.closed && this.queue.waiting.length === 0 && !this.painter.down;
  }

  /** Show paint ([{spans, classIndex}]) where the guard lets it; returns the changed rectangle, or null. */
  paint(paint, guard) {
    let box = null;
    for (const { spans, classIndex } of paint) box = around(box, this.labels.paint(spans, classIndex, guard));
    return box;
  }

  async #accept(reply) {
    this.painter.say(null);
    this.painter.labelled();
    const missed = this.state && reply.previous !== this.state.sequence; // somebody else painted here meanwhile
    const image = reply.patch && !missed ? await createImageBitmap(await (await fetch(`data:image/png;base64,${reply.patch}`)).blob()) : null;
    if (this.closed) return;
    this.state = { ...reply, heard: performance.now() };
    if (missed) {
      await this.fetchLabels();
    } else if (image) {
      this.labels.replace(reply.box, image);
      this.#repaintWaiting();
      this.painter.screen.redraw(reply.box);
    }
  }

  async #refused(sentence) {
    if (this.closed) return;
    await this.fetchLabels(); // what was drawn is not on disk, so it must not be seen either
    this.painter.say(sentence);
  }

  /** Give up what waits: show what is on disk. */
  async drop() {
    this.queue.drop();
    await this.fetchLabels();
  }

  #repaintWaiting() {
    for (const { paint, guard } of this.queue.waiting) this.paint(paint, guard);
    this.paint(this.painter.tool.unsent, this.painter.guard);
  }
}

function around(a, b) {
  if (!a || !b) return a ?? b;
  const left = Math.min(a.left, b.left), top = Math.min(a.top, b.top);
  const right = Math.max(a.left + a.width, b.left + b.width), bottom = Math.max(a.top + a.height, b.top + b.height);
  return { left, top, width: right - left, height: bottom - top };
}
