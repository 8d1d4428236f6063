// The fixed parts of the Compare component.

export const KINDS = {
  image: "Image", truth: "Truth", a: "A", b: "B", difference: "Difference", agreement: "Agreement",
};
export const KEY_OF = { image: "1", truth: "2", a: "3", b: "4", difference: "D", agreement: "G" };
export const MODES = { panels: "Panels", swipe: "Swipe", blink: "Blink" };

const HELP = [
  ["→ or J, ← or K", "next tile, previous tile"],
  ["1 2 3 4", "image, truth, A, B on or off"],
  ["D, G", "difference, agreement on or off"],
  ["S, B, P", "swipe, blink, panels"],
  ["Space", "blink: the other one now"],
  ["O", "outlines in place of areas"],
  ["X", "A and B change places"],
  ["+ −, 0, Z", "zoom, whole tile, one screen pixel a tile pixel"],
  ["Shift + arrows", "move over the tile; so does dragging"],
  ["?", "this list"],
];

const options = Object.entries(KINDS).map(([kind, name]) => `<option value="${kind}">${name}</option>`).join("");

export const MARKUP = `
  <div class="head">
    <h1>Compare</h1>
    <div class="steps" role="group" aria-label="Tile by tile">
      <button type="button" data-do="previous" aria-label="Previous tile" title="Previous tile (← or K)">◀</button>
      <select class="tile" aria-label="Tile"></select>
      <button type="button" data-do="next" aria-label="Next tile" title="Next tile (→ or J)">▶</button>
    </div>
    <span class="place"></span>
    <span class="notes" role="status"></span>
    <span class="progress"></span>
    <button type="button" data-do="help" aria-expanded="false" aria-label="Keys" title="Keys (?)">?</button>
    <dl class="help" hidden>${HELP.map(([key, words]) => `<dt>${key}</dt><dd>${words}</dd>`).join("")}</dl>
  </div>
  <div class="sides"></div>
  <div class="bar">
    <div class="toggles modes" role="radiogroup" aria-label="View"></div>
    <div class="toggles panels" role="group" aria-label="Panels, two to four"></div>
    <div class="pair" hidden><select data-side="left" aria-label="On the left">${options}</select>
      <span aria-hidden="true">|</span><select data-side="right" aria-label="On the right">${options}</select>
      <button type="button" data-do="pause" hidden>Pause</button></div>
    <label class="opacity">Overlay <input type="range" min="0" max="100" aria-label="Overlay opacity"><output></output></label>
    <button type="button" data-do="outline" aria-pressed="false" title="Outlines in place of areas (O)">Outlines</button>
    <button type="button" data-do="fit" title="Whole tile (0)">Whole</button>
    <button type="button" data-do="full" title="One screen pixel a tile pixel (Z)">1 : 1</button>
  </div>
  <div class="stages"></div>
  <div class="foot"><span class="readout"></span><span class="legend"></span><span class="scale"></span></div>
  <div class="tables"></div>`;
