// The controls of one side: its run, its switches, and how far its prediction is.

import { describe, percent, valueOf, withSwitch } from "./facts.js";
import { make } from "./stages.js";

const CHIPS = { tta: "Test-time augmentation", refinement: "Refinement" };
const SELECTS = {
  min_region: ["Regions", "Regions smaller than this are filled from their neighbours", (px) => (px ? `${px} px` : "any")],
  abstain: ["Unsure", "Pixels less sure than this stay unlabelled, and count as wrong", (p) => (p ? `< ${percent(p)}` : "kept")],
};
const GATE = ["Rare classes", "Classes that cover less of the tile are taken out", (p) => (p ? `below ${percent(p)}` : "kept")];

export class SideRow {
  /** `onChange(run, facts)` is called for every choice, `onCancel()` and `onCompute()` for the buttons. */
  constructor(letter, desk, words, { onChange, onCancel, onCompute }) {
    Object.assign(this, { letter, desk, words, onChange });
    this.name = letter.toUpperCase();
    this.element = make("div", "side");
    this.element.dataset.letter = letter;
    this.controls = make("div", "controls");
    this.status = make("div", "status"); // beside the tile's name: a row that came and went would move the panels
    this.status.dataset.letter = letter;
    this.status.setAttribute("role", "status");
    this.cancel = this.#button("Cancel", onCancel);
    this.compute = this.#button("Compute", onCompute);
    this.element.append(this.controls);
  }

  /** Show a side: {run, facts, answer, trouble, kept}. */
  show(side) {
    this.side = side;
    const shape = JSON.stringify([side.run, side.facts, this.desk.runs.length]);
    if (shape !== this.shape) this.#build();
    this.shape = shape;
    this.#markKept(side.kept ?? []);
    this.#tell();
  }

  #build() {
    const { choices } = this.desk, open = this.element.querySelector("details")?.open ?? false;
    const focused = this.element.getRootNode().activeElement?.dataset.name;
    this.controls.replaceChildren(
      make("b", "letter", this.name), this.#runs(),
      ...Object.entries(CHIPS).map(([name, label]) => this.#chips(name, label, choices[name])),
      ...Object.entries(SELECTS).map(([name, words]) => this.#select(name, words, choices[name])),
      this.#more(open),
    );
    if (focused) this.controls.querySelector(`[data-name="${focused}"][aria-checked="true"], select[data-name="${focused}"]`)?.focus();
  }

  #runs() {
    const select = make("select", "run");
    select.setAttribute("aria-label", `Run ${this.name}`);
    select.dataset.name = "run";
    const names = this.desk.runs.map((run) => run.name);
    if (!names.includes(this.side.run)) names.unshift(this.side.run); // deleted meanwhile: it says so
    select.append(...names.map((name) => new Option(name, name, false, name === this.side.run)));
    select.onchange = () => this.onChange(select.value, this.side.facts);
    return select;
  }

  #chips(name, label, values) {
    const group = make("div", "chips"), current = valueOf(this.side.facts, name);
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", `${label} of ${this.name}`);
    for (const value of values) {
      const words = this.words[name][value];
      const chip = this.#button(words.replace(/ \(.*\)| filter/, ""), () => this.#choose(name, value));
      chip.setAttribute("role", "radio");
      chip.setAttribute("aria-checked", value === current);
      chip.setAttribute("aria-label", `${label} of ${this.name}: ${words}`);
      Object.assign(chip.dataset, { name, value });
      group.append(chip);
    }
    return group;
  }

  #select(name, [label, meaning, say], values) {
    const box = make("label", "choice", label), select = make("select"), current = valueOf(this.side.facts, name);
    const all = values.includes(current) ? values : [...values, current];
    box.title = meaning;
    select.dataset.name = name;
    select.setAttribute("aria-label", `${label} of ${this.name}. ${meaning}`);
    select.append(...all.map((value) => new Option(say(value), value, false, value === current)));
    select.onchange = () => this.#choose(name, Number(select.value));
    box.append(select);
    return box;
  }

  #more(open) {
    const box = make("details", "more"), body = make("div", "sheet"), { run: name, facts } = this.side;
    const run = this.desk.runs.find((one) => one.name === name);
    box.open = open;
    box.append(make("summary", "", "More"), body);
    body.append(this.#select("gate", GATE, this.desk.choices.gate));
    if (run?.offsets.some(Boolean)) body.append(this.#offsets(run.offsets));
    const kept = (run?.kept ?? []).filter((one) => JSON.stringify(one.facts) !== JSON.stringify(facts));
    if (kept.length) body.append(this.#keptBefore(kept));
    body.append(make("p", "hint", "Other numbers for a refinement are tried on Browse, under Predict."));
    return box;
  }

  #offsets(fitted) {
    const box = make("label", "choice"), tick = make("input");
    tick.type = "checkbox";
    tick.checked = Boolean(this.side.facts.offsets);
    tick.onchange = () => this.#choose("offsets", tick.checked ? fitted : []);
    box.append(tick, "fitted offsets of classes");
    return box;
  }

  #keptBefore(kept) {
    const box = make("label", "choice", "Kept settings"), select = make("select");
    select.setAttribute("aria-label", `Settings that are kept of run ${this.name}`);
    select.append(new Option("choose ...", ""));
    kept.forEach((one, i) => select.append(new Option(`${describe(one.facts, this.words)} (${one.tiles} tiles)`, i)));
    select.onchange = () => select.value && this.onChange(this.side.run, kept[select.value].facts);
    box.append(select);
    return box;
  }

  #choose(name, value) {
    this.onChange(this.side.run, withSwitch(this.side.facts, name, value));
  }

  /** A dot on what is kept: it shows at once. */
  #markKept(kept) {
    for (const chip of this.controls.querySelectorAll(".chips button")) {
      const one = kept.find((found) => found.name === chip.dataset.name && found.value === chip.dataset.value);
      chip.classList.toggle("kept", Boolean(one));
      const score = one?.miou ? `; mean IoU on this tile ${one.miou.toFixed(3)}` : "";
      chip.title = one ? `Kept: shows at once. Took ${seconds(one.seconds)}${score}` : "Not computed yet on this tile";
    }
  }

  #tell() {
    const { answer, trouble } = this.side, state = trouble ? "failed" : (answer?.state ?? "loading");
    this.element.dataset.state = state;
    this.status.replaceChildren();
    if (state === "kept" || state === "loading") return;
    this.status.append(make("b", "letter", this.name));
    if (trouble) this.status.append(make("span", "warning", trouble));
    else if (state === "waiting" || state === "computing") this.#progress(answer.progress);
    else if (state === "absent") this.status.append("not computed ", this.compute);
    else if (answer?.sentence) this.status.append(make("span", "warning", answer.sentence));
  }

  #progress({ done, total, message }) {
    const bar = make("progress");
    Object.assign(bar, { max: total || 1, value: done });
    bar.setAttribute("aria-label", `Prediction of ${this.name}`);
    this.status.append(bar, `${message} `, this.cancel);
  }

  #button(text, action) {
    const button = make("button", "", text);
    button.type = "button";
    button.onclick = action;
    return button;
  }
}

export const seconds = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(2)} s`);
