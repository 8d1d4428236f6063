// Accepts what the model suggests: the region under a click, what lies inside a lasso, one class, or everything, always
// with a confidence of at least the threshold. What is accepted becomes ordinary labels, whose provenance tells.

import { drawRings } from "../ink.js";
import { UNLABELLED } from "../labels.js";
import { drawCaption, MaskOverlay } from "../mask_overlay.js";
import { hundredths, MOST_POINTS, ringsSpans } from "../shapes.js";
import { Tool } from "./tool.js";

const CLICK = 6; // CSS pixels: a shorter way is a click, a longer one a lasso

export class Suggestion extends Tool {
  static id = "suggestion";

  opened() {
    this.ring = this.pointer = this.hovered = null;
  }

  activate() {
    if (!this.layer.settings.suggestionShown) this.layer.show(true);
    this.painter.screen.redraw(); // stronger than beside other tools
  }

  deactivate() {
    super.deactivate();
    this.painter.screen.redraw();
  }

  get layer() {
    return this.painter.suggestion;
  }

  begin(point) {
    this.ring = this.layer.ready ? [hundredths(point)] : null;
    this.hovered = null;
  }

  move(point, drawing) {
    this.pointer = point;
    if (drawing && this.ring) {
      const last = this.ring.at(-1);
      if (this.#onScreen(point, last) > 3 && this.ring.length < MOST_POINTS) this.ring.push(hundredths(point));
    } else this.#hover();
    this.painter.screen.refresh();
  }

  end() {
    const { ring } = this;
    this.ring = null;
    if (!ring) return;
    const isClick = ring.every((point) => this.#onScreen(point, ring[0]) < CLICK);
    if (isClick) this.#acceptRegion(ring[0]);
    else if (ring.length >= 3) this.#accept("lasso", ring, { limits: ringsSpans([ring], this.painter.tile) });
  }

  cancel() {
    this.ring = null;
    this.painter.screen?.refresh();
  }

  /** Enter accepts the region under the pointer. */
  confirm() {
    if (this.pointer && this.layer.ready) this.#acceptRegion(this.pointer);
  }

  #acceptRegion(point) {
    const { painter, layer } = this, region = layer.regions.at(point);
    if (region === null) return painter.say("Nothing is suggested there with this confidence; lower the slider or paint it.");
    const spans = layer.visiblePart(layer.regions.spans(region));
    if (spans.length === 0) return painter.say("This region is labelled already; 'Everywhere' lets a suggestion replace labels.");
    this.#send("region", [hundredths(point)], UNLABELLED, [{ spans, classIndex: layer.regions.classOf[region] }]);
  }

  #accept(mode, points, { limits = null, only = null }) {
    const { layer } = this, paint = [];
    for (const [classIndex, found] of layer.regions.spansByClass(limits)) {
      const spans = only === null || only === classIndex ? layer.visiblePart(found) : [];
      if (spans.length > 0) paint.push({ spans, classIndex });
    }
    if (paint.length === 0) return this.painter.say("Nothing unlabelled is suggested there with this confidence.");
    this.#send(mode, points, only ?? UNLABELLED, paint);
  }

  #send(mode, points, classIndex, paint) {
    const { painter, layer } = this, { guard } = painter;
    const own = layer.settings.suggestionEverywhere ? guard : { ...guard, over: "unlabelled" };
    this.hovered = null;
    painter.send({ tool: "suggestion", class_index: classIndex, suggestion: layer.id, mode, points, threshold: layer.settings.confidence }, paint, { guard: own });
  }

  #hover() {
    const { layer, pointer } = this;
    const region = layer.ready && pointer ? layer.regions.at(pointer) : null;
    const labelled = region !== null && layer.visiblePart(pixelAt(pointer)).length === 0;
    if (region === null || labelled) this.hovered = null;
    else if (this.hovered?.regions !== layer.regions || this.hovered.region !== region) {
      this.hovered = { region, regions: layer.regions, overlay: new MaskOverlay(layer.visiblePart(layer.regions.spans(region))) };
    }
  }

  #onScreen(a, b) {
    return Math.hypot(a[0] - b[0], a[1] - b[1]) * this.painter.view.scale;
  }

  get busy() {
    return Boolean(this.ring);
  }

  get unavailable() {
    return this.painter.opinion ? "A second opinion is given without suggestions: the model has learnt from the first." : null;
  }

  get hint() {
    const { layer } = this;
    if (this.unavailable) return this.unavailable;
    if (!layer.settings.suggestionShown) return "The suggestion is hidden.";
    if (!layer.ready) return "No suggestion for this tile yet: label a little of each class with 'Learn while I paint' on, or choose a trained run.";
    if (layer.regions.classOf.length === 0) return "Nothing is suggested with this confidence; lower it to see more.";
    return "Click a hatched region to accept it, or drag around several.";
  }

  get options() {
    const { painter, layer } = this, { settings } = layer;
    if (!settings.suggestionShown) return [{ kind: "button", label: "Show the suggestion", enabled: true, run: () => layer.show(true) }];
    if (!layer.ready) return [];
    const { confidence, suggestionEverywhere, classIndex } = settings, name = painter.classes[classIndex]?.name;
    return [
      { kind: "range", label: "Confidence", name: "Least confidence", min: 0, max: 0.99, step: 0.01, value: confidence, text: confidence.toFixed(2), set: (least) => layer.setConfidence(least) },
      { kind: "switch", label: "Everywhere", name: "Over labels too: accepting then replaces them", on: suggestionEverywhere, set: (on) => painter.set({ suggestionEverywhere: on }, true) },
      { kind: "button", label: name ? `Accept ${name}` : "Accept a class", enabled: Boolean(name) && layer.regions.classOf.includes(classIndex), run: () => this.#accept("class", [], { only: classIndex }) },
      { kind: "button", label: "Accept all", enabled: layer.regions.classOf.length > 0, run: () => this.#accept("all", [], {}) },
    ];
  }

  draw(context, view) {
    if (this.ring?.length > 1) drawRings(context, view, [this.ring], "#ffffff");
    if (!this.hovered || this.ring || !this.painter.screen.pointer) return;
    const { regions, region, overlay } = this.hovered;
    const { name } = this.painter.classes[regions.classOf[region]];
    overlay.draw(context, view, { ink: `rgb(${this.painter.labels.shown[regions.classOf[region]].join(" ")})`, tint: 0.3, dashed: true });
    drawCaption(context, view, view.toScreen(...this.pointer), `${name}, mean confidence ${(regions.mean[region] / 255).toFixed(2)}`);
  }
}

/** The pixel at a point, as spans. */
const pixelAt = ([x, y]) => [Math.floor(y), Math.floor(x), Math.floor(x) + 1];
