// Class rasters in the browser: a mask picture becomes one class number a pixel, so that panels can say what lies under
// the pointer and where two rasters differ, without asking the server again.

export const UNLABELLED = 255;

const BY_CORNER = [UNLABELLED, 4, 3, 0, UNLABELLED, 2, 1, 5]; // bright red 4, green 2, blue 1: as core/classes.py

/** Fetch a mask in the DeepGlobe palette: {width, height, classes: Uint8Array, picture: canvas}. */
export async function loadRaster(address) {
  const answer = await fetch(address, { cache: "no-cache" });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || `${answer.status}`);
  const bitmap = await createImageBitmap(await answer.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const picture = canvasOf(width, height);
  const context = picture.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height);
  const words = new Uint32Array(pixels.data.buffer);
  const classes = new Uint8Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]; // little-endian: alpha, blue, green, red
    const corner = ((word >>> 5) & 4) | ((word >>> 14) & 2) | ((word >>> 23) & 1);
    classes[i] = word >>> 24 < 128 ? UNLABELLED : BY_CORNER[corner];
    if (classes[i] === UNLABELLED) words[i] = 0;
  }
  context.putImageData(pixels, 0, 0);
  return { width, height, classes, picture };
}

/** The class of a raster at tile pixel (x, y) of a tile that is `tileWidth` wide; a raster may be a reduced copy. */
export function classAt(raster, x, y, tileWidth) {
  const scale = raster.width / tileWidth;
  const column = Math.floor(x * scale), row = Math.floor(y * scale);
  if (column < 0 || row < 0 || column >= raster.width || row >= raster.height) return null;
  return raster.classes[row * raster.width + column];
}

/** Where a prediction is wrong, painted; the rest is clear. Pixels without truth count as nothing. */
export function paintErrors(prediction, truth, colour) {
  return paint(prediction, (i, at) => {
    const true_ = truth.classes[at(truth, i)];
    return true_ !== UNLABELLED && true_ !== prediction.classes[i] ? colour : null;
  });
}

/** Where A and B differ; with a truth, by who is right there. `colours`: {a, b, neither, differ}. */
export function paintDifference(a, b, truth, colours) {
  return paint(a, (i, at) => {
    const ofA = a.classes[i], ofB = b.classes[at(b, i)];
    if (ofA === ofB) return null;
    if (!truth) return colours.differ;
    const true_ = truth.classes[at(truth, i)];
    if (true_ === UNLABELLED) return null;
    return ofA === true_ ? colours.a : ofB === true_ ? colours.b : colours.neither;
  });
}

/** A picture as large as `base`, each pixel the colour ([red, green, blue], or null for clear) that `choose` gives. */
function paint(base, choose) {
  const picture = canvasOf(base.width, base.height);
  const context = picture.getContext("2d");
  const pixels = context.createImageData(base.width, base.height);
  const words = new Uint32Array(pixels.data.buffer);
  const at = (other, i) => {
    if (other.width === base.width && other.height === base.height) return i;
    const row = Math.floor(((Math.floor(i / base.width) + 0.5) * other.height) / base.height);
    return row * other.width + Math.floor((((i % base.width) + 0.5) * other.width) / base.width);
  };
  for (let i = 0; i < words.length; i++) {
    const colour = choose(i, at);
    if (colour) words[i] = ((255 << 24) | (colour[2] << 16) | (colour[1] << 8) | colour[0]) >>> 0;
  }
  context.putImageData(pixels, 0, 0);
  return picture;
}

function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}
