// The paint canvas: mounted by pages/components/paint_canvas.py. Streamlit calls this again whenever the page reruns
// with other data; the canvas stays, keeps tool and class, and opens the other tile.

import { Input } from "./input.js";
import { Painter } from "./painter.js";
import { Panel } from "./panel.js";

const mounted = new WeakMap(); // the component's element -> what stands in it

export default function mount({ data, parentElement }) {
  let canvas = mounted.get(parentElement);
  if (!canvas?.root.isConnected) {
    canvas?.close();
    canvas = build(parentElement.querySelector(".tw-paint"), data);
    mounted.set(parentElement, canvas);
  }
  canvas.root.style.setProperty("--tw-height", `${data.height}px`);
  canvas.painter.open(data.tile);
  return () => {
    canvas.close();
    mounted.delete(parentElement);
  };
}

function build(root, data) {
  const painter = new Painter(data);
  const panel = new Panel(root, painter, data);
  painter.attach(panel);
  const input = new Input(root, panel, painter);
  root.tilewright = window.tilewrightPaint = handle(painter, panel);
  const close = () => {
    input.close();
    panel.close();
    painter.close();
    if (window.tilewrightPaint === root.tilewright) delete window.tilewrightPaint;
  };
  return { root, painter, close };
}

/** What tests and the console may ask. */
function handle(painter, panel) {
  return {
    /** Page coordinates (CSS pixels, as a mouse has them) of a point in tile pixels. */
    tileToScreen(x, y) {
      const { left, top } = panel.overlay.getBoundingClientRect();
      const [screenX, screenY] = painter.view.toScreen(x, y);
      return { x: left + screenX, y: top + screenY };
    },
    classAt: (x, y) => painter.labels.classAt(x, y),
    /** {ready, tile, tool, classIndex, radius, unsaved, busy, sequence, trouble, counts, scale} */
    state: () => painter.summary(),
    /** Resolves once everything drawn so far is on the server's disk, and its answer is shown. */
    async saved() {
      while (painter.summary().busy || !painter.summary().ready) await new Promise((resume) => setTimeout(resume, 15));
    },
  };
}
