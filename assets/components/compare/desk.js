// Compare: two runs, or one run with other switches, tile by tile. Mounted by pages/components/compare_desk.py.
// Everything that is looked at is fetched from core/evaluation/compare_routes.py, so that neither a switch nor the next
// tile runs the page anew; the page hears of the choice a moment later, for what it says about all tiles.

import { readAddress, writeAddress } from "./address.js";
import { DeskControls } from "./desk_controls.js";
import { KINDS } from "./desk_markup.js";
import { Pictures } from "./pictures.js";
import { loadCodes, Rasters } from "./rasters.js";
import { get, post } from "./server.js";

const POLL = 250; // milliseconds between two looks at what is being computed
const QUIET = 500; // milliseconds without a choice before the page and the next tile get their turn
const MOST_PANELS = 4;
const FEWEST_PANELS = 2;
const GIVEN_UP_FIRST = ["image", "agreement", "difference", "truth"];
const mounted = new WeakMap(); // the component's element -> its Desk

export default function mount({ data, parentElement, setStateValue }) {
  let desk = mounted.get(parentElement);
  if (!desk) {
    desk = new Desk(parentElement.querySelector(".tw-compare"), data);
    mounted.set(parentElement, desk);
    desk.open();
  }
  desk.setPalette(data.palette);
  desk.tellPage = (view) => setStateValue("view", view);
  return () => {
    desk.close();
    mounted.delete(parentElement);
  };
}

class Desk {
  constructor(root, data) {
    Object.assign(this, { root, words: data.words, collection: data.collection, height: data.height, start: data.start ?? {} });
    Object.assign(this, { rasters: new Rasters(loadCodes), pair: { left: "a", right: "b" }, outline: false, palette: data.palette });
    Object.assign(this, { mode: "panels", split: 0.5, phase: 0, playing: false, closed: false });
    this.panels = new Set(["a", "b", "difference"]);
    this.pictures = new Pictures(this);
    this.controls = new DeskControls(this);
    this.stages = this.controls.stages;
    root.tilewright = window.tilewrightCompare = this;
  }

  close() {
    this.closed = true;
    clearTimeout(this.quiet);
    clearInterval(this.blinking);
    this.stages.close();
    if (window.tilewrightCompare === this) delete window.tilewrightCompare;
  }

  /** Fetch what there is, and show what the address asks for, or the first tile that neither run trained on. */
  async open() {
    try {
      this.known = await get(`/compare/${this.collection}/desk.json`);
    } catch (error) {
      this.controls.say(error.message);
      return;
    }
    if (this.closed) return;
    const asked = { ...this.start, ...readAddress() }, names = this.known.runs.map((run) => run.name);
    this.sides = {
      a: side(asked.a ?? { run: names[0], facts: {} }),
      b: side(asked.b ?? { run: names[1] ?? names[0], facts: {} }),
    };
    const wanted = (asked.panels ?? []).filter((kind) => kind in KINDS).slice(0, MOST_PANELS);
    if (wanted.length >= FEWEST_PANELS) this.panels = new Set(wanted);
    this.order = [...this.known.tiles].sort((one, other) => this.rank(one) - this.rank(other));
    this.controls.build();
    this.setMode(["swipe", "blink"].includes(asked.mode) ? asked.mode : "panels");
    this.openTile(this.order.find((tile) => tile.id === asked.tile) ?? this.order[0]);
  }

  /** Tiles that say something about both runs come first. */
  rank(tile) {
    const seen = ["a", "b"].some((letter) => this.run(letter)?.trained_on.includes(tile.id));
    return (tile.truth ? 0 : 4) + (seen ? 2 : 0) + (["a", "b"].some((letter) => this.run(letter)?.missing.includes(tile.id)) ? 1 : 0);
  }

  run(letter) {
    return this.known.runs.find((run) => run.name === this.sides[letter].run);
  }

  /** The classes in other colours, as chosen beside the page. */
  setPalette(palette) {
    if (palette === this.palette) return;
    this.palette = palette;
    if (!this.tile) return;
    this.controls.showLegend();
    this.show();
  }

  openTile(tile) {
    for (const letter of ["a", "b"]) {
      this.drop(letter);
      Object.assign(this.sides[letter], { raster: null, scores: null, effects: null, kept: null });
    }
    this.tile = tile;
    this.truth = null;
    this.stages.openTile(tile);
    this.controls.showTile(tile);
    if (tile.truth) this.loadTruth(tile);
    for (const letter of ["a", "b"]) this.load(letter);
    this.changed();
  }

  step(by) {
    const place = this.order.indexOf(this.tile) + by;
    if (this.order[place]) this.openTile(this.order[place]);
  }

