// The paint canvas: mounted by pages/components/paint_canvas.py. Streamlit calls this again whenever the page reruns
// with other data; the canvas stays, keeps tool and class, and opens the other tile.

import { History } from "./history.js";
import { Input } from "./input.js";
import { Learning } from "./learning.js";
import { Painter } from "./painter.js";
import { Panel } from "./panel.js";
import { Places } from "./places.js";
import { summaryOf } from "./summary.js";

const mounted = new WeakMap(); // the component's element -> what stands in it

export default function mount({ data, parentElement, setTriggerValue }) {
  let canvas = mounted.get(parentElement);
  if (!canvas?.root.isConnected) {
    canvas?.close();
    canvas = build(parentElement.querySelector(".tw-paint"), data);
    mounted.set(parentElement, canvas);
  }
  canvas.root.style.setProperty("--tw-height", `${data.height}px`);
  canvas.show(data, setTriggerValue);
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
  const places = new Places(painter);
  const parts = [new Learning(painter, panel.slot("learning")), new History(painter, panel.slot("history"))];
  let wish = null; // {tile, opinion}: what the user chose here, until the page has followed
  let told = null; // how far the tile is, as the page was told
  const show = (next, tell) => {
    if (next.tile.id !== wish?.tile || next.opinion === wish.opinion) wish = null;
    const before = [painter.tile?.id, painter.opinion];
    painter.open(next.tile, { ...next, opinion: wish?.opinion ?? next.opinion });
    if (before[0] !== painter.tile.id || before[1] !== painter.opinion) for (const part of parts) part.opened();
    places.show(next.places);
    followPalette(painter, next.palette);
    painter.onWork = (work) => {
      if (work === next.work || work === told) return;
      told = work;
      tell("work", work);
    };
    painter.onRenamed = (name) => tell("annotator", name);
    painter.onOpinion = (opinion) => {
      wish = { tile: next.tile.id, opinion };
      show(next, tell);
      tell("opinion", opinion);
    };
  };
  root.tilewright = window.tilewrightPaint = handle(painter, panel);
  const close = () => {
    input.close();
    for (const part of parts) part.close();
    panel.close();
    painter.close();
    if (window.tilewrightPaint === root.tilewright) delete window.tilewrightPaint;
  };
  return { root, painter, show, close };
}

/** The colours chosen beside the page, whenever another choice is made there; in between, K has its way here. */
function followPalette(painter, chosen) {
  if (chosen === painter.settings.pagePalette) return;
  painter.set({ pagePalette: chosen });
  painter.setPalette(chosen);
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
    /** {ready, tile, tool, classIndex, radius, guard, opinion, unsaved, busy, trouble, held, lock, sequence, counts, scale, ...} */
    state: () => summaryOf(painter),
    /** Resolves once everything drawn so far is on the server's disk, and its answer is shown. */
    async saved() {
      while (summaryOf(painter).busy || !summaryOf(painter).ready) {
        if (painter.queue?.held) throw new Error(painter.queue.held);
        await new Promise((resume) => setTimeout(resume, 15));
      }
    },
  };
}
