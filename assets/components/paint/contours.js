// The outline of a set of pixels as closed lines along the pixel borders, so that it can be dashed and drawn at one
// strength at every zoom. Spans are flat triples (row, first column, column behind the last), in order of rows and
// columns, with a gap between two spans of one row.

const keyOf = (x, y) => y * 65536 + x; // tiles are far smaller than 65536 pixels

/** Closed loops of corners [x, y, x, y, ...] in tile coordinates, with the inside to the right of the way. */
export function contours(spans) {
  const borders = horizontalBorders(spans);
  const loops = [];
  while (borders.rightward.size > 0) { // every loop has a rightward border: its top
    const [start] = borders.rightward.keys();
    loops.push(follow(start, borders));
  }
  return loops;
}

/** The borders between rows, by the corner where they start: where they end, and whether the way goes down there. */
function horizontalBorders(spans) {
  const rightward = new Map(), leftward = new Map();
  let above = [];
  for (let at = 0, row = spans[0]; at < spans.length || above.length > 0; row++) {
    if (above.length === 0) row = spans[at]; // over empty rows
    const here = [];
    for (; at < spans.length && spans[at] === row; at += 3) here.push([spans[at + 1], spans[at + 2]]);
    for (const [start, end, spanEnds] of without(here, above)) rightward.set(keyOf(start, row), { x: end, down: spanEnds });
    for (const [start, end, , spanStarts] of without(above, here)) leftward.set(keyOf(end, row), { x: start, down: !spanStarts });
    above = here;
  }
  return { rightward, leftward };
}

/** The parts of `some` intervals that no `other` covers: [start, end, whether an interval ends there, starts there]. */
function without(some, other) {
  const parts = [];
  let next = 0;
  for (const [first, last] of some) {
    let start = first;
    while (next < other.length && other[next][1] <= start) next++;
    for (let i = next; i < other.length && other[i][0] < last; i++) {
      if (other[i][0] > start) parts.push([start, other[i][0], false, start === first]);
      start = other[i][1];
    }
    if (start < last) parts.push([start, last, true, start === first]);
  }
  return parts;
}

/** One loop. Where two corners of the set touch it turns so that they stay apart: the set is 4-connected. */
function follow(start, { rightward, leftward }) {
  const loop = [], walked = [];
  let x = start % 65536, y = Math.floor(start / 65536), way = rightward;
  do {
    walked.push([way, keyOf(x, y)]);
    const border = way.get(keyOf(x, y));
    loop.push(x, y, border.x, y);
    x = border.x;
    const step = border.down ? 1 : -1, [first, second] = border.down ? [leftward, rightward] : [rightward, leftward];
    do y += step;
    while (!rightward.has(keyOf(x, y)) && !leftward.has(keyOf(x, y)));
    way = first.has(keyOf(x, y)) ? first : second;
  } while (way !== rightward || keyOf(x, y) !== start);
  for (const [borders, key] of walked) borders.delete(key);
  return loop;
}
