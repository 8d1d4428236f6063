// Fills the connected region of equal class under a click. The server finds the region on the raster as it is on disk;
// the same region is found here too and shown at once, unless it is so large that looking for it would be felt.

import { hundredths, regionSpans } from "../shapes.js";
import { Tool } from "./tool.js";

const SHOWN_AT_ONCE = 2_000_000; // pixels: some 20 ms

export class Fill extends Tool {
  static id = "fill";

  begin(point) {
    const { painter } = this, classIndex = painter.paintClass, was = painter.labels.classAt(...point);
    if (was === null) return;
    if (was === classIndex) return painter.say("This region has that class already.");
    const spans = regionSpans(painter.labels, point, SHOWN_AT_ONCE);
    painter.send({ tool: "fill", class_index: classIndex, points: [hundredths(point)] }, spans ? [{ spans, classIndex }] : []);
  }

  get hint() {
    return "Click a region of one class, or an unlabelled gap, to fill it.";
  }
}
