// Runs beside the page: decodes whole-tile pictures and finds regions in them, so that the brush never waits for it.

import { superpixelRuns } from "./superpixel_map.js";
import { NOTHING, suggestedRegions } from "./suggested_regions.js";

let held = null; // the suggestion: {key, classes, confidence, width, height}

const tasks = {
  /** Superpixel ids from their PNG: id = r + 256 g + 65536 b. */
  async superpixels({ png }) {
    const { data, width: columns, height: rows } = await decoded(png);
    const ids = new Uint32Array(data.buffer);
    for (let i = 0; i < ids.length; i++) ids[i] &= 0xffffff; // bytes lie as r, g, b, a: the id, little end first
    const answer = { ids, columns, rows, ...superpixelRuns(ids, columns, rows) };
    return [answer, [ids.buffer, answer.first.buffer, answer.runs.buffer]];
  },

  /** The spans of a mask (opaque = in) that lies at (left, top) of the tile. */
  async mask({ png, left, top }) {
    const { data, width, height } = await decoded(png);
    const spans = [];
    for (let row = 0; row < height; row++) {
      for (let start = 0; start < width; start++) {
        if (data[4 * (row * width + start) + 3] === 0) continue;
        let end = start + 1;
        while (end < width && data[4 * (row * width + end) + 3] !== 0) end++;
        spans.push(top + row, left + start, left + end);
        start = end;
      }
    }
    const answer = Uint32Array.from(spans);
    return [answer, [answer.buffer]];
  },

  /** Take over a suggestion: palette PNG (unlabelled transparent), grey PNG, and the classes' colours. */
  async suggestion({ key, raster, confidence, colours }) {
    const [picture, grey] = await Promise.all([decoded(raster), decoded(confidence)]);
    const classOf = new Map(colours.map(([r, g, b], index) => [(255 << 24 | b << 16 | g << 8 | r) >>> 0, index]));
    const pixels = new Uint32Array(picture.data.buffer), classes = new Uint8Array(pixels.length);
    for (let i = 0; i < pixels.length; i++) classes[i] = pixels[i] >>> 24 === 0 ? NOTHING : classOf.get(pixels[i]) ?? NOTHING;
    const values = Uint8Array.from({ length: grey.width * grey.height }, (_, i) => grey.data[4 * i]);
    const { width, height } = picture;
    held = { key, classes, width, height, confidence: { values, columns: grey.width, rows: grey.height } };
    return [null, []];
  },

  /** The regions of the suggestion from a confidence on (the least byte), and a picture of them in `inks` by class. */
  async regions({ key, least, inks }) {
    if (held?.key !== key) return [null, []]; // another one has come meanwhile
    const { classes, confidence, width, height } = held;
    const regions = suggestedRegions(classes, confidence, width, height, least);
    const image = painted(regions, inks, held);
    return [{ regions, image }, [image, ...Object.values(regions).map(({ buffer }) => buffer)]];
  },
};

function painted({ rowStart, start, end, region, classOf }, inks, { width, height }) {
  const colours = inks.map(([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r);
  const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < height; row++) {
    for (let run = rowStart[row]; run < rowStart[row + 1]; run++) {
      pixels.fill(colours[classOf[region[run]]], row * width + start[run], row * width + end[run]);
    }
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.transferToImageBitmap();
}

async function decoded(png) {
  const image = await createImageBitmap(png, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height);
}

onmessage = async ({ data: { number, task, input } }) => {
  try {
    const [answer, transferred] = await tasks[task](input);
    postMessage({ number, answer }, transferred);
  } catch (error) {
    postMessage({ number, error: String(error) });
  }
};
