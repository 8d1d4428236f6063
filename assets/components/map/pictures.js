// Layers of map tiles that are exchanged without a gap: the new one is shown when it is loaded, then the old one goes.

import { prepared } from "./prepare.js";

const MOST_WAIT = 8000; // milliseconds: a layer of which a map tile never comes is shown as far as it is

export class Pictures {
  // options: Leaflet's for the layers. told: called with how many tiles are still being prepared.
  constructor(map, options, told = () => {}) {
    this.map = map;
    this.options = options;
    this.told = told;
    this.shown = null; // { address, layer }
    this.coming = null;
  }

  // Resolves to whether the address came to be shown: false where another was wanted before that. It is not shown before
  // the promise "after" is settled.
  async show(address, opacity = 1, after = null) {
    if (address === (this.coming ?? this.shown)?.address) return this.coming?.done ?? true;
    this._drop(this.coming);
    const coming = (this.coming = { address, layer: null });
    coming.done = this._bring(coming, opacity, after);
    return coming.done;
  }

  opacity(value) {
    this.shown?.layer?.setOpacity(value);
    if (this.coming) this.coming.opacity = value;
  }

  // What is shown goes at once where another is on its way: it no longer fits what lies below.
  dropFormer() {
    if (!this.coming) return;
    this._drop(this.shown);
    this.shown = null;
  }

  async _bring(coming, opacity, after) {
    coming.opacity = opacity;
    if (coming.address) {
      await prepared(coming.address, () => this.coming === coming, this.told);
      if (this.coming !== coming) return false;
      coming.layer = L.tileLayer(coming.address, { ...this.options, opacity: 0 }).addTo(this.map);
      await loaded(coming.layer);
      await after;
      if (this.coming !== coming) return false;
      coming.layer.setOpacity(coming.opacity);
    }
    this.coming = null;
    this._drop(this.shown);
    this.shown = coming;
    return true;
  }

  _drop(one) {
    if (one?.layer) this.map.removeLayer(one.layer);
  }
}

function loaded(layer) {
  return new Promise((resolve) => {
    if (!layer.isLoading()) return resolve();
    layer.once("load", resolve);
    setTimeout(resolve, MOST_WAIT);
  });
}
