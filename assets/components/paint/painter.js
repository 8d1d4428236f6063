// What the canvas knows and does: the tile, the tools, the settings and the commands. The labels and their way to the
// server are in sheet.js, each tool in tools/. It draws nothing itself; it tells `screen` (Panel) what has changed.

import { FREE, guardIsFree, guardSentence } from "./guard.js";
import { UNLABELLED } from "./classes.js";
import { Lock } from "./lock.js";
import { paletteColours } from "./palettes.js";
import { Pyramid } from "./pyramid.js";
import { Server } from "./server.js";
import { keepSettings, loadSettings, PLAIN_IMAGE } from "./settings.js";
import { Sheet } from "./sheet.js";
import { SuggestionLayer } from "./suggestion_layer.js";
import { TilePicture } from "./tile_picture.js";
import { toolsFor } from "./tools/index.js";
import { View } from "./view.js";

const RADII = [0.5, 400]; // tile pixels

export class Painter {
  constructor({ base_url: baseUrl, classes }) {
    Object.assign(this, { baseUrl, classes, hidden: false, down: false, erasing: false, tile: null, notice: null });
    this.tools = toolsFor(this);
    this.settings = loadSettings(Object.keys(this.tools));
    this.suggestion = new SuggestionLayer(this);
    this.layers = [this.suggestion]; // {draw(context, view, ratio, clip), above}: between image and labels, or above them
    this.toolBefore = "brush";
  }

  attach(screen) {
    this.screen = screen;
  }

  // ---- the tile ----

  /** `ahead` are the tiles that will be opened next: the server makes their segments and embeddings meanwhile. */
  open(tile, { revision = 0, ahead = [], opinion = false } = {}) {
    const server = new Server(this.baseUrl, tile, opinion);
    if (this.server?.key === server.key) {
      this.sheet.heardOf(revision);
      return;
    }
    const sameTile = this.tile?.id === tile.id && this.tile.version === tile.version;
    this.close();
    Object.assign(this, { server, tile, opinion, notice: null, picture: null, down: false });
    if (!sameTile) this.view = new View(tile.width, tile.height);
    this.pyramid = new Pyramid({
      address: (z, x, y) => `${this.baseUrl}/tiles/${tile.id}/${z}/${x}/${y}.jpg?v=${tile.version}`,
      maxZoom: tile.max_zoom, width: tile.width, height: tile.height,
      onLoad: () => this.screen.redraw(),
      onError: () => this.say("A part of the image could not be loaded; trying again."),
    });
    this.pyramid.adjust(this.settings.image);
    this.lock = new Lock(this.server, (was) => this.#lockChanged(was));
    this.sheet = new Sheet(this, this.server, this.classes.map(({ colour }) => colour), this.colours);
    this.suggestion.opened();
    for (const tool of Object.values(this.tools)) tool.opened();
    this.screen.opened();
    this.tool.activate();
    this.server.post("ahead", { tiles: ahead }).catch(() => {}); // only to be quicker later
  }

  close() {
    this.pyramid?.close();
    this.lock?.close();
    this.sheet?.close();
  }

  get labels() {
    return this.sheet.labels;
  }

  get queue() {
    return this.sheet?.queue;
  }

  get state() {
    return this.sheet?.state ?? null;
  }

  get ready() {
    return Boolean(this.sheet?.ready);
  }

  /** Fetch below /labels/{tile}/ in this person's name: resolves to the Response. */
  get(name) {
    return this.server.get(name);
  }

  /** The same with a JSON body: resolves to the parsed answer. */
  post(name, body) {
    return this.server.post(name, body);
  }

  say(sentence) {
    this.notice = sentence;
    this.screen.refresh();
  }

  /** Show a picture of the whole tile (`url` as for `get`) with a slider for its opacity; null takes it away. */
  showPicture(wanted) {
    this.picture?.close();
    this.picture = wanted ? new TilePicture(this, wanted) : null;
    this.screen.redraw();
  }

  // ---- several people ----

  get mayWrite() {
    return !this.lock.taken;
  }

  #lockChanged(was) {
    if (this.lock.mine && this.queue.held) this.queue.start(); // what was refused while somebody else had the tile
    if (this.lock.mine && was !== true) {
      this.sheet.adopt();
      if (was === false) this.sheet.lookAgain();
    }
    if (this.lock.taken && was !== false && !this.queue.held) this.tool.cancel();
    this.onWork?.(this.lock.work);
    this.screen.refresh();
  }

