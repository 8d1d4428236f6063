// The borders of all superpixels in view, as lines one screen pixel wide at every zoom. Kept until the view changes.

const WHITE = 0xffffff;

const kept = { key: null, canvas: null };
const numbers = new WeakMap(); // a map's number, for the key

export function drawBorders(context, view, map) {
  if (!numbers.has(map)) numbers.set(map, Math.random());
  const key = [numbers.get(map), view.scale, view.left, view.top, view.width, view.height].join();
  if (kept.key !== key) Object.assign(kept, { key, canvas: drawn(view, map) });
  context.drawImage(kept.canvas, 0, 0);
}

function drawn(view, map) {
  const width = Math.ceil(view.width), height = Math.ceil(view.height);
  const canvas = new OffscreenCanvas(width, height), target = canvas.getContext("2d");
  const ink = ((view.scale < 0.5 ? 0x58 : 0x90) << 24 | WHITE) >>> 0; // fainter where they lie close (alpha first, as the bytes lie)
  const image = target.createImageData(width, height), out = new Uint32Array(image.data.buffer);
  const columns = Int32Array.from({ length: width }, (_, x) => {
    const column = Math.floor((x + 0.5 - view.left) / view.scale);
    return column < 0 || column >= map.width ? -1 : column >> 1;
  });
  let above = -1; // where the row above starts in the ids; -1 outside the tile
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y + 0.5 - view.top) / view.scale);
    const here = row < 0 || row >= map.height ? -1 : (row >> 1) * map.columns;
    for (let x = 1; here >= 0 && x < width; x++) {
      const column = columns[x];
      if (column < 0 || columns[x - 1] < 0) continue;
      const id = map.ids[here + column];
      if (id !== map.ids[here + columns[x - 1]] || (above >= 0 && id !== map.ids[above + column])) out[y * width + x] = ink;
    }
    above = here;
  }
  target.putImageData(image, 0, 0);
  return canvas;
}
