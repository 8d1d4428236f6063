// Superpixel brush: paints whole superpixels as the pointer touches them. The server cuts them
// in the background, in three grains; until they are here the tool says so. Shift, or a pen's other end, clears instead.

import { UNLABELLED } from "../labels.js";
import { MaskOverlay } from "../mask_overlay.js";
import { ask } from "../region_work.js";
import { SuperpixelMap } from "../superpixel_map.js";
import { drawBorders } from "../superpixel_borders.js";
import { Tool } from "./tool.js";

const GRAINS = ["fine", "medium", "coarse"];
const MOST_PIECES = 4000; // the server takes 5000 in one stroke
const ASK_AGAIN = 300, ASK_LATER = 3000; // milliseconds: while it computes; after a failure

export class Superpixel extends Tool {
  static id = "superpixel";

  opened() {
    this.maps = new Map(); // grain -> SuperpixelMap
    this.fetching = new Set();
    this.trouble = null;
    this.drag = null; // {ids, spans, classIndex, last}
    this.pointer = this.hovered = null;
    if (this.chosen) this.#fetch();
  }

  activate() {
    this.chosen = true;
    this.#fetch();
  }

  deactivate() {
    this.end();
    this.chosen = false;
    this.pointer = this.hovered = null;
  }

  get grain() {
    return this.painter.settings.grain;
  }

  get map() {
    return this.maps.get(this.grain);
  }

  setGrain(grain) {
    if (this.busy) return;
    this.painter.set({ grain });
    this.#fetch();
    this.#hover();
  }

  /** To the next finer (-1) or coarser (1) grain. */
  stepGrain(step) {
    const next = GRAINS[GRAINS.indexOf(this.grain) + step];
    if (next) this.setGrain(next);
  }

  async #fetch() {
    const { painter, grain, maps, fetching } = this, { tile } = painter;
    if (!tile || maps.has(grain) || fetching.has(grain)) return;
    fetching.add(grain);
    while (this.chosen && this.maps === maps && this.grain === grain && !maps.has(grain)) {
      try {
        const answer = await painter.get(`superpixels/${grain}.png`);
        this.trouble = null;
        if (answer.status !== 202) maps.set(grain, new SuperpixelMap(await ask("superpixels", { png: await answer.blob() }), tile));
      } catch (error) {
        this.trouble = error.status ? error.message : "The superpixels could not be fetched; trying again.";
      }
      if (this.maps === maps) this.#hover();
      if (!maps.has(grain)) await new Promise((resume) => setTimeout(resume, this.trouble ? ASK_LATER : ASK_AGAIN));
    }
    fetching.delete(grain);
  }

  begin(point, { erase, shift }) {
    if (!this.map) return;
    const classIndex = erase || shift ? UNLABELLED : this.painter.paintClass;
    this.drag = { map: this.map, ids: new Set(), spans: [], classIndex, last: point };
    this.#touch(point);
  }

  move(point, drawing) {
    this.pointer = point;
    if (drawing && this.drag) this.#touch(point);
    else this.#hover();
  }

  end() {
    if (!this.drag) return;
    this.#send();
    this.drag = null;
    this.#hover();
  }

  #touch(point) {
    const { drag, painter } = this, fresh = [];
    for (const id of drag.map.between(drag.last, point)) {
      if (drag.ids.has(id)) continue;
      drag.ids.add(id);
      for (const value of drag.map.spans(id)) fresh.push(value);
    }
    drag.last = point;
    this.hovered = null;
    if (fresh.length === 0) return;
    for (const value of fresh) drag.spans.push(value);
    const changed = painter.paint([{ spans: fresh, classIndex: drag.classIndex }]);
    if (changed) painter.screen.redraw(changed);
    if (drag.ids.size < MOST_PIECES) return;
    this.#send(); // go on in a second stroke
    this.drag = { ...drag, ids: new Set(), spans: [] };
  }

  #send() {
    const { ids, spans, classIndex } = this.drag;
    if (ids.size === 0) return; // beside the tile
    const body = { tool: "superpixel", class_index: classIndex, grain: this.grain, segments: [...ids] };
    this.painter.send(body, [{ spans, classIndex }], { painted: true });
  }

  #hover() {
    const id = this.map && this.pointer ? this.map.at(this.pointer) : null;
    if (id === null) this.hovered = null;
    else if (this.hovered?.id !== id || this.hovered.map !== this.map) {
      this.hovered = { id, map: this.map, overlay: new MaskOverlay(this.map.spans(id)) };
    }
    this.painter.screen.refresh();
  }

  get unsent() {
    return this.drag ? [{ spans: this.drag.spans, classIndex: this.drag.classIndex }] : [];
  }

  get busy() {
    return Boolean(this.drag);
  }

  get hint() {
    if (this.trouble) return this.trouble;
    if (!this.map) return `Computing the ${this.grain} superpixels of this tile…`;
    return `Click or drag to paint whole ${this.grain} superpixels; with Shift it clears them.`;
  }

  get options() {
    const { painter } = this;
    return [
      { kind: "choice", label: "Superpixels", keys: ", .", value: this.grain, choices: GRAINS, set: (grain) => this.setGrain(grain) },
      { kind: "switch", label: "All borders", on: painter.settings.superpixelBorders, set: (superpixelBorders) => painter.set({ superpixelBorders }) },
    ];
  }

  draw(context, view) {
    if (!this.map) return;
    if (this.painter.settings.superpixelBorders) drawBorders(context, view, this.map);
    if (this.painter.screen.pointer) this.hovered?.overlay.draw(context, view, { ink: this.painter.ink, tint: 0.25, width: 2 });
  }
}
