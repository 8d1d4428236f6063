// The settings of the chosen tool, in the bar above the canvas. A tool gives them as a list:
//   {kind: "range", label, min, max, step, value, text, set(value), name?, keys?}
//   {kind: "choice", label, value, choices: ["fine", ...] or [["fine", "Fine"], ...], set(value), keys?}
//   {kind: "switch", label, on, set(on), keys?}
//   {kind: "button", label, enabled, run(), key?}
// The elements stay while the list keeps its kinds and labels, so that a slider is not torn from under the pointer.

import { escape } from "./text.js";

export class Options {
  constructor(root) {
    this.root = root;
    this.shape = "";
  }

  update(options) {
    const shape = JSON.stringify(options.map(({ kind, label, choices }) => [kind, label, choices]));
    if (shape !== this.shape) {
      this.shape = shape;
      this.root.innerHTML = options.map(markup).join("");
      this.#wire();
    }
    this.options = options;
    [...this.root.children].forEach((element, i) => show(element, options[i]));
  }

  #wire() {
    [...this.root.children].forEach((element, i) => {
      const now = () => this.options[i];
      element.querySelector("input[type=range]")?.addEventListener("input", (event) => now().set(Number(event.target.value)));
      element.querySelector("input[type=checkbox]")?.addEventListener("change", (event) => now().set(event.target.checked));
      for (const button of element.querySelectorAll("button")) {
        button.addEventListener("click", () => (now().kind === "choice" ? now().set(button.value) : now().run()));
      }
    });
  }
}

const asPair = (choice) => (Array.isArray(choice) ? choice : [choice, choice[0].toUpperCase() + choice.slice(1)]);

function markup({ kind, label, name = label, min, max, step, keys, key, choices }) {
  const title = escape(`${name}${keys || key ? ` (${keys ?? key})` : ""}`);
  if (kind === "range") {
    return `<label class="slider" title="${title}">${escape(label)}
      <input type="range" aria-label="${escape(name)}" min="${min}" max="${max}" step="${step}"><output></output></label>`;
  }
  if (kind === "switch") return `<label class="switch" title="${title}"><input type="checkbox">${escape(label)}</label>`;
  if (kind === "choice") {
    const buttons = choices.map(asPair).map(([value, text]) => `<button type="button" value="${escape(value)}">${escape(text)}</button>`);
    return `<span class="choice" role="group" aria-label="${escape(label)}" title="${title}">${escape(label)}<span>${buttons.join("")}</span></span>`;
  }
  return `<span><button type="button" class="text">${escape(label)}${key ? ` <kbd>${escape(key)}</kbd>` : ""}</button></span>`;
}

function show(element, { kind, value, text = "", on, enabled }) {
  if (kind === "range") {
    const input = element.querySelector("input");
    if (Number(input.value) !== value) input.value = value;
    element.querySelector("output").textContent = text;
  } else if (kind === "switch") element.querySelector("input").checked = on;
  else if (kind === "choice") {
    for (const button of element.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === String(value)));
  } else element.querySelector("button").disabled = !enabled;
}
