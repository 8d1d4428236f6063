// One table drives the keyboard, the toolbar, the tooltips and the help. `keys` are written as a person reads them; the
// first is shown. `run(painter)` does it; `hold` runs again, with false, when the key is let go. `bar` says where its
// button stands: "tools" at the left, "edit" and "view" above, "tile" below the legend; without it there is none.

import { UNLABELLED } from "./classes.js";
import { capital } from "./text.js";

const TOOLS = [
  { id: "brush", label: "Brush", keys: ["B"], note: "Shift and a click: a straight line" },
  { id: "eraser", label: "Eraser", keys: ["E"] },
  { id: "polygon", label: "Polygon", keys: ["P"], note: "with holes" },
  { id: "lasso", label: "Lasso", keys: ["L"], note: "with holes" },
  { id: "rectangle", label: "Rectangle", keys: ["R"] },
  { id: "fill", label: "Fill a region", keys: ["G"] },
  { id: "superpixel", label: "Superpixel brush", keys: ["S"] },
  { id: "click", label: "Click to mask", keys: ["C"] },
  { id: "suggestion", label: "Accept the suggestion", keys: ["A"] },
  { id: "picker", label: "Pick a class from the labels", keys: ["I"], note: "or Alt and a click" },
  { id: "hand", label: "Move the tile", keys: ["V"], note: "or hold Space, drag with the middle button or with two fingers" },
].map((tool) => ({
  ...tool, icon: tool.id, group: "Tools", bar: "tools", run: (p) => p.setTool(tool.id), active: (p) => p.settings.tool === tool.id, why: (p) => p.tools[tool.id].unavailable,
}));

const classCommands = (classes) => [
  ...classes.map(({ index, name }) => ({ id: `class-${name}`, label: capital(name), keys: [`${index + 1}`], group: "Classes", run: (p) => p.setClass(index) })),
  { id: "class-unlabelled", label: "Unlabelled, or not known", keys: ["0", "U"], group: "Classes", run: (p) => p.setClass(UNLABELLED) },
];

const guardCommands = (classes) => [
  { id: "over-anything", label: "Paint over anything", keys: ["Shift+A"], group: "Paint over", run: (p) => p.paintOver("anything") },
  { id: "over-unlabelled", label: "Paint over unlabelled only", keys: ["Shift+U"], group: "Paint over", run: (p) => p.paintOver("unlabelled") },
  { id: "over-class", label: "Paint over the chosen class only", keys: ["Shift+C"], group: "Paint over", run: (p) => p.classIndex !== UNLABELLED && p.paintOver(p.classIndex), note: "choose it, press this, then choose what to paint" },
  ...classes.map(({ index, name }) => ({
    id: `protect-${name}`, label: `Protect ${name}`, keys: [`Shift+${index + 1}`], group: "Paint over", run: (p) => p.toggleProtected(index), active: (p) => p.guard.protect.includes(index),
  })),
];

