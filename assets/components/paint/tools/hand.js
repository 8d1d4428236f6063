// Moves the tile. The panning itself is in input.js, since Space and the middle button pan with every tool.

import { Tool } from "./tool.js";

export class Hand extends Tool {
  static id = "hand";

  get cursor() {
    return "pan";
  }

  get hint() {
    return "Drag to move the tile; + and - zoom.";
  }
}
