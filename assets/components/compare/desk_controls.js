// What one clicks and types on Compare, and what it writes back.

import { paletteColours } from "../paint/palettes.js";
import { KEY_OF, KINDS, MARKUP, MODES } from "./desk_markup.js";
import { SideRow } from "./side_row.js";
import { legendItem, make, showScale, Stages } from "./stages.js";
import { effectTable, tileTable } from "./tables.js";
import { get } from "./server.js";

const PAN = 60; // CSS pixels

export class DeskControls {
  constructor(desk) {
    this.desk = desk;
    const { root } = desk;
    root.innerHTML = MARKUP;
    this.find = (selector) => root.querySelector(selector);
    this.stages = new Stages(this.find(".stages"), {
      onPointer: (point) => { this.find(".readout").textContent = desk.pictures.read(point); },
      onScale: (bar) => showScale(this.find(".scale"), bar),
    });
    root.tabIndex = -1; // its buttons take the focus; keys come up from them
    root.onkeydown = (event) => this.key(event);
    const actions = {
      previous: () => desk.step(-1), next: () => desk.step(1), help: () => this.toggleHelp(),
      outline: () => this.setOutline(!desk.outline),
      fit: () => this.stages.move(() => this.stages.view.fit()), full: () => this.stages.fullSize(), pause: () => desk.play(!desk.playing),
    };
    for (const [name, action] of Object.entries(actions)) this.find(`[data-do="${name}"]`).onclick = action;
    this.find(".tile").onchange = (event) => desk.openTile(desk.order[event.target.selectedIndex]);
    const range = this.find(".opacity input");
    range.oninput = () => this.setOpacity(range.value / 100);
    this.setOpacity(0.6);
    for (const select of root.querySelectorAll(".pair select")) {
      select.onchange = () => { desk.pair[select.dataset.side] = select.value; desk.show(); };
    }
    this.handle = this.#makeHandle();
  }

