// What the canvas knows and does: the tile, its labels, the tool, the stroke in the air, and the way to the server.
// It draws nothing itself; it tells `screen` (Panel) which part of the tile has changed.

import { LabelLayer, UNLABELLED } from "./labels.js";
import { Pyramid } from "./pyramid.js";
import { queueFor } from "./saver.js";
import { keepSettings, loadSettings } from "./settings.js";
import { Path, Polygon, Rectangle } from "./shapes.js";
import { View } from "./view.js";

const RADII = [0.5, 400]; // tile pixels
const CLOSING_DISTANCE = 9; // CSS pixels from the first corner

export class Painter {
  constructor({ base_url: baseUrl, classes }) {
    Object.assign(this, loadSettings(), { baseUrl, classes });
    this.hidden = false;
    this.shape = null; // the stroke in the air
    this.tile = null;
    this.state = null; // the server's last word: counts, undo, redo, saved_at
    this.ready = false;
  }

  attach(screen) {
    this.screen = screen;
  }

  // ---- the tile ----

  open(tile) {
    if (this.tile?.id === tile.id) return;
    this.close();
    const view = new View(tile.width, tile.height);
    Object.assign(this, { tile, view, ready: false, shape: null, state: null, elsewhere: null, notice: null });
    this.labels = new LabelLayer(tile.width, tile.height, this.classes.map(({ colour }) => colour));
    this.pyramid = new Pyramid({
      address: (z, x, y) => `${this.baseUrl}/tiles/${tile.id}/${z}/${x}/${y}.jpg?v=${tile.version}`,
      maxZoom: tile.max_zoom, width: tile.width, height: tile.height,
      onLoad: () => this.screen.redraw(),
      onError: () => this.#say("A part of the image could not be loaded; trying again."),
    });
    this.queue = queueFor(this.baseUrl, tile.id);
    this.queue.listener = {
      accept: (reply) => this.#accept(tile, reply),
      refused: (sentence) => this.#refused(tile, sentence),
      changed: () => this.screen.refresh(),
    };
    this.screen.opened();
    this.#load(tile);
  }

  close() {
    this.pyramid?.close();
    if (this.queue) this.queue.listener = null; // it goes on saving by itself
  }

  async #load(tile) {
    for (let wait = 300; this.tile === tile && !(await this.#fetchLabels(tile)); wait = Math.min(5000, wait * 2)) {
      this.#say("The labels could not be loaded: server unreachable; trying again.");
      await new Promise((resume) => setTimeout(resume, wait));
    }
    if (this.tile !== tile) return;
    this.notice = null;
    this.ready = true;
    this.screen.redraw();
    const elsewhere = await this.#get("elsewhere.json").then((answer) => answer?.json()).catch(() => null);
    if (this.tile !== tile || !elsewhere) return;
    this.elsewhere = elsewhere.instances;
    this.screen.refresh();
  }

  /** Fetch raster and state anew; what waits for the server is painted over them again. */
  async #fetchLabels(tile) {
    try {
      const [picture, state] = await Promise.all([this.#get("raster.png"), this.#get("state.json")]);
      const image = await createImageBitmap(await picture.blob());
      const answer = await state.json();
      if (this.tile !== tile) return true;
      this.labels.replace({ left: 0, top: 0, width: tile.width, height: tile.height }, image);
      this.state = { ...answer, heard: performance.now() };
      this.#repaintWaiting();
      this.screen.redraw();
      return true;
    } catch {
      return false;
    }
  }

  async #get(name) {
    const answer = await fetch(`${this.baseUrl}/labels/${this.tile.id}/${name}`);
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
    return answer;
  }

  // ---- the server's answers ----

