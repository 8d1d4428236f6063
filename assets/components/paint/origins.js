// Where the labels come from: a map in one colour for each kind of tool, how much each made, and the origin of the
// pixel on which the pointer rests.

import { legend, moment, percent } from "./figures.js";
import { capital } from "./text.js";

const NAME = "origins";

export class Origins {
  constructor(history, root) {
    Object.assign(this, { history, root, painter: history.painter });
    root.innerHTML = `<button type="button" class="text wide" title="Who or what labelled each pixel">Where labels come from</button>
      <ul class="shares" hidden></ul><p class="pixel" hidden></p>`;
    [this.button, this.shares, this.pixel] = root.children;
    this.button.addEventListener("click", () => history.toggle(NAME, { url: "provenance.png", label: "Where labels come from", opacity: 1 }));
  }

  get isShown() {
    return this.history.shown === NAME;
  }

  opened() {
    this.asked = null;
    this.show();
  }

  show() {
    const { isShown } = this;
    this.button.setAttribute("aria-pressed", String(isShown));
    this.shares.hidden = this.pixel.hidden = !isShown;
    if (isShown) this.changed();
  }

  async changed() {
    if (!this.isShown) return;
    const answer = await this.painter.get("provenance.json").then((got) => got.json()).catch(() => null);
    if (!answer || !this.isShown) return;
    const people = answer.annotators.map(({ name, share }) => ({ colour: "none", name, text: percent(share) }));
    legend(this.shares, [...answer.kinds.map(({ name, colour, share }) => ({ colour, name: capital(name), text: percent(share) })), ...(people.length > 1 ? people : [])]);
    this.asked = null;
  }

  /** Ask for the pixel under the pointer, once it rests. */
  async tick() {
    const { painter } = this, pointer = painter.screen.pointer;
    if (!this.isShown) return;
    const rests = pointer && this.pointer && pointer[0] === this.pointer[0] && pointer[1] === this.pointer[1];
    this.pointer = pointer;
    if (!rests) return;
    const [x, y] = painter.view.toTile(...pointer).map(Math.floor), place = `x=${x}&y=${y}`;
    if (place === this.asked || painter.labels.classAt(x, y) === null) return;
    this.asked = place;
    const origin = await painter.get(`provenance.json?${place}`).then((got) => got.json()).catch(() => null);
    if (origin && this.asked === place) this.pixel.textContent = sentence(origin, x, y);
  }
}

function sentence({ tool, annotator, when, detail }, x, y) {
  if (!tool) return `${x}, ${y}: not labelled.`;
  return `${x}, ${y}: ${tool}${detail ? ` (${detail})` : ""}, by ${annotator}, ${moment(when)}.`;
}
