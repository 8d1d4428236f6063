// Second opinions on the open tile: where they agree with its labels, and Cohen's kappa.

import { legend } from "./figures.js";

const MAP = [{ colour: "rgb(230 0 126)", name: "Differ" }, { colour: "rgb(255 255 255 / 0.6)", name: "Agree" }, { colour: "rgb(70 70 70 / 0.6)", name: "Only one labelled it" }];

export class Agreement {
  constructor(history, root) {
    Object.assign(this, { history, root, painter: history.painter, names: [] });
    root.innerHTML = `<div class="opinions"><select aria-label="Whose second opinion"></select><button type="button" class="text" title="Where the labels and this opinion agree">Compare</button></div>
      <p class="kappa" hidden></p><ul class="shares" hidden></ul>`;
    [this.select, this.button] = root.firstChild.children;
    [, this.kappa, this.key] = root.children;
    legend(this.key, MAP.map((row) => ({ ...row, text: "" })));
    this.button.addEventListener("click", () => this.#toggle());
    this.select.addEventListener("change", () => {
      if (this.isShown) this.#toggle();
      this.#toggle();
    });
  }

  get isShown() {
    return this.history.shown?.startsWith("opinion ") ?? false;
  }

  #toggle() {
    const { value } = this.select;
    const name = this.isShown ? this.history.shown : `opinion ${value}`;
    this.history.toggle(name, { url: `agreement.png?with=${encodeURIComponent(value)}`, label: `Agreement with ${value}`, opacity: 1 });
  }

  opened() {
    this.#setNames([]);
    this.show();
    this.#fetch();
  }

  show() {
    const { isShown } = this;
    this.button.setAttribute("aria-pressed", String(isShown));
    this.kappa.hidden = this.key.hidden = !isShown;
    if (isShown) this.changed();
  }

  async #fetch() {
    const { server } = this.painter;
    if (!server) return;
    const { opinions } = await this.painter.get("opinions.json").then((answer) => answer.json()).catch(() => ({ opinions: [] }));
    if (server === this.painter.server) this.#setNames(opinions);
  }

  #setNames(names) {
    this.root.hidden = names.length === 0;
    this.select.replaceChildren(...names.map((name) => new Option(name, name)));
  }

  async changed() {
    if (!this.isShown) return;
    const answer = await this.painter.get(`agreement.json?with=${encodeURIComponent(this.select.value)}`).then((got) => got.json()).catch(() => null);
    if (!answer || !this.isShown) return;
    const { kappa, kappa_by_class: byClass, agreement, both_labelled_pixels: pixels } = answer;
    const classes = Object.entries(byClass).filter(([, value]) => value !== null).map(([name, value]) => `${name} ${value.toFixed(2)}`);
    this.kappa.textContent = pixels === 0
      ? "No pixel is labelled by both yet."
      : `${(100 * agreement).toFixed(1)} % of ${pixels.toLocaleString()} pixels agree${kappa === null ? "" : `; Cohen's kappa ${kappa.toFixed(2)}`}${classes.length ? ` (${classes.join(", ")})` : ""}.`;
  }
}
