// The controls on the map itself: what lies over the images (how opaque, filled or borders only), the way back to the
// whole collection, and a note while something is being prepared. None of them reruns the page.

const KEPT = "tilewright-map-overlay";

export function overlaySettings() {
  const usual = { opacity: 60, style: "fill" };
  try {
    return { ...usual, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
  } catch {
    return usual;
  }
}

function keep(settings) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing shows the usual settings next time.
  }
}

export const OverlayControl = L.Control.extend({
  options: { position: "bottomleft" },

  onAdd() {
    const box = L.DomUtil.create("div", "tw-control tw-overlay");
    box.innerHTML = `<b></b>
      <label>Opacity <input type="range" min="10" max="100" step="5" aria-label="Opacity"><output></output></label>
      <span role="radiogroup" aria-label="How it is drawn">
        <button type="button" role="radio" data-style="fill">Filled</button>
        <button type="button" role="radio" data-style="borders">Borders</button>
      </span>
      <div class="tw-classes"></div>`;
    L.DomEvent.disableClickPropagation(box);
    L.DomEvent.disableScrollPropagation(box);
    this.settings = overlaySettings();
    this.box = box;
    const range = box.querySelector("input");
    range.value = this.settings.opacity;
    range.oninput = () => this._set({ opacity: Number(range.value) });
    for (const button of box.querySelectorAll("button")) {
      button.onclick = () => this._set({ style: button.dataset.style });
    }
    this._paint();
    return box;
  },

  // classes: names and colours.
  name(text, classes) {
    this.box.hidden = !text;
    this.box.querySelector("b").textContent = text ?? "";
    this.box.querySelector("b").title = text ?? "";
    this.box.querySelector(".tw-classes").replaceChildren(...classes.map(([name, colour]) => {
      const item = document.createElement("span");
      item.appendChild(document.createElement("i")).style.background = colour;
      item.append(name);
      return item;
    }));
  },

  _set(change) {
    this.settings = { ...this.settings, ...change };
    keep(this.settings);
    this._paint();
    this.options.changed(this.settings);
  },

  _paint() {
    this.box.querySelector("output").textContent = `${this.settings.opacity} %`;
    for (const button of this.box.querySelectorAll("button")) {
      button.setAttribute("aria-checked", String(button.dataset.style === this.settings.style));
    }
  },
});

// A strip along the upper edge: what the outlines say, and how many of the tiles that the filter shows have each colour;
// colours that none has are left out.
export class Legend {
  constructor(map) {
    this.map = map;
    this.box = L.DomUtil.create("div", "tw-legend", map.getContainer());
    this.box.setAttribute("role", "list");
    L.DomEvent.disableClickPropagation(this.box);
  }

  paint(state, codes, shown) {
    const counts = new Uint32Array(state.colours.length);
    codes.forEach((code, number) => { counts[code] += shown[number]; });
    const title = document.createElement("b");
    title.textContent = state.title;
    const chips = state.labels.map((label, code) => [label, state.colours[code], counts[code]]);
    this.box.setAttribute("aria-label", state.title);
    this.box.replaceChildren(title, ...chips.filter(([, , count]) => count).map(line));
    this.map.getContainer().style.setProperty("--tw-legend", `${this.box.offsetHeight}px`);
  }

  get height() {
    return this.box.offsetHeight;
  }
}

function line([label, colour, count]) {
  const item = document.createElement("span");
  item.setAttribute("role", "listitem");
  const chip = item.appendChild(document.createElement("i"));
  chip.style.borderColor = colour;
  item.append(label);
  item.appendChild(document.createElement("output")).textContent = count.toLocaleString("en");
  return item;
}

export const WholeControl = L.Control.extend({
  options: { position: "topleft" },

  onAdd() {
    const box = L.DomUtil.create("div", "leaflet-bar");
    const button = L.DomUtil.create("a", "tw-whole", box);
    button.href = "#";
    button.role = "button";
    button.title = "Show all tiles";
    button.ariaLabel = "Show all tiles";
    button.textContent = "⤢";
    L.DomEvent.on(button, "click", (event) => { L.DomEvent.stop(event); this.options.whole(); });
    return box;
  },
});

export const NoteControl = L.Control.extend({
  options: { position: "bottomright" },

  onAdd() {
    this.box = L.DomUtil.create("div", "tw-control tw-note");
    this.box.hidden = true;
    this.box.setAttribute("role", "status");
    return this.box;
  },

  say(text) {
    this.box.hidden = !text;
    this.box.textContent = text;
  },
});