  async loadTruth(tile) {
    try {
      const truth = await this.rasters.get(tile.truth);
      if (this.tile !== tile) return;
      this.truth = truth;
      this.show();
    } catch (error) {
      this.controls.say(`The truth of this tile cannot be shown: ${error.message}`);
    }
  }

  /** Another run or other switches for a side. */
  choose(letter, run, facts) {
    this.drop(letter);
    const other = run !== this.sides[letter].run;
    Object.assign(this.sides[letter], { run, facts });
    if (other) this.controls.showTile(this.tile);
    this.load(letter);
    this.judgeAgain(other && (letter === "a" ? "b" : "a"));
    this.changed();
  }

  /** The other side is judged on what both runs cover: with another run beside it that may be another part. */
  judgeAgain(letter) {
    const one = letter && this.sides[letter];
    if (one?.raster) this.loadScores(one, one.turn);
  }

  swap() {
    const { a, b } = this.sides;
    this.sides = { a: b, b: a };
    this.show();
    this.changed();
  }

  /** What a side was waiting for is not wanted any more; what it shows stays, marked as old, until the next is there. */
  drop(letter) {
    const one = this.sides[letter], { state } = one.answer ?? {};
    if (state === "waiting" || state === "computing") this.ask(letter, "cancel").catch(() => {});
    Object.assign(one, { turn: one.turn + 1, answer: null, trouble: null, old: true });
  }

  cancel(letter) {
    const one = this.sides[letter];
    one.turn++;
    this.answered(letter, this.ask(letter, "cancel"), { start: false });
  }

  compute(letter) {
    return this.answered(letter, this.ask(letter, "compute"), { start: false });
  }

  load(letter) {
    const { run, facts } = this.sides[letter];
    const question = get(`/compare/${this.tile.id}/side.json`, { run, switches: JSON.stringify(facts) });
    this.answered(letter, question, { start: true });
    this.show();
  }

  ask(letter, what, facts = this.sides[letter].facts) {
    return post(`/compare/${this.tile.id}/${what}`, { run: this.sides[letter].run, switches: facts });
  }

  /** Take in what the server says of a side, and go on asking as long as it is being computed. */
  async answered(letter, question, { start }) {
    const one = this.sides[letter], { turn } = one;
    try {
      const answer = await question;
      if (this.closed || one.turn !== turn) return;
      one.answer = answer;
      if (answer.state !== "kept") one.raster = null;
      if (answer.state === "kept") await this.take(one, turn);
      else if (start && ["absent", "failed"].includes(answer.state)) return await this.compute(this.letterOf(one));
      else if (answer.state === "waiting" || answer.state === "computing") this.lookAgain(one, turn);
    } catch (error) {
      if (this.closed || one.turn !== turn) return;
      Object.assign(one, { trouble: error.message, raster: null });
    }
    this.show();
  }

  letterOf(one) {
    return this.sides.a === one ? "a" : "b";
  }

  lookAgain(one, turn) {
    setTimeout(() => {
      if (this.closed || one.turn !== turn) return;
      const question = get(`/compare/${this.tile.id}/side.json`, { run: one.run, switches: JSON.stringify(one.facts) });
      this.answered(this.letterOf(one), question, { start: false });
    }, POLL);
  }

  async take(one, turn) {
    const raster = await this.rasters.get(one.answer.codes);
    if (one.turn !== turn) return;
    Object.assign(one, { raster, shown: one.answer.key });
    this.loadScores(one, turn);
  }

  /** Scores and what the switches change; asked again while tiles are still being counted. */
  async loadScores(one, turn) {
    try {
      const other = this.sides[this.letterOf(one) === "a" ? "b" : "a"].run;
      const found = await get(`/compare/${this.tile.id}/scores.json`, { run: one.run, switches: JSON.stringify(one.facts), other });
      if (this.closed || one.turn !== turn) return;
      Object.assign(one, { scores: found.scores, part: found.part, effects: found.effects, kept: found.kept, old: false });
      if (found.uncounted) setTimeout(() => one.turn === turn && this.loadScores(one, turn), POLL);
    } catch (error) {
      if (one.turn === turn) one.trouble = error.message;
    }
    this.controls.showSides();
  }

  /** Make the prediction without a switch, which the table of switches lacks. */
  async computeWithout(letter, facts) {
    const one = this.sides[letter], { turn } = one;
    try {
      let answer = await this.ask(letter, "compute", facts);
      while (["waiting", "computing"].includes(answer.state) && one.turn === turn && !this.closed) {
        this.controls.say(`Without the switch: ${answer.progress.message}`);
        await new Promise((resolve) => setTimeout(resolve, POLL));
        answer = await get(`/compare/${this.tile.id}/side.json`, { run: one.run, switches: JSON.stringify(facts) });
      }
      this.controls.say(answer.state === "failed" ? answer.sentence : "");
      if (one.turn === turn) this.loadScores(one, turn);
    } catch (error) {
      this.controls.say(error.message);
    }
  }

