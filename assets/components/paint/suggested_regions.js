// What the model suggests, as connected regions: a region is 4-connected, of one suggested class, with at least the
// confidence asked for everywhere (as in core/labels/suggestions.py). Regions are kept as runs of a row, so that the
// one under the pointer and its pixels are found without looking at millions of pixels.

export const NOTHING = 255;

/**
 * The runs and regions of a suggestion. `classes` are width x height; `confidence` {values, columns, rows} are bytes
 * stretched over the tile; `least` is the least byte that counts.
 * Returns arrays: `rowStart` (first run of a row), and by run `start`, `end`, `region`; by region `classOf`, `mean`
 * (byte), `pixels`, and `first` and `runs` (the runs of a region, row by row).
 */
export function suggestedRegions(classes, confidence, width, height, least) {
  const found = confidentRuns(classes, confidence, width, height, least);
  const parent = joined(found, height);
  const numbers = new Int32Array(parent.length), region = new Uint32Array(parent.length);
  let count = 0;
  for (let run = 0; run < parent.length; run++) {
    const root = rootOf(parent, run); // the first run of its region
    if (root === run) numbers[run] = count++;
    region[run] = numbers[root];
  }
  return { rowStart: found.rowStart, start: found.start, end: found.end, region, ...summed(found, region, count) };
}

function confidentRuns(classes, { values, columns, rows }, width, height, least) {
  const columnOf = Uint32Array.from({ length: width }, (_, x) => Math.floor((x * columns) / width));
  const rowStart = new Uint32Array(height + 1), start = [], end = [], classOf = [], sum = [];
  for (let row = 0; row < height; row++) {
    const at = row * width, from = Math.floor((row * rows) / height) * columns;
    let open = NOTHING, total = 0;
    for (let x = 0; x < width; x++) {
      const value = values[from + columnOf[x]], suggested = classes[at + x];
      const is = value >= least ? suggested : NOTHING;
      if (is !== open) {
        if (open !== NOTHING) { end.push(x); sum.push(total); }
        if (is !== NOTHING) { start.push(x); classOf.push(is); }
        open = is;
        total = 0;
      }
      total += value;
    }
    if (open !== NOTHING) { end.push(width); sum.push(total); }
    rowStart[row + 1] = start.length;
  }
  return { rowStart, start: Uint16Array.from(start), end: Uint16Array.from(end), classOf: Uint8Array.from(classOf), sum };
}

/** Union-find over runs that touch in neighbouring rows; the root of a region is its first run. */
function joined({ rowStart, start, end, classOf }, height) {
  const parent = Uint32Array.from(start, (_, run) => run);
  for (let row = 1; row < height; row++) {
    let above = rowStart[row - 1];
    for (let run = rowStart[row]; run < rowStart[row + 1]; run++) {
      while (above < rowStart[row] && end[above] <= start[run]) above++;
      for (let other = above; other < rowStart[row] && start[other] < end[run]; other++) {
        if (classOf[other] !== classOf[run]) continue;
        const a = rootOf(parent, run), b = rootOf(parent, other);
        parent[Math.max(a, b)] = Math.min(a, b);
      }
    }
  }
  return parent;
}

function rootOf(parent, run) {
  let root = run;
  while (parent[root] !== root) root = parent[root];
  while (parent[run] !== root) [parent[run], run] = [root, parent[run]];
  return root;
}

function summed({ start, end, classOf, sum }, region, count) {
  const of = new Uint8Array(count), pixels = new Float64Array(count), mean = new Float64Array(count);
  const first = new Uint32Array(count + 1), runs = new Uint32Array(region.length);
  for (let run = 0; run < region.length; run++) {
    const number = region[run];
    of[number] = classOf[run];
    pixels[number] += end[run] - start[run];
    mean[number] += sum[run];
    first[number + 1]++;
  }
  for (let number = 0; number < count; number++) {
    mean[number] /= pixels[number];
    first[number + 1] += first[number];
  }
  const next = first.slice();
  for (let run = 0; run < region.length; run++) runs[next[region[run]]++] = run;
  return { classOf: of, pixels, mean, first, runs };
}

export class SuggestedRegions {
  constructor(arrays, { width, height }) {
    Object.assign(this, arrays, { width, height });
  }

  /** The region at a tile point, or null where nothing is suggested. */
  at([x, y]) {
    const column = Math.floor(x), row = Math.floor(y);
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return null;
    let low = this.rowStart[row], high = this.rowStart[row + 1];
    while (low < high) { // the first run that ends behind the column
      const middle = (low + high) >> 1;
      if (this.end[middle] <= column) low = middle + 1;
      else high = middle;
    }
    return low < this.rowStart[row + 1] && this.start[low] <= column ? this.region[low] : null;
  }

  spans(region) {
    const spans = [];
    let row = 0;
    for (let i = this.first[region]; i < this.first[region + 1]; i++) {
      const run = this.runs[i];
      while (this.rowStart[row + 1] <= run) row++;
      spans.push(row, this.start[run], this.end[run]);
    }
    return spans;
  }

  /** What is suggested inside `limits` (spans in order of rows; null: anywhere): spans by class. */
  spansByClass(limits) {
    const byClass = new Map();
    const take = (run, row, from, to) => {
      const start = Math.max(from, this.start[run]), end = Math.min(to, this.end[run]);
      if (start >= end) return;
      const classIndex = this.classOf[this.region[run]];
      if (!byClass.has(classIndex)) byClass.set(classIndex, []);
      byClass.get(classIndex).push(row, start, end);
    };
    const areas = limits ?? Array.from({ length: this.height }, (_, row) => [row, 0, this.width]).flat();
    for (let i = 0; i < areas.length; i += 3) {
      const row = areas[i];
      for (let run = this.rowStart[row]; run < this.rowStart[row + 1]; run++) take(run, row, areas[i + 1], areas[i + 2]);
    }
    return byClass;
  }
}