  /** A stroke was saved: the first one changes how far the tile is, and the page shows that. */
  labelled() {
    if (!this.opinion && this.lock.status !== "in work") this.lock.renew();
  }

  takeOver() {
    return this.lock.takeOver();
  }

  /** Give up the strokes that wait for the tile. */
  dropWaiting() {
    return this.sheet.drop();
  }

  /** Work on one's own second opinion, or on the tile's labels again. */
  wishOpinion(opinion) {
    this.onOpinion?.(opinion);
  }

  /** The person gave another name. */
  renamed(name) {
    this.onRenamed?.(name);
    this.open(this.tile, { opinion: this.opinion }); // an opinion is another person's now
    this.lock.renew();
  }

  // ---- drawing: points are tile coordinates ----

  get tool() {
    return this.tools[this.settings.tool];
  }

  get classIndex() {
    return this.settings.classIndex;
  }

  /** What a stroke paints now. */
  get paintClass() {
    return this.erasing || this.settings.tool === "eraser" ? UNLABELLED : this.classIndex;
  }

  /** Its colour on the screen. */
  get ink() {
    return this.paintClass === UNLABELLED ? "#ffffff" : `rgb(${this.colours[this.paintClass].join(" ")})`;
  }

  /** The classes' colours on the screen. */
  get colours() {
    return paletteColours(this.settings.palette, this.classes);
  }

  get guard() {
    return this.settings.guard;
  }

  begin(point, how = {}) {
    const { alt = false, erase = false } = how;
    if (!this.ready || this.down) return;
    if (alt) {
      this.pickClass(point);
      return;
    }
    if (!this.mayWrite) {
      this.screen.pointOutBanner();
      return;
    }
    Object.assign(this, { down: true, erasing: erase });
    this.tool.begin(point, how);
    this.screen.refresh();
  }

  /** The pointer moved, with its button down (`drawing`) or not. */
  move(point, drawing) {
    if (this.ready) this.tool.move(point, drawing && this.down);
  }

  end() {
    if (!this.down) return;
    this.down = false;
    this.tool.end();
    this.erasing = false;
    this.screen.refresh();
  }

  doubleClick() {
    if (this.ready) this.tool.doubleClick();
  }

  /** Show paint ([{spans, classIndex}]) at once, where the guard lets it; returns the changed rectangle, or null. */
  paint(paint) {
    return this.sheet.paint(paint, this.guard);
  }

  /** Queue a stroke. `paint` is shown at once, unless it was `painted` already; `guard` may be the stroke's own. */
  send(body, paint = [], { painted = false, guard = this.guard } = {}) {
    this.notice = null;
    if (!painted) this.screen.redraw(this.sheet.paint(paint, guard) ?? undefined);
    this.queue.push("strokes", guardIsFree(guard) ? body : { ...body, guard }, paint, guard);
  }

  /** Go on with the class of the label at a point; false where there is none to pick. */
  pickClass(point) {
    const classIndex = this.labels.classAt(...point);
    if (classIndex !== null) this.set({ classIndex });
    return classIndex !== null;
  }

  // ---- commands (see commands.js) ----

  /** Keep settings; `true` for `redraw` where the picture depends on them. */
  set(change, redraw = false) {
    Object.assign(this.settings, change);
    keepSettings(this.settings);
    if (redraw) this.screen.redraw();
    else this.screen.refresh();
  }

  setTool(id) {
    if (this.down || id === this.settings.tool) return; // not in the middle of a stroke
    const { unavailable } = this.tools[id];
    this.notice = unavailable;
    this.tool.deactivate();
    if (this.settings.tool !== "picker" && this.settings.tool !== "hand") this.toolBefore = this.settings.tool;
    this.set({ tool: id });
    this.tool.activate();
  }

