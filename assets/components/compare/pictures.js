// What each panel of Compare shows at the moment: its title, its layer and what its colours mean.

import { paletteColours } from "../paint/palettes.js";
import { KINDS } from "./desk_markup.js";
import { describe } from "./facts.js";
import { agreementLayer, differenceLayer, maskLayer, shares, WHO } from "./layers.js";
import { codeAt } from "./rasters.js";
import { className } from "./stages.js";

const AFTER_DRAWING = 60; // milliseconds: a few frames
const LAYERS = 12; // that are kept, so that neither a blink nor a pointer makes one anew

export class Pictures {
  constructor(desk) {
    Object.assign(this, { desk, layers: [], counted: null });
  }

  /** A panel as ``Stages.set`` takes it; its layer is null while something is missing for it. */
  stageOf(kind) {
    const { tile, truth, sides } = this.desk;
    const stage = { title: KINDS[kind], detail: "", layer: undefined, legend: [] };
    if (kind === "image") return { ...stage, title: `Tile ${tile.name}` };
    if (kind === "truth") {
      return { ...stage, layer: this.#layer("mask", truth), trouble: tile.truth ? null : "This tile came without a mask." };
    }
    if (kind in sides) return { ...stage, ...this.#side(kind) };
    const waits = !sides.a.raster || !sides.b.raster || (tile.truth && !truth);
    return { ...stage, ...(kind === "agreement" ? this.#agreement(waits) : this.#difference(waits)) };
  }

  #side(letter) {
    const { sides, words } = this.desk, { run, facts, answer, trouble, raster } = sides[letter];
    return {
      title: `${KINDS[letter]}: ${run}`,
      detail: describe(facts, words),
      layer: this.#layer("mask", raster),
      trouble: trouble ?? (["nothing", "failed"].includes(answer?.state) ? answer.sentence : null),
      loading: !this.desk.isReady(letter),
    };
  }

  #agreement(waits) {
    const { a, b } = this.desk.sides, found = waits ? null : this.#count();
    const layer = waits ? null : this.#layer("agreement", a.raster, b.raster);
    return { title: "A and B agree", detail: found ? `${(found.agree * 100).toFixed(1)} %` : "", layer };
  }

  #difference(waits) {
    const { tile, truth, sides } = this.desk, legend = tile.truth ? [WHO.a, WHO.b, WHO.neither] : [WHO.differ];
    return {
      title: tile.truth ? "Who is right" : "Where they differ",
      layer: waits ? null : this.#layer("difference", sides.a.raster, sides.b.raster, truth),
      legend: waits ? legend : this.#withShares(legend),
    };
  }

  /** A layer of these rasters, made once for as long as nothing about it changes; null while one is missing. */
  #layer(kind, ...rasters) {
    const needed = kind === "difference" ? rasters.slice(0, 2) : rasters;
    if (needed.some((raster) => !raster)) return null;
    const { outline, palette, known } = this.desk, look = `${kind} ${outline} ${palette}`;
    const before = this.layers.find((one) => one.look === look && one.rasters.every((raster, i) => raster === rasters[i]));
    if (before) return before.layer;
    const colours = paletteColours(palette, known.classes);
    const make = {
      mask: () => maskLayer(rasters[0], colours, { outline }),
      difference: () => differenceLayer(...rasters),
      agreement: () => agreementLayer(...rasters, colours),
    };
    const layer = make[kind]();
    this.layers = [...this.layers.slice(1 - LAYERS), { look, rasters, layer }];
    return layer;
  }

  /** Pixels by who is right, counted once for these three rasters, when they have been drawn; null until then. */
  #count() {
    const { sides, truth } = this.desk, of = [sides.a.raster, sides.b.raster, truth];
    if (this.counted && of.every((raster, i) => raster === this.counted.of[i])) return this.counted.shares;
    const counted = { of, shares: null };
    this.counted = counted;
    setTimeout(() => {
      if (this.counted !== counted || this.desk.closed) return;
      counted.shares = shares(...of);
      this.desk.show();
    }, AFTER_DRAWING);
    return null;
  }

  #withShares(legend) {
    const found = this.#count();
    if (!found) return legend;
    const known = found.a + found.b + found.neither + found.both + found.differ + found.same;
    return legend.map((one) => {
      const kind = Object.keys(WHO).find((name) => WHO[name] === one);
      return { ...one, words: `${one.words} ${((found[kind] / Math.max(1, known)) * 100).toFixed(1)} %` };
    });
  }

  /** The pixel at a point, and what truth, A and B say there. */
  read(point) {
    if (!point) return "";
    const { tile, truth, sides, known } = this.desk;
    const says = (name, raster) => raster && `${name} ${className(codeAt(raster, ...point, tile.width), known.classes)}`;
    const parts = [says("truth", truth), says("A", sides.a.raster), says("B", sides.b.raster)];
    return [`x ${Math.floor(point[0])}, y ${Math.floor(point[1])}`, ...parts.filter(Boolean)].join(" · ");
  }
}