  async #accept(tile, reply) {
    if (this.tile !== tile) return;
    this.notice = null;
    const missed = this.state && reply.previous !== this.state.sequence; // somebody else painted here meanwhile
    const image = reply.patch && !missed ? await createImageBitmap(await (await fetch(`data:image/png;base64,${reply.patch}`)).blob()) : null;
    if (this.tile !== tile) return;
    this.state = { ...reply, heard: performance.now() };
    if (missed) {
      await this.#fetchLabels(tile);
    } else if (image) {
      this.labels.replace(reply.box, image);
      this.#repaintWaiting();
      this.screen.redraw(reply.box);
    }
  }

  async #refused(tile, sentence) {
    if (this.tile !== tile) return;
    await this.#fetchLabels(tile); // what was drawn is not on disk, so it must not be seen either
    this.#say(sentence);
  }

  #repaintWaiting() {
    for (const { paint } of this.queue.waiting) if (paint) this.labels.paint(paint.spans, paint.classIndex);
    if (this.shape instanceof Path) this.labels.paint(this.shape.spans, this.paintClass);
  }

  #say(sentence) {
    this.notice = sentence;
    this.screen.refresh();
  }

  // ---- drawing: points are tile coordinates ----

  get paintClass() {
    return this.tool === "eraser" ? UNLABELLED : this.classIndex;
  }

  begin(point, { erase = false } = {}) {
    if (!this.ready) return;
    if (this.tool === "polygon") {
      if (!(this.shape instanceof Polygon)) this.shape = new Polygon(point, this.tile);
      else if (this.#nearFirstCorner(point)) this.closePolygon();
      else this.shape.add(point);
    } else if (this.tool === "rectangle") {
      this.shape = new Rectangle(point, this.tile);
    } else {
      if (erase && this.tool !== "eraser") this.setTool("eraser");
      this.shape = new Path(point, this.radius, this.tile);
      this.screen.redraw(this.labels.paint(this.shape.spans, this.paintClass) ?? undefined);
    }
    this.screen.refresh();
  }

  /** The pointer moved, with its button down (`drawing`) or not. */
  move(point, drawing) {
    const { shape } = this;
    if (shape instanceof Path && drawing) {
      const changed = this.labels.paint(shape.extend(point), this.paintClass);
      if (changed) this.screen.redraw(changed);
      if (shape.full) { // go on in a second stroke
        this.#send(shape);
        this.shape = new Path(point, this.radius, this.tile);
      }
    } else if (shape instanceof Rectangle && drawing) {
      shape.moveTo(point);
    } else if (shape instanceof Polygon) {
      shape.pointer = point;
      if (drawing && this.#screenDistance(point, shape.points.at(-1)) > 5) shape.add(point);
    }
  }

  end() {
    if (this.shape instanceof Path || this.shape instanceof Rectangle) {
      const { shape } = this;
      this.shape = null;
      this.#send(shape);
    }
  }

  closePolygon() {
    const { shape } = this;
    if (!(shape instanceof Polygon)) return;
    if (!shape.complete) return this.#say("A polygon needs at least three corners.");
    this.shape = null;
    this.#send(shape);
  }

  /** The second click of two: closes, unless the first did so already and the second began anew. */
  doubleClick() {
    if (this.shape instanceof Polygon && this.shape.points.length === 1) this.cancel();
    else this.closePolygon();
  }

  removeCorner() {
    if (!(this.shape instanceof Polygon)) return;
    this.shape.points.pop();
    if (this.shape.points.length === 0) this.shape = null;
    this.screen.refresh();
  }

  /** Drop the polygon or rectangle in the air. A brush stroke is on the raster already: undo it instead. */
  cancel() {
    this.screen.toggleHelp(false);
    if (this.shape instanceof Path) return;
    this.shape = null;
    this.screen.refresh();
  }

  #send(shape) {
    const { spans } = shape, classIndex = this.paintClass;
    if (spans.length === 0) return; // beside the tile
    this.notice = null;
    if (!(shape instanceof Path)) this.screen.redraw(this.labels.paint(spans, classIndex));
    this.queue.push("strokes", { tool: this.tool, class_index: classIndex, ...shape.body }, { spans, classIndex });
  }

  #nearFirstCorner(point) {
    return this.shape.complete && this.#screenDistance(point, this.shape.points[0]) < CLOSING_DISTANCE;
  }

  #screenDistance(a, b) {
    return Math.hypot(a[0] - b[0], a[1] - b[1]) * this.view.scale;
  }

  // ---- commands (see commands.js) ----

  setTool(tool) {
    if (this.shape instanceof Path) return; // not in the middle of a stroke
    this.shape = null;
    this.#set({ tool });
  }

  setClass(classIndex) {
    if (this.shape instanceof Path) return;
    const tool = this.tool === "eraser" || this.tool === "hand" ? "brush" : this.tool; // a class is chosen to paint it
    this.#set({ classIndex, tool });
  }

  setRadius(radius) {
    this.#set({ radius: Math.min(RADII[1], Math.max(RADII[0], radius)) });
  }

  resizeBrush(factor) {
    const stepped = factor > 1 ? Math.max(this.radius + 0.5, this.radius * factor) : Math.min(this.radius - 0.5, this.radius * factor);
    this.setRadius(Math.round(stepped * 2) / 2);
  }

  setOpacity(opacity) {
    this.#set({ opacity });
    this.screen.redraw();
  }

  toggleOutline() {
    this.#set({ outlined: !this.outlined });
    this.screen.redraw();
  }

  hideLabels(hidden) {
    this.hidden = hidden;
    this.screen.redraw();
  }

  #set(change) {
    Object.assign(this, change);
    keepSettings(this);
    this.screen.refresh();
  }

  zoom(factor, x = this.view.width / 2, y = this.view.height / 2) {
    this.view.zoomAt(factor, x, y);
    this.screen.redraw();
  }

  pan(rightwards, downwards) {
    this.view.panBy(rightwards * 80, downwards * 80);
    this.screen.redraw();
  }

  fit() {
    this.view.fit();
    this.screen.redraw();
  }

  undo() {
    if (this.shape instanceof Polygon) this.removeCorner();
    else if (!this.shape && this.canUndo) this.queue.push("undo", {}, null);
  }

  redo() {
    if (!this.shape && this.canRedo) this.queue.push("redo", {}, null);
  }

  startFromGivenMask() {
    if (this.ready) this.queue.push("import", {}, null);
  }

  clear() {
    if (this.ready) this.queue.push("clear", {}, null);
  }

  fullscreen() {
    this.screen.toggleFullscreen();
  }

  toggleHelp() {
    this.screen.toggleHelp();
  }

  get canUndo() {
    return this.ready && (this.shape instanceof Polygon || this.state.undo > 0 || this.queue.waiting.length > 0);
  }

  get canRedo() {
    return this.ready && (this.state.redo > 0 || this.queue.waiting.length > 0);
  }

  get hasGivenMask() {
    return Boolean(this.tile?.given_mask);
  }

  get hasLabels() {
    return this.ready && this.state.counts.some(({ pixels }) => pixels > 0);
  }

  summary() {
    return {
      ready: this.ready, tile: this.tile?.id ?? null, tool: this.tool, classIndex: this.classIndex, radius: this.radius,
      unsaved: this.queue?.waiting.length ?? 0, busy: this.queue?.running ?? false, sequence: this.state?.sequence ?? null, trouble: this.queue?.trouble ?? null,
      counts: this.state?.counts ?? null, scale: this.view?.scale ?? null,
    };
  }
}