  /** Once tiles and runs are known. */
  build() {
    const { desk } = this;
    this.find(".tile").replaceChildren(...desk.order.map((tile) => new Option(`${tile.name} (${tile.split}${tile.truth ? "" : ", no truth"})`)));
    this.rows = ["a", "b"].map((letter) => new SideRow(letter, desk.known, desk.words, {
      onChange: (run, facts) => desk.choose(letter, run, facts),
      onCancel: () => desk.cancel(letter),
      onCompute: () => desk.compute(letter),
    }));
    this.find(".sides").replaceChildren(...this.rows.map((row) => row.element));
    this.find(".progress").replaceChildren(...this.rows.map((row) => row.status));
    this.find(".modes").replaceChildren(...Object.entries(MODES).map(([mode, name]) => this.#toggle(name, `${name} (${name[0]})`, () => desk.setMode(mode), { mode }, "radio")));
    this.find(".panels").replaceChildren(...Object.entries(KINDS).map(([kind, name]) => this.#toggle(name, `${name} on or off (${KEY_OF[kind]})`, () => desk.togglePanel(kind), { kind })));
    this.showLegend();
    if (desk.root.getRootNode().activeElement === null) desk.root.focus({ preventScroll: true });
  }

  #toggle(name, title, action, data, role) {
    const button = make("button", "", name);
    Object.assign(button, { type: "button", title, onclick: action });
    if (role) button.setAttribute("role", role);
    Object.assign(button.dataset, data);
    return button;
  }

  showTile(tile) {
    const { desk } = this, place = desk.order.indexOf(tile);
    this.find(".tile").selectedIndex = place;
    this.find(".place").textContent = `${place + 1} of ${desk.order.length}`;
    this.find('[data-do="previous"]').disabled = place === 0;
    this.find('[data-do="next"]').disabled = place === desk.order.length - 1;
    desk.root.style.setProperty("--tw-aspect", Math.min(2, Math.max(0.5, tile.width / tile.height)));
    this.#warn(tile);
  }

  /** What makes a comparison on this tile, or of these runs, no fair one. */
  async #warn(tile) {
    const { desk } = this, { a, b } = desk.sides, names = [...new Set([a.run, b.run])];
    const knowing = names.filter((name) => desk.known.runs.find((run) => run.name === name)?.trained_on.includes(tile.id));
    const said = knowing.length ? [`${knowing.join(" and ")} trained on tile ${tile.name}: what ${knowing.length > 1 ? "they show" : "it shows"} here is no test.`] : [];
    if (desk.known.collection.synthetic) said.push("Drawn sample scenes: these figures say nothing about real imagery.");
    this.warnings = said;
    this.say();
    const pair = `${a.run}\n${b.run}`;
    if (this.pairOf !== pair) {
      this.pairOf = pair;
      this.differs = [];
      const found = await get("/compare/pair.json", { a: a.run, b: b.run }).catch(() => ({ differs: [] }));
      if (this.pairOf === pair) this.differs = found.differs;
    }
    this.say();
  }

  /** One sentence for now, beside the warnings that stand. */
  say(sentence = "") {
    const all = [...(this.warnings ?? []), ...(this.differs ?? []), sentence].filter(Boolean);
    this.find(".notes").replaceChildren(...all.map((text) => make("span", "warning", text)));
  }

  /** Both sides and their figures; whoever had the focus on something that goes keeps it on the desk, with its keys. */
  showSides() {
    const { root } = this.desk, focused = () => root.contains(root.getRootNode().activeElement), held = focused();
    this.rows.forEach((row) => row.show(this.desk.sides[row.letter]));
    this.#showFigures();
    if (held && !focused()) root.focus({ preventScroll: true });
  }

  #showFigures() {
    const { desk } = this, { a, b } = desk.sides;
    const shape = [desk.tile, ...[a, b].flatMap((side) => [side.scores, side.effects, side.old])];
    if (this.figuresOf?.every((one, i) => one === shape[i])) return;
    this.figuresOf = shape;
    const { classes } = desk.known;
    this.find(".tables").replaceChildren(
      tileTable(desk.tile, desk.sides, classes),
      effectTable(desk.sides, desk.tile, classes, (letter, facts) => desk.computeWithout(letter, facts)),
    );
  }

  showMode() {
    const { desk } = this, { mode } = desk;
    for (const button of desk.root.querySelectorAll(".modes button")) button.setAttribute("aria-checked", button.dataset.mode === mode);
    for (const button of desk.root.querySelectorAll(".panels button")) button.setAttribute("aria-pressed", desk.panels.has(button.dataset.kind));
    this.find(".panels").hidden = mode !== "panels";
    this.find(".pair").hidden = mode === "panels";
    for (const select of desk.root.querySelectorAll(".pair select")) select.value = desk.pair[select.dataset.side];
    const pause = this.find('[data-do="pause"]');
    pause.hidden = mode !== "blink";
    pause.textContent = desk.playing ? "Pause" : "Play";
    desk.root.dataset.mode = mode;
    desk.root.style.setProperty("--tw-height", `${desk.height}px`);
    if (mode !== "swipe" && desk.root.getRootNode().activeElement === this.handle) desk.root.focus({ preventScroll: true });
    this.handle.hidden = mode !== "swipe";
    if (desk.tile) desk.show();
    if (mode === "swipe") this.find(".stage").append(this.handle);
    this.placeHandle();
  }

  #makeHandle() {
    const handle = make("div", "handle", "◂▸");
    handle.tabIndex = 0;
    for (const [name, value] of Object.entries({ role: "slider", "aria-label": "Swipe", "aria-valuemin": 0, "aria-valuemax": 100 })) handle.setAttribute(name, value);
    handle.onpointerdown = (event) => handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (event) => {
      if (!event.buttons) return;
      const { left, width } = this.find(".stage canvas").getBoundingClientRect();
      this.setSplit((event.clientX - left) / width);
    };
    handle.onkeydown = (event) => {
      const by = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (!by || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.setSplit(this.desk.split + by);
    };
    return handle;
  }

  setSplit(split) {
    this.desk.split = Math.min(1, Math.max(0, split));
    this.placeHandle();
    this.desk.show();
  }

  placeHandle() {
    this.handle.style.left = `${this.desk.split * 100}%`;
    this.handle.setAttribute("aria-valuenow", Math.round(this.desk.split * 100));
  }

  setOpacity(value) {
    this.stages.opacity = value;
    this.find(".opacity input").value = value * 100;
    this.find(".opacity output").textContent = `${Math.round(value * 100)} %`;
    this.stages.draw();
  }

  setOutline(on) {
    this.desk.outline = on;
    this.find('[data-do="outline"]').setAttribute("aria-pressed", on);
    this.desk.show();
  }

  /** The classes in the colours that are shown. */
  showLegend() {
    const { classes } = this.desk.known, colours = paletteColours(this.desk.palette, classes);
    this.find(".legend").replaceChildren(...classes.map(({ name }, i) => legendItem({ colour: colours[i], words: name })));
  }

  toggleHelp() {
    const help = this.find(".help");
    help.hidden = !help.hidden;
    this.find('[data-do="help"]').setAttribute("aria-expanded", !help.hidden);
  }

  key(event) {
    const { desk, stages } = this;
    if (!desk.tile || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("select, input") || (event.key === " " && event.target.matches("button, summary"))) return;
    const pan = (x, y) => () => stages.move(() => stages.view.panBy(x, y));
    const moves = { ArrowLeft: pan(PAN, 0), ArrowRight: pan(-PAN, 0), ArrowUp: pan(0, PAN), ArrowDown: pan(0, -PAN) };
    const actions = {
      arrowright: () => desk.step(1), j: () => desk.step(1), arrowleft: () => desk.step(-1), k: () => desk.step(-1),
      s: () => desk.setMode("swipe"), b: () => desk.setMode(desk.mode === "blink" ? "panels" : "blink"), p: () => desk.setMode("panels"),
      o: () => this.setOutline(!desk.outline), x: () => desk.swap(),
      0: () => stages.move(() => stages.view.fit()), z: () => stages.fullSize(), "+": () => stages.zoomBy(1.5), "=": () => stages.zoomBy(1.5), "-": () => stages.zoomBy(1 / 1.5),
      "?": () => this.toggleHelp(), escape: () => this.find(".help").hidden || this.toggleHelp(),
      ...Object.fromEntries(Object.entries(KEY_OF).map(([kind, key]) => [key.toLowerCase(), () => desk.togglePanel(kind)])),
    };
    if (desk.mode === "blink") actions[" "] = () => { desk.play(false); desk.flip(); };
    const action = event.shiftKey && moves[event.key] ? moves[event.key] : actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
