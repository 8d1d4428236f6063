// What the model suggests for this tile, drawn as hatching so that it is never mistaken for labels: where nothing is
// labelled yet, or everywhere. Decoding and finding regions runs in the worker; the layer that is seen stays until the
// next one is ready, so that a refreshed suggestion neither flickers nor holds up the brush.

import { ask } from "./region_work.js";
import { SuggestedRegions } from "./suggested_regions.js";

const PERIOD = 9; // CSS pixels from one stripe to the next
const BETWEEN = 0.22; // of the stripes' opacity
const ASIDE = 0.4; // of its opacity while another tool is in hand: the image must be seen

export class SuggestionLayer {
  above = true; // the labels: it leaves them out itself

  constructor(painter) {
    this.painter = painter;
    this.scratch = document.createElement("canvas");
    this.opened();
  }

  /** Another tile, or another sheet of it. */
  opened() {
    this.id = null; // what is seen
    this.wanted = null; // what the server has
    this.regions = this.image = null;
    this.loaded = null; // what the worker holds
    this.round = {};
  }

  get settings() {
    return this.painter.settings;
  }

  /** Whether there is something to see and accept. */
  get ready() {
    return this.regions !== null && this.settings.suggestionShown;
  }

  /** Show this suggestion instead, once it is decoded. */
  async want(id) {
    this.wanted = id;
    if (id === null) this.#take(null, null);
    else if (this.settings.suggestionShown && this.id !== id) await this.#load(id);
  }

  show(suggestionShown) {
    this.painter.set({ suggestionShown }, true);
    this.want(this.wanted);
  }

  /** The least confidence that is shown and accepted, 0 to 1. */
  setConfidence(confidence) {
    this.painter.set({ confidence });
    this.#find();
  }

  async #load(id) {
    if (this.loading === id) return;
    this.loading = id;
    const { painter, round } = this;
    try {
      const pictures = ["raster.png", "confidence.png"].map(async (name) => (await painter.get(`suggestion/${id}/${name}`)).blob());
      const [raster, confidence] = await Promise.all(pictures);
      if (this.round !== round) return;
      await ask("suggestion", { key: id, raster, confidence, colours: painter.classes.map(({ colour }) => colour) });
      if (this.round !== round) return;
      this.loaded = id;
      await this.#find();
    } catch {
      // gone meanwhile, or the server is away: the next poll asks again
    } finally {
      if (this.loading === id) this.loading = null;
    }
  }

  /** Find the regions anew; while that runs, changes of the least confidence are joined into one more search. */
  async #find() {
    this.stale = true;
    if (this.finding || this.loaded === null) return;
    this.finding = true;
    const { painter, round } = this;
    while (this.stale && this.round === round) {
      this.stale = false;
      const key = this.loaded, inks = painter.labels.shown;
      const found = await ask("regions", { key, inks, least: leastByte(this.settings.confidence) });
      if (!found || this.round !== round) continue;
      this.inks = inks;
      this.#take(key, { regions: new SuggestedRegions(found.regions, painter.tile), image: found.image });
    }
    this.finding = false;
  }

  #take(id, found) {
    this.image?.close();
    Object.assign(this, { id, regions: found?.regions ?? null, image: found?.image ?? null });
    this.painter.screen.redraw();
  }

  /** Leave out what is labelled, unless the suggestion is shown everywhere. */
  visiblePart(spans) {
    const { classes, width } = this.painter.labels;
    if (this.settings.suggestionEverywhere) return spans;
    const left = [];
    for (let i = 0; i < spans.length; i += 3) {
      const line = spans[i] * width;
      for (let start = spans[i + 1]; start < spans[i + 2]; start++) {
        if (classes[line + start] !== 255) continue;
        let end = start + 1;
        while (end < spans[i + 2] && classes[line + end] === 255) end++;
        left.push(spans[i], start, end);
        start = end;
      }
    }
    return left;
  }

  draw(context, view, ratio, clip) {
    if (!this.ready || this.painter.hidden) return;
    if (this.inks !== this.painter.labels.shown) this.#find(); // another palette was chosen
    const [left, top] = clip.slice(0, 2).map((edge) => Math.floor(edge * ratio) / ratio); // whole device pixels
    const [right, bottom] = clip.slice(2).map((edge) => Math.ceil(edge * ratio) / ratio);
    const { scratch } = this;
    const wide = Math.round(view.width * ratio), high = Math.round(view.height * ratio);
    if (scratch.width !== wide || scratch.height !== high) Object.assign(scratch, { width: wide, height: high });
    const from = view.toTile(left, top), to = view.toTile(right, bottom);
    const x0 = Math.max(0, Math.floor(from[0])), y0 = Math.max(0, Math.floor(from[1]));
    const x1 = Math.min(view.tileWidth, Math.ceil(to[0])), y1 = Math.min(view.tileHeight, Math.ceil(to[1]));
    if (x1 <= x0 || y1 <= y0) return;
    const paper = scratch.getContext("2d");
    paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    paper.globalCompositeOperation = "copy";
    paper.save();
    paper.beginPath();
    paper.rect(left, top, right - left, bottom - top);
    paper.clip();
    paper.imageSmoothingEnabled = view.scale < 1;
    const place = [x0, y0, x1 - x0, y1 - y0, ...view.toScreen(x0, y0), (x1 - x0) * view.scale, (y1 - y0) * view.scale];
    paper.drawImage(this.image, ...place);
    paper.globalCompositeOperation = "destination-out";
    if (!this.settings.suggestionEverywhere) paper.drawImage(this.painter.labels.canvas, ...place);
    paper.globalCompositeOperation = "destination-in";
    paper.fillStyle = this.#stripes(paper, view, ratio);
    paper.fillRect(left, top, right - left, bottom - top);
    paper.restore();
    context.save();
    context.globalAlpha = this.settings.suggestionOpacity * (this.settings.tool === "suggestion" ? 1 : ASIDE);
    context.drawImage(scratch, left * ratio, top * ratio, (right - left) * ratio, (bottom - top) * ratio, left, top, right - left, bottom - top);
    context.restore();
  }

  /** Stripes that move with the tile, so that they do not swim while it is moved. */
  #stripes(context, view, ratio) {
    if (this.hatch?.ratio !== ratio) {
      const side = Math.round(PERIOD * ratio), square = new OffscreenCanvas(side, side), pixels = square.getContext("2d");
      const image = pixels.createImageData(side, side);
      for (let i = 0; i < side * side; i++) {
        const across = ((i % side) + Math.floor(i / side)) % side;
        image.data[4 * i + 3] = across < side * 0.4 ? 255 : 255 * BETWEEN;
      }
      pixels.putImageData(image, 0, 0);
      this.hatch = { ratio, pattern: context.createPattern(square, "repeat") };
    }
    this.hatch.pattern.setTransform(new DOMMatrix([1 / ratio, 0, 0, 1 / ratio, view.left % PERIOD, view.top % PERIOD]));
    return this.hatch.pattern;
  }
}

/** The confidence picture has bytes: 255 is certain. core/labels/suggestions.py rounds alike. */
const leastByte = (confidence) => Math.ceil(confidence * 255);