  setClass(classIndex) {
    if (this.down) return;
    if (["eraser", "hand", "picker"].includes(this.settings.tool)) this.setTool("brush"); // a class is chosen to paint it
    this.set({ classIndex });
  }

  setRadius(radius) {
    this.set({ radius: Math.min(RADII[1], Math.max(RADII[0], radius)) });
  }

  resizeBrush(factor) {
    const { radius } = this.settings;
    const stepped = factor > 1 ? Math.max(radius + 0.5, radius * factor) : Math.min(radius - 0.5, radius * factor);
    this.setRadius(Math.round(stepped * 2) / 2);
  }

  /** The size slider of brush and eraser; logarithmic, since small brushes need the finer steps. */
  get sizeOption() {
    const { radius } = this.settings, [least, most] = RADII;
    return {
      kind: "range", label: "Size", name: "Brush size", min: 0, max: 100, step: 1, text: `${radius * 2} px`, keys: "[ and ]",
      value: (100 * Math.log(radius / least)) / Math.log(most / least),
      set: (value) => this.setRadius(Math.round(least * (most / least) ** (value / 100) * 2) / 2),
    };
  }

  paintOver(over) {
    if (this.down) return;
    this.set({ guard: { ...this.guard, over } });
  }

  toggleProtected(index) {
    if (this.down) return;
    const { protect } = this.guard;
    this.set({ guard: { ...this.guard, protect: protect.includes(index) ? protect.filter((other) => other !== index) : [...protect, index].sort() } });
  }

  freeGuard() {
    this.set({ guard: FREE });
  }

  get guardSentence() {
    return guardSentence(this.guard, this.classes);
  }

  setOpacity(opacity) {
    this.set({ opacity }, true);
  }

  changeOpacity(step) {
    this.setOpacity(Math.min(1, Math.max(0.05, this.settings.opacity + step)));
  }

  toggleOutline() {
    this.set({ outlined: !this.settings.outlined }, true);
  }

  hideLabels(hidden) {
    this.hidden = hidden;
    this.screen.redraw();
  }

  setPalette(palette) {
    this.set({ palette });
    this.labels.recolour(this.colours);
    this.screen.recoloured();
    this.screen.redraw();
  }

  togglePalette() {
    this.setPalette(this.settings.palette === "deepglobe" ? "safe" : "deepglobe");
  }

  adjustImage(change) {
    this.set({ image: { ...this.settings.image, ...change } });
    this.pyramid.adjust(this.settings.image);
    this.screen.redraw();
  }

  plainImage() {
    this.adjustImage(PLAIN_IMAGE);
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

  confirm(how) {
    if (this.ready && !this.down) this.tool.confirm(how);
  }

  back() {
    return this.ready && this.tool.back();
  }

  /** Drop what is in the air. A brush stroke is on the raster already: undo it instead. */
  cancel() {
    this.screen.toggleHelp(false);
    if (this.down && this.tool.unsent.length > 0) return;
    this.notice = null;
    this.tool.cancel();
    this.screen.refresh();
  }

  undo() {
    if (this.down || (this.tool.busy && this.back())) return;
    if (this.canUndo) this.queue.push("undo", {});
  }

  redo() {
    if (!this.down && this.canRedo) this.queue.push("redo", {});
  }

  startFromGivenMask() {
    if (this.ready && this.mayWrite) this.queue.push("import", {});
  }

  clear() {
    if (this.ready && this.mayWrite) this.queue.push("clear", {});
  }

  get canUndo() {
    return this.ready && (this.tool.busy || (this.mayWrite && (this.state.undo > 0 || this.queue.waiting.length > 0)));
  }

  get canRedo() {
    return this.ready && this.mayWrite && (this.state.redo > 0 || this.queue.waiting.length > 0);
  }

  get hasGivenMask() {
    return Boolean(this.tile?.given_mask);
  }

  get hasLabels() {
    return this.ready && this.state.counts.some(({ pixels }) => pixels > 0);
  }
}
