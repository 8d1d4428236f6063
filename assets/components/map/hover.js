// What the tile under the pointer is: its name, its split, and what its colour says.

const SPLITS = ["train", "val", "test", "no split"];

export function hoverText(state, tiles, codes, number) {
  const lines = [tiles.names[number], SPLITS[tiles.splits[number]]];
  if (state.title !== "Split") {
    const label = state.labels[codes[number]];
    const value = state.values ? readValue(state.values, number) : null;
    lines.push(`${state.title}: ${value === null ? label : state.ranges ? value : `${label}, ${value}`}`);
  }
  return lines;
}

// Figures come as one character a tile: 0 to 100 percent, "~" where nothing is known.
export function readValue(values, number) {
  const percent = values.charCodeAt(number) - 160;
  return percent >= 0 && percent <= 100 ? `${percent} %` : null;
}

export class Hover {
  constructor(map) {
    this.map = map;
    this.tip = L.tooltip({ direction: "auto", offset: [14, 0], className: "tw-tip", opacity: 1 });
    this.number = -1;
  }

  show(number, latlng, lines) {
    if (number < 0) return this.hide();
    if (number !== this.number) {
      const content = document.createElement("div");
      lines().forEach((text, index) => {
        const line = content.appendChild(document.createElement(index ? "div" : "b"));
        line.textContent = text;
      });
      this.tip.setContent(content);
    }
    this.number = number;
    this.tip.setLatLng(latlng);
    if (!this.map.hasLayer(this.tip)) this.tip.addTo(this.map);
  }

  hide() {
    this.number = -1;
    this.tip.remove();
  }
}
