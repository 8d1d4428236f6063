// Chooses the class under the pointer, then gives the tool before back. Alt and a click do the same from any tool.

import { Tool } from "./tool.js";

export class Picker extends Tool {
  static id = "picker";

  begin(point) {
    this.picked = this.painter.pickClass(point);
  }

  end() {
    if (this.picked) this.painter.setTool(this.painter.toolBefore);
    this.picked = false;
  }

  get cursor() {
    return "cross";
  }

  get hint() {
    return "Click a label to go on painting with its class.";
  }
}
