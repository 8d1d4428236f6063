// What may be painted over. `over` says what a pixel must be now ("anything", "unlabelled" or a class); `protect` lists
// the classes that are never changed. The eraser obeys it too. The server applies the same rule to what is on disk.

import { UNLABELLED } from "./classes.js";
import { capital } from "./text.js";

export const FREE = { over: "anything", protect: [] };

export const guardIsFree = ({ over, protect }) => over === "anything" && protect.length === 0;

/** For each value of the class raster, 1 where a stroke of a class may change it; null where it may change everything. */
export function changeable(guard, classIndex) {
  if (guardIsFree(guard)) return null;
  const { over, protect } = guard;
  // 'Only unlabelled' does not bind what takes labels away: there it could do nothing at all.
  const anything = over === "anything" || (over === "unlabelled" && classIndex === UNLABELLED);
  const open = new Uint8Array(256).fill(anything ? 1 : 0);
  if (!anything) open[over === "unlabelled" ? UNLABELLED : over] = 1;
  for (const index of protect) open[index] = 0;
  return open;
}

/** The guard in words; empty where it lets everything be. */
export function guardSentence({ over, protect }, classes) {
  const only = over === "anything" ? "" : over === "unlabelled" ? "only unlabelled pixels may be painted" : `only ${classes[over].name} may be painted over`;
  const kept = protect.length ? `${protect.map((index) => classes[index].name).join(", ")} protected` : "";
  const all = [only, kept].filter(Boolean).join("; ");
  return all && `${capital(all)}.`;
}
