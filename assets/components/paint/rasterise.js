// Which pixels a stroke covers: those whose centre lies inside it. The same rules as core/labels/strokes.py, so that
// what is shown while drawing is what the server writes. Spans are flat triples: row, first column, column behind
// the last; clipped to the tile.

const firstCentre = (x, limit) => Math.min(limit, Math.max(0, Math.ceil(x - 0.5)));
const behindLastCentre = (x, limit) => Math.min(limit, Math.max(0, Math.floor(x - 0.5) + 1));

/** All points within `radius` of the segment from a to b: one span a row, since the shape is convex. */
export function capsuleSpans([ax, ay], [bx, by], radius, width, height) {
  const spans = [];
  const dx = bx - ax, dy = by - ay;
  const length = Math.sqrt(dx * dx + dy * dy);
  const top = firstCentre(Math.min(ay, by) - radius, height);
  const bottom = behindLastCentre(Math.max(ay, by) + radius, height);
  for (let row = top; row < bottom; row++) {
    const y = row + 0.5;
    let low = Infinity, high = -Infinity;
    for (const [cx, cy] of [[ax, ay], [bx, by]]) {
      if (Math.abs(y - cy) > radius) continue;
      const half = Math.sqrt(Math.max(radius * radius - (y - cy) ** 2, 0));
      low = Math.min(low, cx - half);
      high = Math.max(high, cx + half);
    }
    const strip = stripSpan(ax, y - ay, dx, dy, length, radius);
    if (strip && strip[0] <= strip[1]) {
      low = Math.min(low, strip[0]);
      high = Math.max(high, strip[1]);
    }
    const start = firstCentre(low, width), end = behindLastCentre(high, width);
    if (end > start) spans.push(row, start, end);
  }
  return spans;
}

/** What a row, `up` below the segment's start, cuts from the strip beside the segment. */
function stripSpan(ax, up, dx, dy, length, radius) {
  if (length === 0) return null;
  let low = -Infinity, high = Infinity;
  if (dx !== 0) {
    const a = ax - (up * dy) / dx, b = ax + (length * length - up * dy) / dx;
    low = Math.min(a, b);
    high = Math.max(a, b);
  } else if (up < Math.min(0, dy) || up > Math.max(0, dy)) return null;
  if (dy !== 0) {
    const a = ax + (up * dx - radius * length) / dy, b = ax + (up * dx + radius * length) / dy;
    low = Math.max(low, Math.min(a, b));
    high = Math.min(high, Math.max(a, b));
  } else if (Math.abs(up) > radius) return null;
  return [low, high];
}

/** The inside of some rings by the even-odd rule: a ring in a ring is a hole, and a ring may cross itself. */
export function polygonSpans(rings, width, height) {
  const crossings = new Map();
  const edges = rings.flatMap((points) => points.map((point, i) => [point, points[(i + 1) % points.length]]));
  for (const [a, b] of edges) {
    const [[ux, uy], [lx, ly]] = a[1] > b[1] ? [b, a] : [a, b];
    const end = firstCentre(ly, height);
    for (let row = firstCentre(uy, height); row < end; row++) {
      if (!crossings.has(row)) crossings.set(row, []);
      crossings.get(row).push(ux + ((row + 0.5 - uy) * (lx - ux)) / (ly - uy));
    }
  }
  const spans = [];
  for (const [row, xs] of crossings) {
    xs.sort((a, b) => a - b);
    for (let i = 0; i + 1 < xs.length; i += 2) {
      const start = firstCentre(xs[i], width), end = firstCentre(xs[i + 1], width);
      if (end > start) spans.push(row, start, end);
    }
  }
  return spans;
}

/** The inside of the rectangle between two opposite corners. */
export function rectangleSpans([ax, ay], [bx, by], width, height) {
  const start = firstCentre(Math.min(ax, bx), width), end = firstCentre(Math.max(ax, bx), width);
  const bottom = firstCentre(Math.max(ay, by), height);
  const spans = [];
  if (end > start) {
    for (let row = firstCentre(Math.min(ay, by), height); row < bottom; row++) spans.push(row, start, end);
  }
  return spans;
}