const OTHERS = [
  { id: "undo", label: "Undo", keys: ["Ctrl+Z"], group: "Edit", bar: "edit", icon: "undo", run: (p) => p.undo(), enabled: (p) => p.canUndo },
  { id: "redo", label: "Redo", keys: ["Ctrl+Shift+Z", "Ctrl+Y"], group: "Edit", bar: "edit", icon: "redo", run: (p) => p.redo(), enabled: (p) => p.canRedo },
  { id: "smaller", label: "Smaller brush", keys: ["["], group: "Edit", run: (p) => p.resizeBrush(1 / 1.25), note: "or Shift and the wheel" },
  { id: "larger", label: "Larger brush", keys: ["]"], group: "Edit", run: (p) => p.resizeBrush(1.25), note: "or Shift and the wheel" },
  { id: "confirm", label: "Finish the shape; accept", keys: ["Enter"], group: "Edit", run: (p) => p.confirm() },
  { id: "confirm-open", label: "Close the shape and cut holes in it", keys: ["Shift+Enter"], group: "Edit", run: (p) => p.confirm({ shift: true }) },
  { id: "back", label: "Take the last corner or click back", keys: ["Backspace"], group: "Edit", run: (p) => p.back() },
  { id: "cancel", label: "Drop what is in the air; close this help", keys: ["Escape"], group: "Edit", run: (p) => p.cancel() },
  { id: "finer", label: "Finer superpixels", keys: [","], group: "Edit", run: (p) => p.tools.superpixel?.stepGrain(-1) },
  { id: "coarser", label: "Coarser superpixels", keys: ["."], group: "Edit", run: (p) => p.tools.superpixel?.stepGrain(1) },
  { id: "hide", label: "Hide the labels while held", keys: ["H"], group: "View", bar: "view", icon: "eye", hold: (p, held) => p.hideLabels(held), active: (p) => p.hidden },
  { id: "outline", label: "Outlines only", keys: ["O"], group: "View", bar: "view", icon: "outline", run: (p) => p.toggleOutline(), active: (p) => p.settings.outlined },
  { id: "paler", label: "Paler labels", keys: ["Shift+["], group: "View", run: (p) => p.changeOpacity(-0.1) },
  { id: "stronger", label: "Stronger labels", keys: ["Shift+]"], group: "View", run: (p) => p.changeOpacity(0.1) },
  { id: "zoom-in", label: "Zoom in", keys: ["+", "="], group: "View", bar: "view", icon: "plus", run: (p) => p.zoom(1.5), note: "or the wheel" },
  { id: "zoom-out", label: "Zoom out", keys: ["-"], group: "View", bar: "view", icon: "minus", run: (p) => p.zoom(1 / 1.5), note: "or the wheel" },
  { id: "fit", label: "Whole tile", keys: ["F"], group: "View", bar: "view", icon: "fit", run: (p) => p.fit() },
  { id: "fullscreen", label: "Full screen", keys: ["Shift+F"], group: "View", bar: "view", icon: "fullscreen", run: (p) => p.screen.toggleFullscreen() },
  { id: "minimap", label: "Overview map", keys: ["M"], group: "View", run: (p) => p.set({ minimap: !p.settings.minimap }, true) },
  { id: "palette", label: "Colour-blind safe colours", keys: ["K"], group: "View", run: (p) => p.togglePalette() },
  { id: "plain-image", label: "Image as it is", keys: ["Shift+I"], group: "View", run: (p) => p.plainImage() },
  { id: "pan-left", label: "Move left", keys: ["ArrowLeft"], group: "View", run: (p) => p.pan(1, 0) },
  { id: "pan-right", label: "Move right", keys: ["ArrowRight"], group: "View", run: (p) => p.pan(-1, 0) },
  { id: "pan-up", label: "Move up", keys: ["ArrowUp"], group: "View", run: (p) => p.pan(0, 1) },
  { id: "pan-down", label: "Move down", keys: ["ArrowDown"], group: "View", run: (p) => p.pan(0, -1) },
  { id: "help", label: "Keys", keys: ["?"], group: "View", bar: "view", icon: "help", run: (p) => p.screen.toggleHelp() },
  { id: "import", label: "Start from the given mask", keys: [], group: "Tile", bar: "tile", run: (p) => p.startFromGivenMask(), enabled: (p) => p.hasGivenMask && p.mayWrite },
  { id: "clear", label: "Clear the labels", keys: [], group: "Tile", bar: "tile", run: (p) => p.clear(), enabled: (p) => p.hasLabels && p.mayWrite },
];

/** The whole table, for these classes and for the tools that there are. */
export const commandsFor = (classes, tools) => [...TOOLS.filter(({ id }) => id in tools), ...classCommands(classes), ...guardCommands(classes), ...OTHERS];

/** The key of an event in the table's spelling: "B", "Ctrl+Shift+Z", "[", "Shift+1". */
export function keyOf(event) {
  const shifted = event.shiftKey && !/^[0-9]$/.test(event.key) && /^(Digit[0-9]|Bracket(Left|Right))$/.test(event.code); // the sign depends on the keyboard
  const plain = shifted ? { BracketLeft: "[", BracketRight: "]" }[event.code] ?? event.code.at(-1) : event.key;
  const name = plain.length === 1 ? plain.toUpperCase() : plain;
  const named = /^[A-Z]$/.test(name) || name.length > 1 || shifted;
  const shift = event.shiftKey && named; // Shift is part of "?" and "+" already
  const altGraph = event.getModifierState("AltGraph"); // Windows says Ctrl+Alt
  return `${(event.ctrlKey && !altGraph) || event.metaKey ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${name}`;
}

/** "Brush (B)", for a tooltip. */
export const tooltip = ({ label, keys, note }) => `${label}${keys.length ? ` (${keys[0]})` : ""}${note ? `; ${note}` : ""}`;
