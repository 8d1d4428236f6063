// One table drives the keyboard, the toolbar, the tooltips and the help. `keys` are written as a person reads them;
// the first is shown. `run(painter)` does it; `hold` runs again, with false, when the key is let go.

import { UNLABELLED } from "./labels.js";

const TOOLS = [
  { id: "brush", label: "Brush", keys: ["B"], icon: "brush" },
  { id: "eraser", label: "Eraser", keys: ["E"], icon: "eraser" },
  { id: "polygon", label: "Polygon", keys: ["P"], icon: "polygon", note: "click or drag corners; Enter or double-click closes" },
  { id: "rectangle", label: "Rectangle", keys: ["R"], icon: "rectangle" },
  { id: "hand", label: "Move the tile", keys: ["V"], icon: "hand", note: "or hold Space, or drag with the middle button" },
].map((tool) => ({ ...tool, group: "Tools", run: (p) => p.setTool(tool.id), active: (p) => p.tool === tool.id }));

const classCommands = (classes) => [
  ...classes.map(({ index, name }) => ({
    id: `class-${name}`, label: name[0].toUpperCase() + name.slice(1), keys: [`${index + 1}`], group: "Classes", run: (p) => p.setClass(index),
  })),
  { id: "class-unlabelled", label: "Unlabelled", keys: ["0", "U"], group: "Classes", run: (p) => p.setClass(UNLABELLED) },
];

const OTHERS = [
  { id: "smaller", label: "Smaller brush", keys: ["["], group: "Brush", run: (p) => p.resizeBrush(1 / 1.25), note: "or Shift + wheel" },
  { id: "larger", label: "Larger brush", keys: ["]"], group: "Brush", run: (p) => p.resizeBrush(1.25), note: "or Shift + wheel" },
  { id: "undo", label: "Undo", keys: ["Ctrl+Z"], group: "Edit", icon: "undo", run: (p) => p.undo(), enabled: (p) => p.canUndo },
  { id: "redo", label: "Redo", keys: ["Ctrl+Shift+Z", "Ctrl+Y"], group: "Edit", icon: "redo", run: (p) => p.redo(), enabled: (p) => p.canRedo },
  { id: "close", label: "Close the polygon", keys: ["Enter"], group: "Edit", run: (p) => p.closePolygon() },
  { id: "remove-corner", label: "Remove the last corner", keys: ["Backspace"], group: "Edit", run: (p) => p.removeCorner() },
  { id: "cancel", label: "Drop the shape being drawn; close this help", keys: ["Escape"], group: "Edit", run: (p) => p.cancel() },
  { id: "hide", label: "Hide the labels while held", keys: ["H"], group: "View", icon: "eye", hold: (p, held) => p.hideLabels(held), active: (p) => p.hidden },
  { id: "outline", label: "Outlines only", keys: ["O"], group: "View", icon: "outline", run: (p) => p.toggleOutline(), active: (p) => p.outlined },
  { id: "zoom-in", label: "Zoom in", keys: ["+", "="], group: "View", icon: "plus", run: (p) => p.zoom(1.5), note: "or the wheel" },
  { id: "zoom-out", label: "Zoom out", keys: ["-"], group: "View", icon: "minus", run: (p) => p.zoom(1 / 1.5), note: "or the wheel" },
  { id: "fit", label: "Whole tile", keys: ["F"], group: "View", icon: "fit", run: (p) => p.fit() },
  { id: "fullscreen", label: "Full screen", keys: ["Shift+F"], group: "View", icon: "fullscreen", run: (p) => p.fullscreen() },
  { id: "pan-left", label: "Move left", keys: ["ArrowLeft"], group: "View", run: (p) => p.pan(1, 0) },
  { id: "pan-right", label: "Move right", keys: ["ArrowRight"], group: "View", run: (p) => p.pan(-1, 0) },
  { id: "pan-up", label: "Move up", keys: ["ArrowUp"], group: "View", run: (p) => p.pan(0, 1) },
  { id: "pan-down", label: "Move down", keys: ["ArrowDown"], group: "View", run: (p) => p.pan(0, -1) },
  { id: "help", label: "Keys", keys: ["?"], group: "View", icon: "help", run: (p) => p.toggleHelp() },
  { id: "import", label: "Start from the given mask", keys: [], group: "Tile", run: (p) => p.startFromGivenMask(), enabled: (p) => p.hasGivenMask },
  { id: "clear", label: "Clear the labels", keys: [], group: "Tile", run: (p) => p.clear(), enabled: (p) => p.hasLabels },
];

/** The whole table, for these classes. */
export const commandsFor = (classes) => [...TOOLS, ...classCommands(classes), ...OTHERS];

/** The key of an event in the table's spelling: "B", "Ctrl+Shift+Z", "[". */
export function keyOf(event) {
  const name = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const letter = /^[A-Z]$/.test(name);
  const shift = event.shiftKey && (letter || name.length > 1); // Shift is part of "?" and "+" already
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${name}`;
}

/** "Brush (B)", for a tooltip. */
export const tooltip = ({ label, keys, note }) => `${label}${keys.length ? ` (${keys[0]})` : ""}${note ? `; ${note}` : ""}`;
