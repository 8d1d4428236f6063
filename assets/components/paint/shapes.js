// Strokes as they are sent, and the pixels they cover. Coordinates are cut to hundredths of a pixel, so that browser
// and server read the same.

import { capsuleSpans, polygonSpans, rectangleSpans } from "./rasterise.js";

export const MOST_POINTS = 4000; // the server takes 5000 in one stroke

export const hundredths = ([x, y]) => [Math.round(x * 100) / 100, Math.round(y * 100) / 100];

export const ringsSpans = (rings, { width, height }) => polygonSpans(rings, width, height);

/** How many pixels spans cover, where they do not overlap. */
export function pixelsOf(spans) {
  let pixels = 0;
  for (let i = 0; i < spans.length; i += 3) pixels += spans[i + 2] - spans[i + 1];
  return pixels;
}

/** What a stroke's body covers, as [{spans, classIndex}]; empty where only the server can tell (fill, region tools). */
export function paintOf(body, { width, height }) {
  const spans = spansOf(body, width, height);
  return spans.length ? [{ spans, classIndex: body.class_index }] : [];
}

function spansOf({ tool, points, radius, holes = [] }, width, height) {
  if (tool === "brush" || tool === "eraser") {
    return points.flatMap((point, i) => capsuleSpans(points[Math.max(0, i - 1)], point, radius, width, height));
  }
  if (tool === "polygon" || tool === "lasso") return polygonSpans([points, ...holes], width, height);
  if (tool === "rectangle") return rectangleSpans(...points, width, height);
  return [];
}

/**
 * The 4-connected region of equal class around a point, as spans; null where it has more than `most` pixels. Works row
 * by row: each stretch that is found looks for its neighbours in the rows above and below.
 */
export function regionSpans({ classes, width, height }, [x, y], most) {
  const row = Math.floor(y), column = Math.floor(x), was = classes[row * width + column];
  const seen = new Uint8Array(width * height), spans = [], open = [row, column];
  let pixels = 0;
  while (open.length > 0) {
    const at = open.pop(), line = open.pop() * width;
    if (seen[line + at]) continue;
    let start = at, end = at + 1;
    while (start > 0 && classes[line + start - 1] === was) start--;
    while (end < width && classes[line + end] === was) end++;
    seen.fill(1, line + start, line + end);
    spans.push(line / width, start, end);
    pixels += end - start;
    if (pixels > most) return null;
    for (const next of [line - width, line + width]) {
      if (next < 0 || next >= height * width) continue;
      for (let i = start; i < end; i++) {
        if (classes[next + i] !== was || seen[next + i]) continue;
        open.push(next / width, i);
        while (i + 1 < end && classes[next + i + 1] === was) i++;
      }
    }
  }
  return spans;
}
