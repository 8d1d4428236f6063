// The strip above the canvas: who else labels this tile, what waits because of that, and whose labels these are.

import { annotator } from "./person.js";
import { escape } from "./text.js";

export class Banner {
  constructor(root, painter) {
    Object.assign(this, { root, painter, shown: "" });
  }

  update() {
    const { root, painter } = this, says = sayingOf(painter);
    root.hidden = !says;
    const shown = says ? JSON.stringify([says.text, says.look, says.buttons.map(([label]) => label)]) : "";
    if (shown === this.shown) return;
    this.shown = shown;
    if (!says) return;
    root.dataset.look = says.look;
    root.innerHTML = `<span>${escape(says.text)}</span>${says.buttons.map(([label]) => `<button type="button">${escape(label)}</button>`).join("")}`;
    root.querySelectorAll("button").forEach((button, i) => button.addEventListener("click", says.buttons[i][1]));
  }

  pointOut() {
    this.root.animate?.([{ opacity: 1 }, { opacity: 0.3 }, { opacity: 1 }], { duration: 350 });
  }
}

function sayingOf(painter) {
  const { lock, queue, opinion } = painter;
  const waiting = queue?.waiting.length ?? 0, takeOver = () => painter.takeOver();
  if (waiting > 0 && (queue.held || lock.taken)) {
    const count = waiting === 1 ? "One stroke of yours is not saved" : `${waiting} strokes of yours are not saved`;
    const buttons = [[lock.holder?.same_person ? "Work here and save" : "Take over and save", takeOver], [waiting === 1 ? "Drop the stroke" : "Drop the strokes", () => painter.dropWaiting()]];
    return { look: "bad", text: `${whoHolds(lock)} ${count}; ${waiting === 1 ? "it waits" : "they wait"} in this browser.`, buttons };
  }
  if (lock?.taken) {
    if (lock.holder?.same_person) return { look: "taken", text: whoHolds(lock), buttons: [["Work here instead", takeOver]] };
    const second = [["Give a second opinion", () => painter.wishOpinion(true)]];
    return { look: "taken", text: `${whoHolds(lock)} You may look, but not paint.`, buttons: [...(opinion ? [] : second), ["Take over", takeOver]] };
  }
  if (opinion) return { look: "opinion", text: "Your second opinion: it is kept beside the tile's labels, and changes none of them.", buttons: [["Back to the tile's labels", () => painter.wishOpinion(false)]] };
  return null;
}

function whoHolds({ holder }) {
  if (!holder) return "Somebody else is labelling this tile.";
  if (holder.same_person) return annotator() ? "This tile is open in another of your tabs." : "This tile is open in another tab.";
  return `${holder.annotator} is labelling this tile, until ${new Date(holder.expires).toLocaleTimeString()} unless renewed.`;
}