  setMode(mode) {
    this.mode = mode;
    this.phase = 0;
    this.play(mode === "blink" && !window.matchMedia("(prefers-reduced-motion: reduce)").matches);
    this.controls.showMode();
    if (this.tile) this.changed();
  }

  /** Blink, or stand still; slower than three changes a second, which nobody should be shown. */
  play(on) {
    clearInterval(this.blinking);
    this.playing = on;
    if (on) this.blinking = setInterval(() => this.flip(), 700);
    this.controls.showMode();
    if (this.tile) this.show();
  }

  flip() {
    this.phase = 1 - this.phase;
    this.show();
  }

  togglePanel(kind) {
    if (this.mode !== "panels") this.setMode("panels");
    if (!this.panels.delete(kind)) this.panels.add(kind);
    else if (this.panels.size < FEWEST_PANELS) this.panels.add(kind);
    // A fifth takes the place of another layer rather than of what is compared.
    if (this.panels.size > MOST_PANELS) this.panels.delete(GIVEN_UP_FIRST.find((one) => one !== kind && this.panels.has(one)));
    this.controls.showMode();
    this.show();
    this.changed();
  }

  /** Draw what is there now. */
  show() {
    if (!this.tile || this.closed) return;
    const { left: first, right: second } = this.pair;
    const kinds = {
      panels: Object.keys(KINDS).filter((kind) => this.panels.has(kind)), swipe: [first], blink: [this.phase ? second : first],
    };
    const wanted = kinds[this.mode].map((kind) => this.pictures.stageOf(kind));
    if (this.mode === "swipe") {
      const right = this.pictures.stageOf(second);
      const [left] = wanted, detail = [left, right].map((stage) => stage.detail).join(" | ");
      Object.assign(left, { other: right.layer ?? {}, split: this.split, title: `${left.title} | ${right.title}`, detail });
      wanted[0].legend = [...(wanted[0].legend ?? []), ...(right.legend ?? [])];
    }
    this.stages.set(wanted);
    this.controls.showSides();
    const ready = ["a", "b"].every((letter) => this.isReady(letter)) && (!this.tile.truth || this.truth);
    const settings = ["a", "b"].map((letter) => `${this.sides[letter].run}/${this.sides[letter].shown}`);
    this.root.dataset.shown = ready ? [this.tile.id, ...settings].join(" ") : "";
  }

  /** Whether a side shows what was chosen. */
  isReady(letter) {
    const { answer, raster, shown } = this.sides[letter];
    return Boolean(raster) && answer?.key === shown;
  }

  /** After a choice: the address at once; the page, and what comes next, when all is still. */
  changed() {
    writeAddress({ tile: this.tile, sides: this.sides, panels: this.panels, mode: this.mode });
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.settled(), QUIET);
  }

  settled() {
    if (this.closed) return;
    if (!this.root.dataset.shown && !this.stuck()) {
      this.quiet = setTimeout(() => this.settled(), QUIET);
      return;
    }
    const { a, b } = this.sides;
    this.tellPage({ tile: this.tile.id, a: { run: a.run, facts: a.facts }, b: { run: b.run, facts: b.facts } });
    this.prepareNext();
  }

  /** Whether nothing more comes by itself. */
  stuck() {
    return ["a", "b"].some((letter) => this.sides[letter].trouble || ["nothing", "failed", "absent"].includes(this.sides[letter].answer?.state));
  }

  /** Fetch ahead what the next tile needs, as far as it is kept. */
  async prepareNext() {
    const next = this.order[this.order.indexOf(this.tile) + 1];
    if (!next) return;
    this.stages.prepare(next);
    try {
      if (next.truth) await this.rasters.get(next.truth);
      for (const letter of ["a", "b"]) {
        const { run, facts } = this.sides[letter];
        const answer = await get(`/compare/${next.id}/side.json`, { run, switches: JSON.stringify(facts) });
        if (answer.state === "kept") await this.rasters.get(answer.codes);
      }
    } catch {
      // It is told when somebody goes there.
    }
  }
}

/** A side: what is chosen; what the server answered; what is shown, which is `old` until the answer is taken in. */
const side = ({ run, facts }) => ({
  run, facts: facts ?? {}, turn: 0, answer: null, trouble: null, old: true, raster: null, scores: null, effects: null, kept: null,
});
