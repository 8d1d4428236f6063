// The named versions of the labels: keep one, see what changed since, copy from it, go back to it.

import { UNLABELLED } from "./classes.js";
import { legend, moment, percent } from "./figures.js";
import { newKey } from "./person.js";
import { capital, escape } from "./text.js";

export class Versions {
  constructor(history, root) {
    Object.assign(this, { history, root, painter: history.painter });
    root.innerHTML = `
      <form class="keep"><input type="text" placeholder="Name of a version" aria-label="Name of the version" maxlength="60"><button class="text">Keep</button></form>
      <p class="trouble" role="alert" hidden></p><ul class="versions" aria-label="Versions"></ul>`;
    [this.form, this.trouble, this.list] = root.children;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#keep();
    });
  }

  opened() {
    this.versions = [];
    this.#say(null);
    this.show();
    this.#fetch();
  }

  changed() {
    if (this.open) this.#compare(this.open);
    this.#updateActions();
  }

  tick() {
    this.#updateActions();
  }

  async #fetch() {
    const { server } = this.painter;
    if (!server) return;
    const { versions } = await this.painter.get("versions.json").then((answer) => answer.json()).catch(() => ({ versions: null }));
    if (versions === null || server !== this.painter.server) return;
    this.versions = versions;
    this.show();
  }

  async #keep() {
    const { form, painter } = this, [field, button] = form.elements;
    button.disabled = true;
    try {
      await painter.post("versions", { client_key: newKey(), name: field.value });
      field.value = "";
      this.#say(null);
      await this.#fetch();
    } catch (error) {
      this.#say(error.status ? error.message : "The server does not answer; try again.");
    } finally {
      button.disabled = false;
    }
  }

  #say(sentence) {
    this.trouble.hidden = !sentence;
    this.trouble.textContent = sentence ?? "";
  }

  /** The version whose difference is shown. */
  get open() {
    return this.versions.find(({ id }) => this.history.shown === nameOf(id)) ?? null;
  }

  show() {
    const { open } = this;
    this.list.replaceChildren(...this.versions.map((version) => this.#row(version, version === open)));
    if (open) this.#compare(open);
    this.#updateActions();
  }

  #row(version, isOpen) {
    const row = document.createElement("li");
    row.innerHTML = `<button type="button" class="version" aria-expanded="${isOpen}" title="Show what changed since">
      <b>${escape(version.name)}</b><small>${escape(version.annotator)}, ${escape(moment(version.created))}</small></button>`;
    const picture = { url: `versions/${version.id}/diff.png`, label: `Changes since '${version.name}'`, opacity: 1 };
    row.firstChild.addEventListener("click", () => this.history.toggle(nameOf(version.id), picture));
    if (isOpen) row.append(this.#details(version));
    return row;
  }

  #details({ id }) {
    const details = document.createElement("div");
    details.innerHTML = `<ul class="shares"></ul><div class="act"><button type="button" class="text" data-act="all" title="Copy all of it, as far as 'Paint over' allows; one undo takes it back">Copy all</button>
      <button type="button" class="text" data-act="class"></button><button type="button" class="text" data-act="restore" title="Make the labels as they were; one undo takes it back">Go back to it</button></div>`;
    const { painter } = this, copy = { tool: "version", version: id, points: [] };
    const acts = {
      all: () => painter.send({ ...copy, mode: "all", class_index: UNLABELLED }),
      class: () => painter.send({ ...copy, mode: "class", class_index: painter.classIndex }),
      restore: () => painter.queue.push("restore", { version: id }),
    };
    for (const button of details.querySelectorAll("[data-act]")) button.addEventListener("click", acts[button.dataset.act]);
    return details;
  }

  async #compare({ id }) {
    const answer = await this.painter.get(`versions/${id}/diff.json`).then((got) => got.json()).catch(() => null);
    const shares = this.list.querySelector(".shares");
    if (!answer || !shares || this.open?.id !== id) return;
    const { width, height } = this.painter.tile;
    const changed = answer.kinds.filter(({ name }) => name !== "same");
    legend(shares, changed.map(({ name, colour, pixels }) => ({ colour, name: capital(name), text: percent(pixels / (width * height)) })));
  }

  #updateActions() {
    const { painter } = this, chosen = painter.classes[painter.classIndex];
    for (const button of this.list.querySelectorAll("[data-act]")) {
      const isClass = button.dataset.act === "class", text = chosen ? `Copy ${chosen.name}` : "Copy a class";
      button.disabled = !painter.ready || !painter.mayWrite || (isClass && !chosen);
      if (isClass && button.textContent !== text) {
        button.textContent = text;
        button.title = chosen ? `Copy its ${chosen.name}, as far as 'Paint over' allows` : "Choose a class first";
      }
    }
  }
}

const nameOf = (id) => `version ${id}`;
