// What is drawn over the image: a layer is one to three class rasters and a table that gives a colour for every
// combination of their classes. Only the pixels of the screen are looked up, so that a layer of a tile of any size is
// drawn in milliseconds, and classes change without a picture of the tile being made anew.

import { CODES, OUTSIDE, UNLABELLED } from "./rasters.js";

// Blue, orange and purple of Okabe and Ito ('Color Universal Design', 2002), which stay apart for colour-blind eyes over
// a grey image; 'both wrong' is striped besides.
export const WHO = {
  a: { colour: [0, 114, 178], words: "A right, B wrong" },
  b: { colour: [230, 159, 0], words: "B right, A wrong" },
  neither: { colour: [204, 121, 167], words: "both wrong", striped: true },
  differ: { colour: [204, 121, 167], words: "A and B differ" },
};
export const ERROR = { colour: [213, 94, 0], words: "wrong" };
const APART = [16, 16, 16]; // under 'agreement', where A and B say different things
const STRIPE = 0.35; // of the opacity is left between the stripes

const word = ([red, green, blue], alpha = 255) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;

/** One raster in the classes' colours; with `outline` only the borders of its regions. */
export function maskLayer(raster, colours, { outline = false } = {}) {
  return layer([raster], (code) => (code >= UNLABELLED ? null : { colour: colours[code] }), { outline });
}

/** Where a prediction is wrong. Pixels without truth count as nothing. */
export function errorLayer(prediction, truth) {
  return layer([prediction, truth], (code, true_) => (true_ !== UNLABELLED && true_ !== code ? ERROR : null), { grey: true });
}

/** Who is right where; without a truth, where A and B differ. What both have right is clear. */
export function differenceLayer(a, b, truth) {
  if (!truth) return layer([a, b], (ofA, ofB) => (verdict(ofA, ofB, null) === "differ" ? WHO.differ : null), { grey: true });
  const choose = (ofA, ofB, true_) => WHO[verdict(ofA, ofB, true_)] ?? null;
  return layer([a, b, truth], choose, { grey: true });
}

/** What A and B agree on, in the classes' colours, and dark where they do not. */
export function agreementLayer(a, b, colours) {
  const same = (ofA, ofB) => {
    const said = verdict(ofA, ofB, null);
    if (said === "differ") return { colour: APART };
    return said === "same" && ofA !== UNLABELLED ? { colour: colours[ofA] } : null;
  };
  return layer([a, b], same);
}

/** Who is right of A and B; without a truth (null), whether they differ. */
function verdict(ofA, ofB, true_) {
  if (ofA === OUTSIDE || ofB === OUTSIDE || true_ === UNLABELLED) return "unknown";
  if (true_ === null) return ofA === ofB ? "same" : "differ";
  if (ofA === true_) return ofB === true_ ? "both" : "a";
  return ofB === true_ ? "b" : "neither";
}

/**
 * Pixels of A and B by what is said of them: {a, b, neither, both, unknown}, or {differ, same, unknown} without a truth,
 * and `agree`, the share of what both cover where they say the same. Null for reduced copies, whose pixels are samples.
 */
export function shares(a, b, truth) {
  if ([b, truth].some((other) => other && (other.width !== a.width || other.height !== a.height))) return null;
  const counts = new Uint32Array(CODES ** 3), { codes } = a, ofB = b.codes, true_ = truth?.codes;
  for (let i = 0; i < codes.length; i++) counts[codes[i] + CODES * ofB[i] + (true_ ? CODES * CODES * true_[i] : 0)]++;
  const found = { a: 0, b: 0, neither: 0, both: 0, differ: 0, same: 0, unknown: 0 };
  let covered = 0, agree = 0;
  counts.forEach((pixels, key) => {
    const [one, other, third] = parts(key), said = verdict(one, other, null);
    found[truth ? verdict(one, other, third) : said] += pixels;
    if (said !== "unknown") covered += pixels;
    if (said === "same") agree += pixels;
  });
  return { ...found, agree: agree / Math.max(1, covered) };
}

/** The codes of the up to three rasters that make up a place in a table. */
const parts = (key) => [key % CODES, Math.floor(key / CODES) % CODES, Math.floor(key / CODES ** 2)];

function layer(rasters, choose, { outline = false, grey = false } = {}) {
  const full = new Uint32Array(CODES ** 3), between = new Uint32Array(CODES ** 3);
  for (let key = 0; key < full.length; key++) {
    const found = choose(...parts(key));
    if (!found) continue;
    full[key] = word(found.colour);
    between[key] = found.striped ? word(found.colour, Math.round(255 * STRIPE)) : full[key];
  }
  return { rasters, full, between, outline, grey };
}

/**
 * Paint the columns from `start` to `end` of a picture with what a view of the tile shows of a layer.
 * `words` is the picture, 32 bits a pixel, `width` x `height`; `ratio` its pixels a screen (CSS) pixel.
 */
export function paintLayer(words, { width, height, start, end }, view, ratio, shown) {
  const { rasters, full, between, outline } = shown;
  const at = rasters.map((raster) => places(raster, width, height, view, ratio));
  // Of up to three: one that is not there is the first again, and counts nothing.
  const [a, b, c] = [0, 1, 2].map((i) => rasters[i] ?? rasters[0]), [inA, inB, inC] = [0, 1, 2].map((i) => at[i] ?? at[0]);
  const timesB = rasters[1] ? CODES : 0, timesC = rasters[2] ? CODES * CODES : 0;
  for (let y = 0; y < height; y++) {
    if (inA.rows[y] < 0) continue;
    const rowA = inA.rows[y] * a.width, rowB = inB.rows[y] * b.width, rowC = inC.rows[y] * c.width;
    for (let x = start; x < end; x++) {
      const column = inA.columns[x];
      if (column < 0 || (outline && !onBorder(inA, a, x, y))) continue;
      const key =
        a.codes[rowA + column] + timesB * b.codes[rowB + inB.columns[x]] + timesC * c.codes[rowC + inC.columns[x]];
      words[y * width + x] = ((x + y) & 7) < 4 ? full[key] : between[key];
    }
  }
}

/** The raster's column under each of the picture's columns, and its row under each row; -1 outside the tile. */
function places(raster, width, height, view, ratio) {
  const along = (length, origin, tile, most) =>
    Int32Array.from({ length }, (_, i) => {
      const at = ((i + 0.5) / ratio - origin) / view.scale;
      return at < 0 || at >= tile ? -1 : Math.min(most - 1, Math.floor((at * most) / tile));
    });
  return {
    columns: along(width, view.left, view.tileWidth, raster.width),
    rows: along(height, view.top, view.tileHeight, raster.height),
  };
}

/** Whether one of the four points two of the picture's pixels away lies in another class. */
function onBorder({ columns, rows }, { width, codes }, x, y) {
  const column = columns[x], row = rows[y], own = codes[row * width + column];
  for (const reach of [-1, 1]) {
    const across = columns[x + reach], along = rows[y + reach];
    if (across >= 0 && codes[row * width + across] !== own) return true;
    if (along >= 0 && codes[along * width + column] !== own) return true;
  }
  return false;
}
