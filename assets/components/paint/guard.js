// What may be painted over. `over` says what a pixel must be now ("anything", "unlabelled" or a class); `protect` lists
// the classes that are never changed. The eraser obeys it too. The server applies the same rule to what is on disk.

import { UNLABELLED } from "./labels.js";

export const FREE = { over: "anything", protect: [] };

export const guardIsFree = ({ over, protect }) => over === "anything" && protect.length === 0;

/** For each value of the class raster, 1 where the guard lets it be changed; null where it lets everything be. */
export function changeable(guard) {
  if (guardIsFree(guard)) return null;
  const { over, protect } = guard;
  const open = new Uint8Array(256).fill(over === "anything" ? 1 : 0);
  if (over !== "anything") open[over === "unlabelled" ? UNLABELLED : over] = 1;
  for (const index of protect) open[index] = 0;
  return open;
}

export function guardSentence({ over, protect }, classes) {
  const only = over === "anything" ? "" : over === "unlabelled" ? "only unlabelled pixels may be painted" : `only ${classes[over].name} may be painted over`;
  const kept = protect.length ? `${protect.map((index) => classes[index].name).join(", ")} protected` : "";
  return [only, kept].filter(Boolean).join("; ");
}
