// Click-to-mask: each click says 'this belongs to it' or 'this does not', and the server's model answers with a mask.
// Nothing is painted until it is accepted. One request runs at a time; clicks made meanwhile go with the next.

import { strokeTwice } from "../ink.js";
import { MaskOverlay } from "../mask_overlay.js";
import { ask } from "../region_work.js";
import { hundredths } from "../shapes.js";
import { Tool } from "./tool.js";

const MOST_CLICKS = 50;
const ASK_AGAIN = 700; // milliseconds, while the tile is being prepared
const CLOSE = 4; // CSS pixels: the second click of a double click adds nothing
const SIGNS = ["add", "remove"];

export class Click extends Tool {
  static id = "click";

  opened() {
    this.readiness = null; // {available, reason, state}: the server's word on this tile
    this.plainClick = "add";
    this.cancel();
    this.#prepare();
  }

  activate() {
    this.#prepare();
  }

  cancel() {
    this.clicks = []; // {point, adds}; another array after every change
    this.answer = null; // {clicks, overlay, seconds}: to which clicks, and what
    this.round = {}; // answers to the clicks of an earlier round are dropped
    this.running = this.confirmed = false;
    this.painter.screen?.refresh();
  }

  /** Ask whether clicks can be answered on this tile, until its embedding is there. */
  async #prepare() {
    const { painter } = this, { tile } = painter;
    if (!tile || this.preparing === tile) return;
    this.preparing = tile;
    do {
      try {
        this.readiness = await (await painter.get("click.json")).json();
      } catch {
        this.readiness = null; // asked again when the tool is chosen, or by a click
      }
      painter.screen.refresh();
      if (this.readiness?.state === "embedding") await new Promise((resume) => setTimeout(resume, ASK_AGAIN));
    } while (painter.tile === tile && this.readiness?.state === "embedding");
    if (this.preparing === tile) this.preparing = null;
  }

  get unavailable() {
    return this.readiness?.available === false ? this.readiness.reason : null;
  }

  get rightClicks() {
    return true;
  }

  begin(point, { erase, ctrl, right }) {
    const { painter } = this;
    if (this.unavailable) return painter.say(this.unavailable);
    if (painter.labels.classAt(...point) === null || this.#isSecondOfTwo(point)) return;
    const adds = (this.plainClick === "add") !== Boolean(erase || ctrl || right);
    if (!adds && this.clicks.length === 0) return painter.say("Click inside the object first, then take parts away.");
    if (this.clicks.length >= MOST_CLICKS) return painter.say(`A mask takes at most ${MOST_CLICKS} clicks; accept it with Enter.`);
    painter.say(null);
    this.clicks = [...this.clicks, { point: hundredths(point), adds }];
    this.#ask();
  }

  #isSecondOfTwo(point) {
    const last = this.clicks.at(-1)?.point;
    return last && Math.hypot(point[0] - last[0], point[1] - last[1]) * this.painter.view.scale < CLOSE;
  }

  async #ask() {
    if (this.running) return;
    const { round } = this;
    this.running = true;
    while (this.round === round && this.clicks.length > 0 && !this.answered) await this.#request(this.clicks, round);
    if (this.round !== round) return;
    this.running = false;
    if (this.confirmed) this.confirm();
    this.painter.screen.refresh();
  }

  async #request(clicks, round) {
    const { painter } = this;
    painter.screen.refresh();
    try {
      const { mask, box, seconds } = await painter.post("click", bodyOf(clicks));
      const png = await (await fetch(`data:image/png;base64,${mask}`)).blob();
      const overlay = new MaskOverlay(await ask("mask", { png, left: box.left, top: box.top }));
      if (this.round === round && this.clicks.length > 0) this.answer = { clicks, overlay, seconds };
    } catch (error) {
      if (this.round !== round) return;
      this.clicks = this.answer?.clicks ?? []; // back to the last mask that was shown
      this.confirmed = false;
      painter.say(error.status ? error.message : "The server does not answer; click again.");
    }
  }

  /** Whether the mask shown is that of all clicks made. */
  get answered() {
    return this.answer?.clicks === this.clicks;
  }

  confirm() {
    if (!this.busy) return;
    if (!this.answered) {
      this.confirmed = true; // as soon as it is
      return;
    }
    const { painter, answer: { clicks, overlay } } = this, classIndex = painter.paintClass;
    this.cancel();
    painter.send({ tool: "click", class_index: classIndex, ...bodyOf(clicks) }, [{ spans: overlay.spans, classIndex }]);
  }

  doubleClick() {
    this.confirm();
  }

  back() {
    if (!this.busy) return false;
    if (this.clicks.length === 1) this.cancel();
    else {
      this.clicks = this.clicks.slice(0, -1);
      this.#ask();
    }
    return true;
  }

  get busy() {
    return this.clicks.length > 0;
  }

  get hint() {
    if (this.unavailable) return this.unavailable;
    if (this.running) return "Looking for the region…";
    if (this.answer) {
      const { seconds } = this.answer, time = seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
      return `Answered in ${time}. Click what is missing, right-click what is too much; Enter paints it, Escape drops it.`;
    }
    if (this.readiness?.state === "embedding") return "Preparing this tile for clicks; the first answer takes a moment longer.";
    return "Click inside a region to outline it.";
  }

  get options() {
    if (this.unavailable) return [];
    const signs = { kind: "choice", label: "A click", value: this.plainClick, choices: SIGNS, set: (sign) => { this.plainClick = sign; this.painter.screen.refresh(); } };
    const paint = { kind: "button", label: "Paint", key: "Enter", enabled: this.busy, run: () => this.confirm() };
    const drop = { kind: "button", label: "Drop", key: "Esc", enabled: this.busy, run: () => this.cancel() };
    return [signs, paint, drop];
  }

  draw(context, view) {
    this.answer?.overlay.draw(context, view, { ink: this.painter.ink, dashed: true });
    for (const { point, adds } of this.clicks) drawClick(context, view.toScreen(...point), adds);
  }
}

const bodyOf = (clicks) => ({ points: clicks.map(({ point }) => point), signs: clicks.map(({ adds }) => (adds ? 1 : 0)) });

/** A green dot with a plus, or a red one with a minus. */
function drawClick(context, [x, y], adds) {
  context.beginPath();
  context.arc(x, y, 7, 0, 2 * Math.PI);
  context.fillStyle = adds ? "#1d8a4c" : "#c62828";
  context.fill();
  strokeTwice(context, "#ffffff", 1.5);
  context.beginPath();
  context.moveTo(x - 3.5, y);
  context.lineTo(x + 3.5, y);
  if (adds) {
    context.moveTo(x, y - 3.5);
    context.lineTo(x, y + 3.5);
  }
  context.lineWidth = 1.75;
  context.strokeStyle = "#ffffff";
  context.stroke();
}
