// Class rasters in the browser: a mask picture becomes one small number a pixel, so that panels can say what lies under
// the pointer and where rasters differ, without asking the server again.

export const UNLABELLED = 6; // in place of 255: the numbers of three rasters then fit into one small table
export const OUTSIDE = 7; // where a prediction was never meant to say anything: judged nowhere
export const CODES = 8;

const BY_CORNER = [UNLABELLED, 4, 3, 0, UNLABELLED, 2, 1, 5]; // bright red 4, green 2, blue 1: as core/classes.py
const KEPT = 14; // rasters in memory: 6 MB each at 2448 x 2448

/** Fetch the classes of a raster as core/evaluation/code_rasters.py sends them: {width, height, codes: Uint8Array}. */
export async function loadCodes(address) {
  const answer = await fetch(`/compare/${address}`);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || `${answer.status}`);
  const [width, height] = ["Width", "Height"].map((side) => Number(answer.headers.get(`X-Raster-${side}`)));
  return { width, height, codes: new Uint8Array(await answer.arrayBuffer()) };
}

/** Fetch a mask in the DeepGlobe palette, and find the classes of its pixels: the same. */
export async function loadMask(address) {
  const answer = await fetch(address, { cache: "no-cache" });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || `${answer.status}`);
  const bitmap = await createImageBitmap(await answer.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const words = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  const codes = new Uint8Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]; // little-endian: alpha, blue, green, red
    codes[i] = word >>> 31 ? BY_CORNER[((word >>> 5) & 4) | ((word >>> 14) & 2) | ((word >>> 23) & 1)] : UNLABELLED;
  }
  return { width, height, codes };
}

/** The rasters that were asked for last, by address. */
export class Rasters {
  /** `load` is one of the two above. */
  constructor(load) {
    this.load = load;
    this.found = new Map(); // address -> promise, least recently used first
  }

  get(address) {
    const known = this.found.get(address) ?? this.load(address);
    this.found.delete(address);
    this.found.set(address, known);
    known.catch(() => this.found.delete(address)); // asked for again, it may be there
    if (this.found.size > KEPT) this.found.delete(this.found.keys().next().value);
    return known;
  }
}

/** The code of a raster at tile pixel (x, y) of a tile that is `tileWidth` wide; a raster may be a reduced copy. */
export function codeAt(raster, x, y, tileWidth) {
  const scale = raster.width / tileWidth;
  const column = Math.floor(x * scale), row = Math.floor(y * scale);
  if (column < 0 || row < 0 || column >= raster.width || row >= raster.height) return null;
  return raster.codes[row * raster.width + column];
}
