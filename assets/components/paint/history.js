// The side panel's part for the past and for others: label versions, where the labels come from, and second opinions.
// Each shows a picture over the image, one at a time, which follows what is painted.

import { Agreement } from "./agreement.js";
import { Origins } from "./origins.js";
import { Versions } from "./versions.js";

const TICK = 400; // milliseconds

export class History {
  /** `slot` is the element to stand in. */
  constructor(painter, slot) {
    this.painter = painter;
    slot.innerHTML = `<div></div><div></div><div></div>`;
    this.slot = slot;
    this.parts = [new Versions(this, slot.children[0]), new Origins(this, slot.children[1]), new Agreement(this, slot.children[2])];
    this.clock = setInterval(() => this.#tick(), TICK);
    this.opened();
  }

  close() {
    clearInterval(this.clock);
  }

  /** Another tile, or another sheet of it, is open. */
  opened() {
    Object.assign(this, { shown: null, picture: null, sequence: null });
    this.painter.showPicture(null);
    for (const part of this.parts) part.opened();
  }

  /** Show a picture ({url, label}) under a name, or take it away where it is shown already. */
  toggle(name, picture) {
    const { painter } = this, again = this.shown === name;
    painter.showPicture(again ? null : { above: true, ...picture });
    Object.assign(this, { shown: again ? null : name, picture: painter.picture });
    for (const part of this.parts) part.show();
  }

  #tick() {
    const { painter } = this;
    if (!painter.ready || !this.slot.isConnected || document.visibilityState === "hidden") return;
    if (this.shown !== null && painter.picture !== this.picture) { // taken away, or another part shows one
      Object.assign(this, { shown: null, picture: null });
      for (const part of this.parts) part.show();
    }
    const { sequence } = painter.state;
    if (sequence !== this.sequence) {
      this.sequence = sequence;
      this.picture?.load();
      for (const part of this.parts) part.changed();
    }
    for (const part of this.parts) part.tick?.();
  }
}
